"""The watchlist against a real server that misbehaves, and against addresses that lie."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import http.server
import json
import shutil
import socket
import ssl
import subprocess
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roost_core.context import Artifacts, StepContext
from roost_core.errors import PermanentError
from roost_core.models import Artifact, Heartbeat, Lease, Snapshot, WorkItem
from roost_core.settings import Settings
from roost_plugins import watchlist
from roost_plugins.watchlist import addresses
from roost_plugins.watchlist.fetch import AddressRefused, Limits, fetch
from roost_plugins.watchlist.rules import Page

CAP = 64 << 10
SMALL = Limits(body_bytes=CAP, deadline_seconds=20)
#: Long enough for a loopback answer to begin, and all that a test of the deadline waits.
HASTY = Limits(body_bytes=CAP, deadline_seconds=0.5)


class Handler(http.server.BaseHTTPRequestHandler):
    """Calls the server's function for the path; whatever it does is the site."""

    server: Site

    def do_GET(self) -> None:
        """Note the request and misbehave as told."""
        self.server.seen.append((self.path, dict(self.headers)))
        with suppress(ConnectionError):
            self.server.pages[self.path.split("?")[0]](self)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a whole answer; an underscore in a header's name is a dash."""
        self.begin(status, Content_Length=str(len(body)), **headers)
        self.wfile.write(body)

    def begin(self, status: int, **headers: str) -> None:
        """Send status and headers only."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the server stops; return whether it does."""
        return self.server.stopping.wait(seconds)


class Site(http.server.ThreadingHTTPServer):
    """A site on 127.0.0.1 whose pages are functions."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Callable[[Handler], None]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_port}"

    def redirect(self, path: str, target: str) -> None:
        """Make a page that redirects."""
        self.pages[path] = lambda handler: handler.answer(302, Location=target)


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a running site; all its threads are gone afterwards."""
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


async def get(url: str, limits: Limits = SMALL, **options: Any) -> Page:
    """Fetch with private addresses allowed, unless ``options`` has another policy."""
    options.setdefault("policy", addresses.allow_all)
    return await fetch(url, limits=limits, **options)


def only_the_site(address: str) -> str | None:
    """Take 127.0.0.1 for the whole internet."""
    return None if address == "127.0.0.1" else "not the site"


def names(**table: Sequence[str]) -> Callable[[str, int], Any]:
    """Make a lookup from names, without their ``.test``, to addresses; literals are themselves."""

    async def lookup(host: str, _port: int) -> Sequence[str]:
        return table.get(host.removesuffix(".test"), [host])

    return lookup


# -- what is seen ----------------------------------------------------------------------------


async def test_a_page_is_seen_whole(site: Site):
    """Status, type, charset and the very bytes."""
    body = "Zürich".encode("latin-1")
    site.pages["/"] = lambda h: h.answer(200, body, Content_Type="text/plain; charset=latin-1")
    page = await get(f"{site.url}/?q=1")
    assert (200, body, None) == (page.status, page.body, page.error)
    assert ("text/plain; charset=latin-1", "latin-1") == (page.content_type, page.charset)
    assert (f"{site.url}/?q=1", 0, False) == (page.url, page.redirects, page.is_truncated)


@pytest.mark.parametrize("status", [404, 500, 503])
async def test_an_unhappy_status_is_seen_as_it_is(site: Site, status: int):
    """Judging it is the rules' business."""
    site.pages["/"] = lambda h: h.answer(status, b"sorry")
    page = await get(site.url)
    assert (status, b"sorry", None) == (page.status, page.body, page.error)


