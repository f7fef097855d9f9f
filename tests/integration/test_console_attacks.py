"""Attacks on the console over real HTTP: each is refused, and nothing is changed."""

from __future__ import annotations

import json
import re

import pytest

from roost_core import Settings
from roost_plugins.console.here import Here
from roost_plugins.console.serving import assets
from roost_plugins.console.serving.app import create_app
from roost_plugins.console.serving.headers import POLICY
from tests.integration.console_bench import UNCHANGED, bench
from tests.integration.redis_bench import settings_for

#: What is in the files that nobody may have.
SECRETS = ("ConsoleSettings", "root:")


@pytest.fixture
def console(redis_server, monkeypatch):
    """Give a console, and work that an attack would cancel."""
    with bench(settings_for(redis_server), monkeypatch) as found:
        yield found


@pytest.fixture
def site(console):
    """Give the console as a signed-in browser reaches it."""
    return console.site


def raw(site, line, *headers, body=b""):
    """Send a request as it is written; return the status, and all that came."""
    head = "\r\n".join([line, *headers, "Connection: close", "", ""])
    found = site.raw(head.encode("latin-1") + body)
    status = re.match(rb"HTTP/1\.[01] (\d{3}) ", found)
    assert status is not None, found
    return int(status[1]), found


def test_these_tests_could_fail(console, site):
    """The same requests, as our own pages and programs send them, do change something."""
    assert 303 == site.post(console.path).status
    assert "cancelled" == console.stands()[0]


def test_a_program_needs_the_token_only(console, site):
    """No cookie, no Origin."""
    assert 303 == site.ask("POST", console.path, Authorization=f"Bearer {site.token}").status
    assert "cancelled" == console.stands()[0]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1"])
def test_foreign_host(console, site, method, host):
    """DNS rebinding: the browser would send cookie and origin, and get an answer."""
    name = host.format(port=site.port)
    headers = {"Host": name, "Cookie": site.cookies, "Origin": f"http://{name}"}
    assert 403 == site.ask(method, console.path, **headers).status
    assert UNCHANGED == console.stands()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_host(console, site, method, version):
    """The web server lets it through, the gate does not."""
    cookie, origin = f"Cookie: {site.cookies}", f"Origin: {site.origin}"
    assert 400 == raw(site, f"{method} {console.path} HTTP/{version}", cookie, origin)[0]
    assert 400 == raw(site, f"{method} {console.path} HTTP/{version}", "Host:", cookie, origin)[0]
    assert UNCHANGED == console.stands()


def test_two_hosts(console, site):
    """None of them counts."""
    hosts = (f"Host: 127.0.0.1:{site.port}", "Host: evil.example")
    rest = (f"Cookie: {site.cookies}", f"Origin: {site.origin}")
    for given in (hosts, hosts[::-1], (hosts[0], hosts[0])):
        assert 403 == raw(site, f"POST {console.path} HTTP/1.1", *given, *rest)[0]
    assert UNCHANGED == console.stands()


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost:{port}", ""]
)
def test_foreign_origin(console, site, origin):
    """A form or a script of another site, of another program on this machine, of a file."""
    found = origin.format(port=site.port)
    assert 403 == site.post(console.path, Origin=found).status
    token = {"Authorization": f"Bearer {site.token}", "Cookie": None}
    assert 403 == site.post(console.path, Origin=found, **token).status
    assert 403 == site.get("/", Origin=found).status
    assert UNCHANGED == console.stands()


def test_no_origin_with_a_cookie(console, site):
    """Browsers send one with every form."""
    assert 403 == site.post(console.path, Origin=None).status
    assert UNCHANGED == console.stands()


@pytest.mark.parametrize("where", ["cross-site", "same-site"])
def test_what_the_browser_says(console, site, where):
    """It knows better than an origin could."""
    assert 403 == site.post(console.path, Sec_Fetch_Site=where).status
    assert 403 == site.get("/", Sec_Fetch_Site=where, Sec_Fetch_Mode="no-cors").status
    frame = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
    assert 403 == site.get("/", Sec_Fetch_Site=where, **frame).status
    assert UNCHANGED == console.stands()


