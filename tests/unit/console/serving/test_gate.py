"""The gate: what it lets through, and that nothing else reaches the application."""

from __future__ import annotations

import pytest

from roost_core.errors import SettingsError
from roost_plugins.console.serving import tokens
from roost_plugins.console.serving.headers import POLICY
from roost_plugins.console.serving.place import place
from roost_plugins.console.settings import Bind, url_of
from tests.unit.console.serving.gate_bench import HOST, ORIGIN, TOKEN, Door

BEARER = f"Bearer {TOKEN}"


@pytest.fixture
def door():
    """Give a gate."""
    return Door()


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("HEAD", {}),
        ("GET", {"Sec_Fetch_Site": "same-origin"}),
        ("GET", {"Sec_Fetch_Site": "none"}),
        ("GET", {"Host": "localhost:8766", "Origin": ""}),
        ("GET", {"Host": "LOCALHOST:8766", "Origin": ""}),
        ("GET", {"Host": "[::1]:8766", "Origin": ""}),
        ("GET", {"Origin": ""}),
        ("POST", {}),
        ("POST", {"Sec_Fetch_Site": "same-origin"}),
        ("POST", {"Host": "localhost:8766", "Origin": "http://localhost:8766"}),
        ("POST", {"Cookie": "", "Origin": "", "Authorization": BEARER}),
        ("POST", {"Cookie": "", "Authorization": f"bearer  {TOKEN} "}),
    ],
)
def test_what_is_ours_comes_through(door, method, headers):
    """A signed-in browser under each name of the console, and a program with the token."""
    assert 200 == door.signed_in(method, "/work", **headers).status
    assert 1 == len(door.through)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT"])
@pytest.mark.parametrize(
    ("status", "host"),
    [
        (400, ""),
        (403, "evil.example"),
        (403, "evil.example:8766"),
        (403, "127.0.0.1"),
        (403, "127.0.0.1:8767"),
        (403, "127.0.0.1:8766, 127.0.0.1:8766"),
        (403, "localhost.:8766"),
        (403, "127.0.0.1:8766.evil.example"),
        (403, "user@127.0.0.1:8766"),
    ],
)
def test_foreign_hosts_are_refused_for_every_method(door, method, status, host):
    """DNS rebinding ends here, even with cookie and token, and nothing of ours is shown."""
    answer = door.signed_in(method, "/work", Host=host, Authorization=BEARER)
    assert (status, [], []) == (answer.status, door.through, door.told)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8767"},
        {"Origin": "https://127.0.0.1:8766"},
        {"Origin": "http://localhost:8766"},
        {"Origin": f"{ORIGIN}/"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
        {
            "Sec_Fetch_Site": "same-site",
            "Sec_Fetch_Mode": "navigate",
            "Sec_Fetch_Dest": "iframe",
        },
    ],
)
@pytest.mark.parametrize("sign", [{}, {"Cookie": "", "Authorization": BEARER}])
def test_pages_of_others_are_refused(door, method, headers, sign):
    """Whatever a page elsewhere makes a browser send, with a cookie or a token."""
    assert 403 == door.signed_in(method, "/work", **sign, **headers).status
    assert [] == door.through


@pytest.mark.parametrize("origin", ["", "null"])
def test_a_cookie_needs_an_origin_to_change_something(door, origin):
    """Browsers send it with every form; a token in a header needs none."""
    assert 403 == door.signed_in("POST", "/work", Origin=origin).status
    assert [] == door.through
    assert 200 == door.ask("POST", "/work", Authorization=BEARER).status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "X"])
def test_other_methods_are_refused(door, method):
    """Nothing is changed but by POST, and no page elsewhere may ask whether it could."""
    answer = door.signed_in(method, "/work")
    assert (405, "GET, HEAD, POST") == (answer.status, answer.headers["Allow"])
    assert not any(name.lower().startswith("access-control") for name in answer.headers)
    assert [] == door.through


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("signed-out", {}),
        ("signed-out", {"Cookie": f"roost_8766={TOKEN}"}),
        ("signed-out", {"Cookie": "roost_8766="}),
        ("signed-out", {"Cookie": "roost_8766=\udcff"}),
        ("wrong-token", {"Authorization": "Bearer"}),
        ("wrong-token", {"Authorization": "Bearer wrong"}),
        ("wrong-token", {"Authorization": f"Bearer {TOKEN}x"}),
        ("wrong-token", {"Authorization": "Bearer \xff"}),
        ("signed-out", {"Authorization": f"Basic {TOKEN}"}),
    ],
)
def test_strangers_are_refused(door, method, kind, headers):
    """No cookie, another one, the token itself as one, a wrong token, another scheme."""
    headers = {"Cookie": "", **headers}
    if "\udcff" in headers["Cookie"]:
        headers["Cookie"] = headers["Cookie"].replace("\udcff", "\xff")
    assert 401 == door.signed_in(method, "/work", **headers).status
    assert ([], [kind]) == (door.through, [one.kind for one in door.told])


