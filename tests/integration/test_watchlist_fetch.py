"""The watchlist against a real server that misbehaves."""

from __future__ import annotations

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest

from roost_plugins.watchlist.fetch import Limits
from tests.integration.site_bench import CAP, HASTY, Handler, Site, get, names

# -- what is seen ----------------------------------------------------------------------------


async def test_a_page_is_seen_whole(site: Site):
    """Status, type, charset and the exact bytes."""
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
    """Each byte comes in good time; all of them would take forever."""

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
    """Truncated, invalid, and codings that were never asked for."""
    site.pages["/"] = lambda h: h.answer(200, body, Content_Encoding=encoding)
    page = await get(site.url)
    assert page.status == 200
    assert page.error