@pytest.mark.parametrize("path", ["/", "/work", "/live", "/nothing-here", "{path}"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_token(console, site, method, path):
    """Neither a page nor whether there is one, for those who are not signed in."""
    where = path.format(path=console.path)
    asked = {"Origin": site.origin}
    wrong = {"Cookie": f"roost_{site.port}={site.token}"}
    for headers in ({}, wrong, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}):
        answer = site.ask(method, where, **asked, **headers)
        assert 401 == answer.status
        assert console.work_id not in answer.text
    assert 401 == site.ask(method, f"{where}?token=wrong", **asked).status
    assert UNCHANGED == console.stands()


def test_a_stream_without_a_token(site):
    """A script is told that its sign-in has ended, and nothing else."""
    answer = site.ask("GET", "/live", Accept="text/event-stream")
    assert "event: signed-out\ndata: {}\n\n" == answer.text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_changes_nothing(console, site, method):
    """A route that changes something is reached by POST only."""
    answer = site.ask(method, console.path, Cookie=site.cookies)
    assert (405, "POST") == (answer.status, answer.headers["allow"])
    assert UNCHANGED == console.stands()


def test_no_route_changes_anything_by_reading(console, site):
    """Each that there is, about this work item; those for changes say that they are."""
    words = {"work_id": console.work_id, "verb": "cancel", "filename": "favicon-calm.svg"}
    with create_app(Here(None, None, Settings())).app_context() as context:
        rules = list(context.app.url_map.iter_rules())
    assert {"/", "/work", "/live"} <= {rule.rule for rule in rules}
    for rule in rules:
        values = {name: words.get(name, "1") for name in rule.arguments}
        _, path = rule.build(values, append_unknown=False) or ("", "/")
        if rule.rule in ("/live", "/api/v1/events/live", "/tested/fault"):
            continue  # the first two have no end, the last is a fault on purpose
        # A preview is read where it is carried out.
        can_read = any("GET" in (one.methods or ()) for one in rules if one.rule == rule.rule)
        status = site.get(path).status
        # In the API, a verb is where the id of a work item may be.
        assert status < 500 if can_read else status in (404, 405), path
        assert 405 == site.ask("DELETE", path, Cookie=site.cookies).status
    assert UNCHANGED == console.stands()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods(console, site, method):
    """Nor by any other method."""
    answer = site.ask(method, console.path, Cookie=site.cookies, Origin=site.origin)
    assert (405, "GET, HEAD, POST") == (answer.status, answer.headers["allow"])
    assert UNCHANGED == console.stands()


@pytest.mark.parametrize(
    "path",
    [
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/..%2fsettings.py",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static/..%5csettings.py",
        "/static/....//....//etc/passwd",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/settings.py%00.css",
        "/static/%c0%ae%c0%ae/settings.py",
        "/../../../../etc/passwd",
        "/work/../static/../settings.py",
    ],
)
def test_path_traversal(site, path):
    """No file but the static ones; with and without a cookie."""
    for cookie in ((), (f"Cookie: {site.cookies}",)):
        host = f"Host: 127.0.0.1:{site.port}"
        status, found = raw(site, f"GET {path} HTTP/1.1", host, *cookie)
        assert status in (400, 401, 404)
        assert [] == [word for word in SECRETS if word.encode() in found]


def post(console, site, *headers):
    """Return the lines of a right request to change something, but for these headers."""
    return (
        f"POST {console.path} HTTP/1.1",
        f"Host: 127.0.0.1:{site.port}",
        f"Authorization: Bearer {site.token}",
        *headers,
    )


@pytest.mark.parametrize("length", ["4194304", "9" * 20, "9" * 4000])
def test_oversized_bodies(console, site, length):
    """Refused by their length, before they are sent."""
    assert 413 == raw(site, *post(console, site, f"Content-Length: {length}"))[0]
    assert UNCHANGED == console.stands()


def test_a_length_that_python_refuses_to_read(console, site):
    """The connection is closed, and nobody else is affected."""
    lines = [*post(console, site, "Content-Length: " + "9" * 5000), "", ""]
    assert b"200" not in site.raw("\r\n".join(lines).encode())[:20]
    assert 200 == site.get("/").status
    assert UNCHANGED == console.stands()


def test_oversized_chunked_bodies(console, site):
    """Refused when there is too much, whatever their end would be."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    lines = post(console, site, "Transfer-Encoding: chunked")
    status, _ = raw(site, *lines, body=chunk * 65)
    assert 413 == status
    assert UNCHANGED == console.stands()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (("Transfer-Encoding: chunked",), b"zz\r\nabc\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"-1\r\nabc\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"3;\x00\r\nabc\r\n0\r\n\r\n"),
        (("Transfer-Encoding: gzip",), b""),
        (("Transfer-Encoding: xchunked",), b""),
        (("Transfer-Encoding: chunked, identity",), b"0\r\n\r\n"),
        (("Content-Length: -1",), b""),
        (("Content-Length: +3",), b"abc"),
        (("Content-Length: 3", "Content-Length: 4"), b"abcd"),
        (("Content-Length: 0x3",), b"abc"),
        (("X : y",), b""),
        (("X: a\x00b",), b""),
        ((" X: y",), b""),
    ],
)
def test_malformed_requests(console, site, headers, body):
    """What a proxy and a server may read in two ways."""
    assert raw(site, *post(console, site, *headers), body=body)[0] in (400, 401, 501)
    assert UNCHANGED == console.stands()


def test_huge_heads(console, site):
    """They take little memory, and nothing is done."""
    assert 431 == raw(site, *post(console, site, "X: " + "y" * 70_000))[0]
    assert 431 == raw(site, *post(console, site, "Cookie: " + "a=b; " * 20_000))[0]
    assert UNCHANGED == console.stands()


@pytest.mark.parametrize(
    ("status", "code", "header"),
    [
        (400, "bad-request", "X : y"),
        (413, "too-large", f"Content-Length: {5 << 20}"),
        (431, "head-too-large", "X: " + "y" * 70_000),
        (501, "unknown-encoding", "Transfer-Encoding: gzip"),
    ],
)
@pytest.mark.parametrize("path", ["/work", "/api/v1/work"])
def test_what_cannot_be_read_is_told_as_all_else(site, path, status, code, header):
    """The web server answers before the gate: with its headers, and to programs in JSON."""
    head = (f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{site.port}", header)
    found_status, found = raw(site, *head)
    lines, _, body = found.decode().partition("\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines.split("\r\n")[1:])
    assert (status, POLICY) == (found_status, headers["content-security-policy"])
    assert ("nosniff", "no-store") == (headers["x-content-type-options"], headers["cache-control"])
    assert "waitress" not in found.decode().lower()
    if path.startswith("/api/"):
        told = json.loads(body)
        assert "application/problem+json" == headers["content-type"]
        assert (status, code) == (told["status"], told["code"])
    else:
        assert ("text/plain; charset=utf-8", 1) == (headers["content-type"], body.count("\n"))


def test_smuggled_requests(console, site):
    """A second request in the body of a refused one is not answered."""
    inner = "\r\n".join([*post(console, site, "Content-Length: 0"), "", ""]).encode()
    lines = (
        "POST / HTTP/1.1",
        "Host: evil.example",
        f"Content-Length: {len(inner)}",
    )
    status, found = raw(site, *lines, body=inner)
    assert (403, 1) == (status, found.count(b"HTTP/1."))
    assert UNCHANGED == console.stands()


def test_forwarded_headers_mean_nothing(console, site):
    """Whoever sends them is not believed."""
    for name in ("X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "Forwarded"):
        status, _ = raw(
            site,
            f"POST {console.path} HTTP/1.1",
            "Host: evil.example",
            f"{name}: 127.0.0.1:{site.port}",
            f"Cookie: {site.cookies}",
            f"Origin: {site.origin}",
        )
        assert 403 == status
    assert UNCHANGED == console.stands()


def test_read_only(redis_server, monkeypatch):
    """It shows all, and refuses every change, to programs as well; the line says why."""
    with bench(settings_for(redis_server), monkeypatch, read_only=True) as console:
        site = console.site
        assert 200 == site.get("/work").status
        answer = site.post(console.path)
        assert (403, True) == (answer.status, "--read-only" in answer.text)
        token = {"Authorization": f"Bearer {site.token}"}
        assert 403 == site.ask("POST", console.path, **token).status
        assert 403 == site.ask("POST", "/nothing-here", **token).status
        assert UNCHANGED == console.stands()


def test_behind_a_proxy(redis_server, monkeypatch):
    """Only under the URL that was given; cookie and links stay below its path."""
    url = "https://tools.example/roost/"
    ours = {"Host": "tools.example", "Origin": "https://tools.example"}
    with bench(settings_for(redis_server), monkeypatch, external_url=url) as console:
        site = console.site
        answer = site.ask("GET", f"/roost/?token={site.token}", Host="tools.example")
        assert url == answer.headers["location"]
        attributes = "; Path=/roost/; HttpOnly; SameSite=Strict; Secure"
        assert answer.headers["set-cookie"].endswith(attributes)
        assert 403 == site.get("/work").status
        assert 404 == site.get("/work", Host="tools.example").status
        assert UNCHANGED == console.stands()
        page = site.get("/roost/work", Host="tools.example").text
        assert [] == re.findall(r'(?:href|src|action)="/(?!roost/)[^"]*"', page)
        assert 303 == site.post(f"/roost{console.path}", **ours).status
        assert "cancelled" == console.stands()[0]


def test_a_fault_tells_nothing(console, site, caplog):
    """The page has a number, and the log has it with the traceback; it is no debugger.

    What is logged has no secret, and nothing that a terminal obeys.
    """
    answer = site.get("/tested/fault")
    assert 500 == answer.status
    for word in ("ZeroDivisionError", "a detail", "Traceback", "werkzeug", "debugger"):
        assert word not in answer.text
    (number,) = re.findall(r"<code>([0-9a-f]{8})</code>", answer.text)
    assert number in caplog.text
    assert "a detail" in caplog.text
    assert ", in fault\n" in caplog.text
    assert [] == [word for word in ("hunter2", "\x1b") if word in caplog.text]
    assert 404 == site.get("/console").status
    assert "fault" not in site.get("/?__debugger__=yes&cmd=resource&f=debugger.js").text


@pytest.mark.parametrize("path", ["/", "/work?q=state:", "/nothing-here", "/tested/fault", "/live"])
def test_every_answer_has_the_headers(site, path):
    """Pages, errors and streams."""
    line = f"HEAD {path} HTTP/1.1"
    _, found = raw(site, line, f"Host: 127.0.0.1:{site.port}", f"Cookie: {site.cookies}")
    head = found.partition(b"\r\n\r\n")[0].decode().lower()
    assert f"content-security-policy: {POLICY}".lower() in head
    for line in ("x-content-type-options: nosniff", "cache-control: no-store"):
        assert line in head
    assert "\r\nserver:" not in head


def test_static_files_are_kept_by_their_content(site):
    """For a year under the URL that a page has; under any other one they are asked for again."""
    page = site.get("/").text
    found = re.findall(r'(?:href|src)="(/static/[^"?]+)\?v=([0-9a-f]+)"', page)
    assert found
    for path, version in found:
        answer = site.get(f"{path}?v={version}")
        assert 200 == answer.status
        assert "public, max-age=31536000, immutable" == answer.headers["cache-control"]
        assert "no-cache" == site.get(f"{path}?v=other").headers["cache-control"]
        assert "no-cache" == site.get(path).headers["cache-control"]
    assert 404 == site.get("/static/nothing-here.css").status


def test_spellings_of_a_file_take_no_memory(site):
    """Those who are not signed in can think of any number of them."""
    for slashes in range(1, 400):
        assert 200 == site.ask("GET", f"/static/css{'/' * slashes}base.css?v=x").status
    assert assets._version.cache_info().currsize < 300


def test_markup_of_others_is_shown_as_text(console, site):
    """In a query, and in a work item's title."""
    evil = "<script>alert(1)</script>"
    console.roost.enqueue("none", any_engine=True, title=evil)
    for path in ("/work", "/work?q=title:%3Cscript%3Ealert", "/work?q=%22%3E%3Cscript%3Ealert"):
        text = site.get(path).text
        assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in site.get("/work").text