def test_a_wrong_token_is_refused_with_a_right_cookie(door):
    """A program that names a token means that one."""
    assert 401 == door.signed_in("POST", Authorization="Bearer wrong").status


def test_static_files_are_for_everybody(door):
    """The page for those who are not signed in needs them; nothing else under the name is."""
    assert 200 == door.ask("GET", "/static/css/page.css").status
    assert 401 == door.ask("POST", "/static/css/page.css", Origin=ORIGIN).status
    assert 401 == door.ask("GET", "/statics").status


@pytest.mark.parametrize(
    "path",
    [
        "/static/../work",
        "/static/./x",
        "/static/..",
        "/work/..",
        "/static\\..\\work",
        "/work\x00",
        "/work\r\nX: y",
        "work",
        "",
        "http://evil.example/",
    ],
)
def test_odd_paths_are_refused(door, path):
    """Nothing behind the gate has to think about them."""
    assert 400 == door.signed_in("GET", path).status
    assert [] == door.through


def test_paths_may_have_any_letters(door):
    """They come as bytes of UTF-8, some of which look like control characters."""
    path = "/work/\N{LATIN SMALL LETTER A WITH ACUTE}".encode().decode("latin-1")
    assert 200 == door.signed_in("GET", path).status


# -- signing in --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "leads_to"),
    [
        (f"/?token={TOKEN}", "/"),
        (f"/work?q=state:failed%26&token={TOKEN}&x=", "/work?q=state:failed%26&x="),
        (f"/work?token=other&%74oken={TOKEN}", "/work"),
        (f'/work?q="\xe4>&token={TOKEN}', "/work?q=%22%E4%3E"),
        (f"//evil.example/?token={TOKEN}", "//evil.example/"),
        (f"/a b?token={TOKEN}", "/a%20b"),
    ],
)
def test_the_token_leaves_the_url(door, url, leads_to):
    """It becomes a cookie, the page is the same, and it is always one of ours."""
    answer = door.ask("GET", url)
    assert (303, f"{ORIGIN}{leads_to}") == (answer.status, answer.headers["Location"])
    assert TOKEN not in answer.headers["Location"] + answer.headers["Set-Cookie"] + answer.text
    assert 200 == door.ask("GET", Cookie=answer.headers["Set-Cookie"].partition(";")[0]).status


def test_the_cookie_is_for_this_console_only(door):
    """Scripts do not see it, pages of others do not send it, and its name has the port."""
    name, _, rest = door.tokens.set_cookie().partition("=")
    assert "roost_8766" == name
    assert "Path=/; HttpOnly; SameSite=Strict" == rest.partition("; ")[2]
    other = Door(bind=Bind("127.0.0.1", 9000))
    assert 401 == other.ask("GET", Host="127.0.0.1:9000", Cookie=door.cookie).status


def test_one_of_several_cookies_is_enough(door):
    """A console in a folder above has a cookie of the same name."""
    cookies = f"a=b; roost_8766=other; {door.cookie}; roost_9000=x"
    assert 200 == door.ask("GET", Cookie=cookies).status


@pytest.mark.parametrize("token", ["", "wrong", f"{TOKEN}x"])
def test_a_wrong_token_in_a_url_signs_nobody_in(door, token):
    """Those who are signed in anyway continue without it."""
    answer = door.ask("GET", f"/work?token={token}")
    assert (401, False) == (answer.status, "Set-Cookie" in answer.headers)
    answer = door.signed_in("GET", f"/work?token={token}", Origin="")
    assert (303, f"{ORIGIN}/work") == (answer.status, answer.headers["Location"])


def test_a_link_for_once(door):
    """A browser is started with it; whoever reads its command line later gets nowhere."""
    link = f"/work?token={door.tokens.once()}"
    assert 401 == door.ask("HEAD", link).status
    assert 401 == door.ask("POST", link, Origin=ORIGIN).status
    answer = door.ask("GET", link)
    assert (303, f"{ORIGIN}/work") == (answer.status, answer.headers["Location"])
    assert 401 == door.ask("GET", link).status
    bearer = {"Authorization": f"Bearer {door.tokens.once()}"}
    assert 401 == door.ask("GET", **bearer).status