async def test_nothing_personal_is_sent(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    """No cookie from the hop before, no proxy and no password file of this machine."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    site.pages["/"] = lambda h: h.answer(302, Location="/next", Set_Cookie="id=1; Path=/")
    site.pages["/next"] = lambda h: h.answer(200)
    assert (await get(site.url)).status == 200
    sent = {name.lower() for _, headers in site.seen for name in headers}
    usual = {"accept", "accept-encoding", "cache-control", "connection", "host", "user-agent"}
    assert usual == sent


# -- what goes wrong -------------------------------------------------------------------------


async def test_a_closed_port_is_an_observation():
    """Nothing answers: no status, an error text, no exception."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    page = await get(f"http://127.0.0.1:{port}/")
    assert (None, None) == (page.status, page.body)
    assert "cannot connect to 127.0.0.1: " in str(page.error)


async def test_an_unknown_name_is_an_observation():
    """Names come and go."""

    async def lookup(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    page = await get("http://gone.test/", lookup=lookup)
    assert "the host gone.test cannot be found" in str(page.error)
    assert "has no address" in str((await get("http://empty.test/", lookup=names(empty=[]))).error)


async def test_a_name_that_no_resolver_takes_is_an_observation():
    """A label of more than 63 characters fails in Python's own encoder."""
    assert "cannot be found" in str((await get(f"http://{'x' * 64}.test/")).error)


@pytest.mark.parametrize(
    "reply",
    [b"", b"\x00\x01\x02 what", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"],
)
async def test_a_broken_answer_is_an_observation(site: Site, reply: bytes):
    """Closed without a word, not HTTP at all, and cut in the middle."""

    def page(handler: Handler) -> None:
        handler.wfile.write(reply)
        handler.close_connection = True

    site.pages["/"] = page
    assert (await get(site.url)).error


async def test_a_silent_site_ends_at_the_deadline(site: Site):
    """It takes the request and says nothing."""
    site.pages["/"] = lambda h: bool(h.wait()) or None
    page = await get(site.url, HASTY)
    assert (None, "no complete answer within 0.5 s") == (page.status, page.error)


async def test_a_trickle_ends_at_the_deadline(site: Site):
    """Each byte comes in good time; all of them would take for ever."""

    def trickle(handler: Handler) -> None:
        handler.begin(200, Content_Length="100000")
        while not handler.wait(0.01):
            handler.wfile.write(b"x")

    site.pages["/"] = trickle
    page = await get(site.url, HASTY)
    assert (200, "no complete answer within 0.5 s") == (page.status, page.error)


async def test_a_lookup_that_hangs_ends_at_the_deadline():
    """The deadline begins before the name is looked up."""

    async def lookup(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    assert "no complete answer" in str((await get("http://slow.test/", HASTY, lookup=lookup)).error)


async def test_headers_without_end_are_refused(site: Site):
    """One line too long is an error at once; lines without end are cut off too."""

    def flood(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not handler.wait(0):
            handler.wfile.write(b"X-Flood: x\r\n" * 1000)

    site.pages["/long"] = lambda h: h.answer(200, X_Long="x" * 100_000)
    site.pages["/many"] = flood
    assert (await get(f"{site.url}/long")).error
    page = await get(f"{site.url}/many", Limits(deadline_seconds=2))
    assert page.error
    assert len(page.error) < 1000


# -- how much is read ------------------------------------------------------------------------


async def test_a_body_without_end_is_cut_at_the_cap(site: Site):
    """What fits is evidence; the rest stays where it is."""

    def endless(handler: Handler) -> None:
        handler.begin(200)
        while not handler.wait(0):
            handler.wfile.write(b"x" * 10_000)

    site.pages["/"] = endless
    page = await get(site.url)
    assert (200, b"x" * CAP, True, None) == (page.status, page.body, page.is_truncated, page.error)


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize(("size", "is_cut"), [(CAP, False), (CAP + 1, True)])
async def test_the_cap_is_exact(site: Site, size: int, is_cut: bool, is_gzip: bool):
    """A page of exactly the cap is whole, compressed or not."""
    plain = bytes(range(256)) * (CAP // 256) + b"!"
    body = gzip.compress(plain[:size]) if is_gzip else plain[:size]
    headers = {"Content_Encoding": "gzip"} if is_gzip else {}
    site.pages["/"] = lambda h: h.answer(200, body, **headers)
    page = await get(site.url)
    assert (plain[:CAP], is_cut, None) == (page.body, page.is_truncated, page.error)


async def test_a_gzip_bomb_takes_no_room(site: Site):
    """256 MiB of zeros in 256 KiB: only the cap's worth is ever made."""
    bomb = gzip.compress(bytes(256 << 20), compresslevel=9)
    site.pages["/"] = lambda h: h.answer(200, bomb, Content_Encoding="gzip")
    await get(site.url)  # imports and caches of the first fetch are not what is measured
    tracemalloc.start()
    try:
        page = await get(site.url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (bytes(CAP), True) == (page.body, page.is_truncated)
    assert peak < 4 << 20


async def test_an_endless_stream_of_empty_gzip_members_is_cut(site: Site):
    """It decompresses to nothing at all, so the bytes on the wire are counted too."""
    nothing = gzip.compress(b"") * 500

    def endless(handler: Handler) -> None:
        handler.begin(200, Content_Encoding="gzip")
        while not handler.wait(0):
            handler.wfile.write(nothing)

    site.pages["/"] = endless
    page = await get(site.url)
    assert (b"", True) == (page.body, page.is_truncated)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (gzip.compress(b"one page"), b"one page"),
        (gzip.compress(b"one ") + gzip.compress(b"page"), b"one page"),
        (gzip.compress(b"one page") + b"\0" * 20, b"one page"),
        (b"", b""),
    ],
)
async def test_gzip_is_undone(site: Site, body: bytes, expected: bytes):
    """One member, two, padding, and none."""
    site.pages["/"] = lambda h: h.answer(200, body, Content_Encoding="gzip")
    page = await get(site.url)
    assert (expected, None) == (page.body, page.error)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(b"page")[:-9]), ("gzip", b"not gzip"), ("br", b"x"), ("gzip, br", b"")],
)
async def test_a_body_that_cannot_be_decoded_is_an_observation(
    site: Site, encoding: str, body: bytes
):
    """Cut, false, and codings that were never asked for."""
    site.pages["/"] = lambda h: h.answer(200, body, Content_Encoding=encoding)
    page = await get(site.url)
    assert page.status == 200
    assert page.error


# -- redirects -------------------------------------------------------------------------------


async def test_three_redirects_are_followed_and_a_fourth_is_not(site: Site):
    """Relative and absolute alike; the page says where it came from."""
    site.redirect("/4", f"{site.url}/3")
    site.redirect("/3", "/2")
    site.redirect("/2", "1")
    site.redirect("/1", "./0?x=1#part")
    site.pages["/0"] = lambda h: h.answer(200, b"here")
    page = await get(f"{site.url}/3")
    assert (200, 3, b"here") == (page.status, page.redirects, page.body)
    assert page.url.startswith(f"{site.url}/0?x=1")
    page = await get(f"{site.url}/4")
    assert (302, "the site redirects more than 3 times") == (page.status, page.error)
    assert "/0?x=1" not in [path for path, _ in site.seen][4:]


async def test_a_redirect_to_nowhere_is_just_a_status(site: Site):
    """Without a Location there is nothing to follow."""
    site.pages["/"] = lambda h: h.answer(302, b"lost")
    page = await get(site.url)
    assert (302, b"lost", None) == (page.status, page.body, page.error)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("file:///etc/passwd", "its scheme is 'file'"),
        ("ftp://127.0.0.1/", "its scheme is 'ftp'"),
        ("data:text/plain,x", "its scheme is 'data'"),
        ("http://me:hunter2@127.0.0.1/", "a user name or a password"),
        ("http://127.0.0.1:0/", "a host and a port"),
        ("http://127.0.0.1:99999999/", "cannot be used"),
        ("http://[::1/", "cannot be used"),
        ("/" + "x" * 3000, "more than 2048 characters"),
    ],
)
async def test_a_redirect_that_leaves_the_web_is_not_followed(site: Site, target: str, words: str):
    """The page is an observation with the reason, and repeats no secret."""
    site.redirect("/", target)
    page = await get(site.url)
    assert words in str(page.error)
    assert "hunter2" not in f"{page.error} {page.url}"
    assert len(site.seen) == 1


