"""The watchlist against redirects and addresses that lie."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from roost_plugins.watchlist import addresses
from roost_plugins.watchlist.fetch import AddressRefused
from tests.integration.site_bench import Site, get, names, only_the_site

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