def test_a_link_for_once_is_for_a_minute(door, monkeypatch):
    """An older one does nothing, nor does none."""
    monkeypatch.setattr(tokens, "ONCE_SECONDS", -1.0)
    assert 401 == door.ask("GET", f"/?token={door.tokens.once()}").status
    assert 401 == door.ask("GET", "/?token=").status


def test_a_form_signs_in(door):
    """For those who have the token and no link; a page elsewhere cannot send it."""
    form = f"token={TOKEN}".encode()
    answer = door.ask("POST", "/sign-in", body=form, Origin=ORIGIN)
    assert (303, f"{ORIGIN}/") == (answer.status, answer.headers["Location"])
    assert door.cookie in answer.headers["Set-Cookie"]
    for status, body, headers in (
        (401, b"token=wrong", {"Origin": ORIGIN}),
        (401, b"", {"Origin": ORIGIN}),
        (401, form + b"&" + b"x" * 5000, {"Origin": ORIGIN}),
        (403, form, {}),
        (403, form, {"Origin": "http://evil.example"}),
    ):
        answer = door.ask("POST", "/sign-in", body=body, **headers)
        assert (status, False) == (answer.status, "Set-Cookie" in answer.headers)
    assert [] == door.through


def test_a_link_from_elsewhere_opens_the_page(door):
    """The browser keeps the cookie back; a page of ours that leads to the same place helps."""
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    answer = door.ask("GET", "/work/w-1?q=a%26b", **link)
    assert (200, "again", []) == (answer.status, answer.text, door.through)
    leads_to = door.told[-1].leads_to
    assert f"{ORIGIN}/work/w-1?q=a%26b&again=1" == leads_to
    leads_to = leads_to.removeprefix(ORIGIN)
    ours = {"Sec_Fetch_Site": "same-origin", "Origin": ""}
    answer = door.signed_in("GET", leads_to, **ours)
    assert (303, f"{ORIGIN}/work/w-1?q=a%26b") == (answer.status, answer.headers["Location"])
    assert "Set-Cookie" not in answer.headers
    # Those who are not signed in are told, whatever the browser says: it is no loop.
    assert {401} == {door.ask("GET", leads_to, **one).status for one in (ours, link)}
    assert 403 == door.signed_in("POST", "/work/w-1", **link).status


def test_a_link_from_elsewhere_leads_nowhere_else(door):
    """A path that begins with two slashes would be the name of another host."""
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    door.ask("GET", "//evil.example/x", **link)
    assert f"{ORIGIN}//evil.example/x?again=1" == door.told[-1].leads_to
    moved = door.signed_in("GET", "//evil.example/x?again=1").headers["Location"]
    assert f"{ORIGIN}//evil.example/x" == moved


@pytest.mark.parametrize("prefix", ["", "/roost"])
def test_a_program_is_told_in_its_own_way_under_a_prefix_too(prefix):
    """Whatever is wrong with its request; a page of somebody else learns nothing from it."""
    door = Door(external=f"{ORIGIN}{prefix}/")
    for path, host in (("/api/v1/work", "evil.example"), ("/api/../v1", HOST)):
        answer = door.ask("GET", prefix + path, Host=host)
        assert ("text/html", door.told[-1].kind) == (answer.headers["Content-Type"], answer.text)
    assert ["foreign-host", "bad-path"] == [one.kind for one in door.told]
    door.ask("GET", f"{prefix}/work", Host="evil.example")
    assert 2 == len(door.told)


@pytest.mark.parametrize("query", ["mytoken=1", "q=label:token=x", "q=token%3D1", "q=again=1"])
def test_other_parameters_mean_nothing(door, query):
    """Only the one of this name is a token."""
    assert 200 == door.signed_in("GET", f"/work?{query}").status
    door.ask("GET", f"/work?{query}")
    assert "Not signed in" in door.told[-1].text


def test_a_page_from_before_a_restart_is_told(door):
    """It has a cookie, but of another token: that is not the same as never having had one."""
    door.ask("GET", Cookie="roost_8766=from-before")
    door.ask("GET")
    first, second = (one.text for one in door.told)
    assert "sign-in has ended" in first
    assert "sign-in has ended" not in second
    assert "roost ui" in first
    assert "roost ui" in second


# -- read-only, proxies, headers ---------------------------------------------------------------


@pytest.mark.parametrize("sign", [{}, {"Cookie": "", "Authorization": BEARER}])
def test_read_only_refuses_every_change(sign):
    """With one line that says so; reading and signing in are as usual."""
    door = Door(read_only=True)
    assert 403 == door.signed_in("POST", "/work/w-1/cancel", **sign).status
    assert ["read-only"] == [one.kind for one in door.told]
    assert [] == door.through
    assert 200 == door.signed_in("GET", "/work", **sign).status
    form = f"token={TOKEN}".encode()
    assert 303 == door.ask("POST", "/sign-in", body=form, Origin=ORIGIN).status