@pytest.mark.parametrize(
    "target", ["http://10.0.0.1/", "http://[::1]/", "http://inside.test/", "http://127.0.0.2/"]
)
async def test_a_redirect_to_a_refused_address_is_an_observation(site: Site, target: str):
    """The site decides where it sends people, and may decide otherwise tomorrow."""
    site.redirect("/", target)
    page = await get(site.url, policy=only_the_site, lookup=names(inside=["10.0.0.7"]))
    assert "the site redirects to" in str(page.error)
    assert "not public" in str(page.error)
    assert "10.0.0.7" not in str(page.error)


# -- addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "10.0.0.1",
        "169.254.169.254",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "localhost",
        "LOCALHOST",
    ],
)
async def test_odd_spellings_of_inside_addresses_are_refused(site: Site, host: str):
    """Each ends at the same check, before anything is sent, and for good."""
    with pytest.raises(AddressRefused, match="not public"):
        await get(f"http://{host}:{site.server_port}/", policy=addresses.refuse_non_public)
    assert site.seen == []


@pytest.mark.parametrize("url", ["http://[fe80::1%25lo]/", "http://[fe80::1%lo]/"])
async def test_a_zone_does_not_help(url: str):
    """Whether the URL parses or the zone exists: nothing is fetched."""
    try:
        outcome = str((await get(url, policy=addresses.refuse_non_public)).error)
    except (AddressRefused, ValueError) as error:
        outcome = str(error)
    assert outcome != "None"


@pytest.mark.parametrize("host", ["localhost.", "printer.test", "mixed.test", "xn--e1afmkfd.test"])
async def test_names_of_inside_addresses_are_refused(host: str):
    """One private address among public ones is enough."""
    table = {
        "localhost.": ["127.0.0.1"],
        "printer": ["fd00::1"],
        "mixed": ["8.8.8.8", "2606:4700:4700::1111", "10.0.0.1"],
        "xn--e1afmkfd": ["169.254.169.254"],
    }
    with pytest.raises(AddressRefused):
        await get(f"http://{host}/", policy=addresses.refuse_non_public, lookup=names(**table))


async def test_a_name_that_changes_its_address_does_not_get_inside(site: Site):
    """DNS rebinding: one lookup decides for one hop, and the next hop is judged anew."""
    answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"]]
    asked = []

    async def lookup(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    site.redirect("/", "/again")
    site.pages["/again"] = lambda h: h.answer(200, b"inside")
    page = await get(f"http://rebind.test:{site.server_port}/", policy=only_the_site, lookup=lookup)
    assert ["rebind.test", "rebind.test"] == asked
    assert "not public" in str(page.error)
    assert ["/"] == [path for path, _ in site.seen]
    assert f"rebind.test:{site.server_port}" == site.seen[0][1]["Host"]


async def test_the_address_is_judged_again_at_the_socket(site: Site):
    """Should an address ever get past the first check, the connection is refused."""
    verdicts = iter([None])
    page = await get(site.url, policy=lambda _: next(verdicts, "changed"))
    assert "cannot connect to 127.0.0.1: " in str(page.error)
    assert "the address is not public (changed)" in str(page.error)
    assert site.seen == []


@pytest.mark.parametrize(
    "url", ["ftp://h/", "http://me@h/", "http://me:x@h/", "//h/", "http://:1/"]
)
async def test_a_url_that_is_not_for_fetching_is_an_error(url: str):
    """The caller's own URL is judged by the parser that the connection uses."""
    with pytest.raises(ValueError, match=r"scheme|user name|host|Host"):
        await get(url)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
async def test_a_certificate_that_nobody_signed_is_an_observation(tmp_path: Any):
    """TLS is verified, also where private addresses are allowed."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    make += ["-keyout", key, "-out", cert]
    await asyncio.to_thread(subprocess.run, make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        # The client ends the handshake: that is the point.
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        page = await get(f"https://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert page.status is None
    assert "the certificate of 127.0.0.1 is not valid" in str(page.error)


# -- the engine ------------------------------------------------------------------------------


class Shelf:
    """As much of an artifact store as the engine uses."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def put(
        self,
        data: bytes,
        *,
        work_id: str,
        life: int | None = None,
        ext: str = "bin",
        name: str | None = None,
    ) -> Artifact:
        """Keep the bytes."""
        artifact_id = hashlib.sha256(data).hexdigest()
        self.blobs[artifact_id] = data
        return Artifact(artifact_id, len(data), ext, name)