class TestBehindAProxy:
    """A console whose browsers use another URL."""

    @pytest.fixture
    def door(self):
        """Give a gate that has been told of the proxy."""
        return Door(external="https://Tools.example/roost/", bind=Bind("0.0.0.0", 8766))

    def test_its_name_and_path_are_the_only_ones(self, door):
        """The application sees the path without the prefix, and knows the prefix."""
        ours = {"Host": "tools.example", "Origin": "https://tools.example"}
        assert 200 == door.signed_in("POST", "/roost/work", **ours).status
        (environ,) = door.through
        assert ("/roost", "/work") == (environ["SCRIPT_NAME"], environ["PATH_INFO"])
        assert "https" == environ["wsgi.url_scheme"]
        assert 403 == door.signed_in("GET", "/roost/work", Host=HOST).status
        assert 403 == door.signed_in("POST", "/roost/work", **ours | {"Origin": ORIGIN}).status
        http = {"Origin": "http://tools.example"}
        assert 403 == door.signed_in("POST", "/roost/work", **ours | http).status
        for path in ("/work", "/roosters", "/"):
            assert 404 == door.signed_in("GET", path, **ours).status
        assert 1 == len(door.through)

    def test_the_folder_leads_to_its_page(self, door):
        """Without the slash, too."""
        answer = door.ask("GET", "/roost", Host="tools.example")
        assert (308, "https://tools.example/roost/") == (answer.status, answer.headers["Location"])
        answer = door.ask("GET", "/roost?token=x", Host="tools.example")
        assert "https://tools.example/roost/?token=x" == answer.headers["Location"]

    def test_a_name_that_somebody_gave_it_learns_nothing(self, door):
        """But who has typed an address is told where it is."""
        assert "tools.example" in door.ask("GET", Host="10.0.0.1:8766").text
        assert "tools.example" in door.ask("GET", Host="localhost:8766").text
        assert "tools.example" not in door.ask("GET", Host="evil.example:8766").text

    def test_the_cookie_stays_on_https_and_below_the_path(self, door):
        """Other consoles of the same host do not get it."""
        answer = door.ask("GET", f"/roost/work?token={TOKEN}", Host="tools.example")
        assert "https://tools.example/roost/work" == answer.headers["Location"]
        attributes = "Path=/roost/; HttpOnly; SameSite=Strict; Secure"
        assert attributes == answer.headers["Set-Cookie"].partition("; ")[2]

    def test_a_proxy_is_believed_nothing_else(self):
        """Without being told, forwarded headers do not matter."""
        door = Door()
        forwarded = {"X_Forwarded_Host": "evil.example", "X_Forwarded_Prefix": "/x"}
        assert 200 == door.signed_in("GET", "/work", **forwarded).status
        assert 403 == door.signed_in("GET", Host="evil.example", X_Forwarded_Host=HOST).status


def test_others_reach_it_only_where_its_url_is_known():
    """An address that is not loopback needs ``--external-url``."""
    for host in ("0.0.0.0", "192.168.1.2", "::", "some-machine"):
        with pytest.raises(SettingsError, match="--external-url"):
            place(Bind(host, 8766), None)
        assert place(Bind(host, 8766), url_of("http://host:8766")).hosts == ("host:8766",)
    for host in ("127.0.0.1", "127.0.0.9", "::1", "localhost"):
        place(Bind(host, 8766), None)


def test_the_usual_port_may_be_left_out():
    """Browsers do so."""
    assert {"localhost", "localhost:80"} <= set(place(Bind("127.0.0.1", 80), None).hosts)
    assert ("[::1]:9000", "http://[::1]:9000/") == (
        place(Bind("::1", 9000), None).hosts[0],
        place(Bind("::1", 9000), None).url,
    )


@pytest.mark.parametrize("url", ["/", "/?token=wrong", f"/?token={TOKEN}", "/static/x", "/../"])
@pytest.mark.parametrize("host", [HOST, "evil.example", ""])
def test_every_answer_has_the_headers(door, url, host):
    """Refusals, too."""
    headers = door.ask("GET", url, Host=host).headers
    assert POLICY == headers["Content-Security-Policy"]
    assert "nosniff" == headers["X-Content-Type-Options"]
    assert "same-origin" == headers["Referrer-Policy"]
    assert "no-store" == headers["Cache-Control"]


def test_the_policy_is_the_one_that_was_decided():
    """Word by word."""
    assert (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ) == POLICY