class InFlight:
    """A step in flight that nothing ends."""

    def is_stopping(self) -> bool:
        """Return that it goes on."""
        return False

    def is_cancelled(self) -> bool:
        """Return that it goes on."""
        return False

    def beat(self, _heartbeat: Heartbeat) -> None:
        """Take a heartbeat."""

    def fresh_item(self) -> WorkItem:
        """Fail."""
        pytest.fail("a watch is given its item")

    def workspace(self) -> Path:
        """Fail."""
        pytest.fail("a watch needs no workspace")


async def run_watch(payload: dict[str, Any], *, allow: bool = True) -> tuple[list[Snapshot], Shelf]:
    """Run a watch to its end as a worker would, without the waits between the steps."""
    item = WorkItem(work_id="w1", engine=watchlist.engine_id, payload=payload)
    shelf: Any = Shelf()
    context = StepContext(
        lease=Lease("w1", "worker", "token", 1, datetime(2030, 1, 1, tzinfo=UTC)),
        version=1,
        attempt=1,
        settings=Settings(allow_private_addresses=allow),
        artifacts=Artifacts(shelf, "w1"),
        step=InFlight(),
    )
    history = [await watchlist.init_snapshot(item)]
    while not history[-1].is_finished:
        history.append(await watchlist.step(history[-1], item, context))
    return history, shelf


async def test_three_checks_end_at_version_four_with_a_report(site: Site):
    """One fetch a step, a delay between checks and none after the last, and the evidence."""
    site.pages["/"] = lambda h: h.answer(200, b"We are\nOPEN today", Content_Type="text/plain")
    payload = {"url": site.url, "claim": "are open", "delay_seconds": 7}
    history, shelf = await run_watch(payload)
    assert ["init", "check 1 of 3", "check 2 of 3", "done"] == [one.step for one in history]
    assert [None, 7.0, 7.0, None] == [one.next_step_delay_seconds for one in history]
    assert [0, 1, 2, 3] == [one.data["checks_completed"] for one in history]
    assert ["pending"] + ["confirmed"] * 3 == [one.data["verdict"] for one in history]
    assert len(site.seen) == 3
    (artifact,) = history[-1].artifacts
    assert ("json", "evidence report") == (artifact.ext, artifact.name)
    report = json.loads(shelf.blobs[artifact.artifact_id])
    assert {**payload, "checks_required": 3, "delay_seconds": 7.0} == report["watch"]
    assert history[-1].data["observations"] == report["observations"]
    assert ("w1", "confirmed", 3) == (
        report["work_id"],
        report["verdict"],
        report["checks_completed"],
    )


async def test_a_site_that_is_down_for_a_while_does_not_fail_the_watch(site: Site):
    """Each fetch counts; the failed one says why."""
    answers: Iterator[SimpleNamespace] = iter(
        [
            SimpleNamespace(status=200, body=b"open"),
            SimpleNamespace(status=503, body=b"back soon"),
            SimpleNamespace(status=200, body=b"shut"),
        ]
    )

    def page(handler: Handler) -> None:
        answer = next(answers)
        handler.answer(answer.status, answer.body)

    site.pages["/"] = page
    history, _ = await run_watch({"url": site.url, "claim": "open"})
    data = history[-1].data
    assert [True, False, True] == [seen["ok"] for seen in data["observations"]]
    assert "the site answered with HTTP status 503" == data["observations"][1]["error"]
    assert ["confirmed", "confirmed", "mixed"] == [one.data["verdict"] for one in history[1:]]


async def test_only_the_operator_lets_a_watch_inside(site: Site):
    """By default this machine's addresses are refused for good, with the setting's name."""
    with pytest.raises(PermanentError) as caught:
        await run_watch({"url": site.url}, allow=False)
    assert "ROOST_ALLOW_PRIVATE_ADDRESSES" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert site.seen == []
