"""A console behind nginx, with the configuration that the documentation has."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import attrs
import pytest

from roost_core import SyncRoost
from roost_core.models import State
from roost_plugins.console.serving.console import serving
from roost_plugins.console.settings import Bind
from tests.consoles import Site, Stream, plugins_of
from tests.docs.pages import blocks
from tests.integration.cli_bench import until
from tests.integration.item_bench import Items
from tests.integration.redis_bench import settings_for

PAGE = Path(__file__).parents[2] / "docs" / "console.md"
#: Around the documentation's; everything in the test's own folder, and in the foreground.
AROUND = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


@attrs.frozen
class Behind:
    """A console as browsers reach it, with the queue that it shows."""

    site: Site
    items: Items
    folder: Path


@contextlib.contextmanager
def nginx(folder: Path, port: int, upstream: int) -> Iterator[None]:
    """Run it until the end."""
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        pytest.skip("nginx is not installed")
    (location,) = [one.text for one in blocks(PAGE.read_text()) if one.language == "nginx"]
    folder.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    location = location.replace("127.0.0.1:8766", f"127.0.0.1:{upstream}")
    text = user + AROUND.format(folder=folder, port=port, location=location)
    (folder / "nginx.conf").write_text(text)
    words = [binary, "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    try:
        until(lambda: process.poll() is not None or _answers(port), "nginx")
        assert process.poll() is None, process.stderr and process.stderr.read()
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def behind(redis_server, tmp_path) -> Iterator[Behind]:
    """Give a console behind it, under a path."""
    port = _free_port()
    settings = settings_for(redis_server, home=tmp_path / "home").evolve(
        console_external_url=f"http://127.0.0.1:{port}/roost/"
    )
    with (
        SyncRoost.connect(settings, plugins=plugins_of()) as roost,
        serving(settings, plugins_of(), Bind("127.0.0.1", 0)) as console,
        nginx(tmp_path / "nginx", port, console.place.port),
    ):
        site = Site(console.sign_in_url)
        yield Behind(site.sign_in(), Items(site, roost), tmp_path / "nginx")


def test_pages_and_files_are_there(behind):
    """Signed in by the URL that is printed; links and files stay under the path."""
    site = behind.site
    assert f"http://127.0.0.1:{site.port}/roost/?token={site.token}" == site.url
    behind.items.new("w-1", title="First")
    page = site.get("/roost/work")
    assert (200, True) == (page.status, "/roost/work/w-1" in page.text)
    style = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert style.startswith("/roost/static/")
    assert 200 == site.get(style).status
    moved = site.get(f"/roost?token={site.token}")
    assert f"{site.origin}/roost/?token={site.token}" == moved.headers["location"]
    assert 404 == site.get("/work").status


def test_verbs_are_carried_out_for_our_own_pages_only(behind):
    """Origin and host are those of the proxy."""
    behind.items.new("w-1")
    form = urlencode({"reason": "behind a proxy"}).encode()
    reply = behind.site.post("/roost/work/w-1/pause", form, Origin="http://evil.example")
    assert (403, State.QUEUED) == (reply.status, behind.items.roost.work("w-1").row().meta.state)
    reply = behind.site.post("/roost/work/w-1/pause", form)
    assert (303, State.PAUSED) == (reply.status, behind.items.roost.work("w-1").row().meta.state)
    host = "127.0.0.1:1"
    assert 403 == behind.site.get("/roost/", Host=host).status


def test_what_happens_comes_at_once(behind):
    """Nothing keeps the messages of the stream back, and one that is left is freed."""
    stream = Stream(behind.site, "/roost/live")
    assert 200 == stream.status
    stream.next("pulse")
    for name in ("w-1", "w-2"):
        behind.items.new(name)
        assert name == stream.next("happened")[1]["work"]
    stream.close()


def test_the_api_takes_as_much_as_without_a_proxy(behind):
    """A body of more than the megabyte that nginx takes by itself; and problems are ours."""
    site = behind.site
    token = {"Authorization": f"Bearer {site.token}", "Content_Type": "application/json"}
    path = "/roost/api/v1/work"
    reply = site.ask("POST", path, b" " * (2 << 20), **token)
    assert (400, "invalid-input") == (reply.status, reply.json["code"])
    reply = site.ask("POST", path, b"{}", **{**token, "Authorization": "Bearer wrong"})
    assert (401, "wrong-token") == (reply.status, reply.json["code"])
    for headers, code in (
        ({"Host": "127.0.0.1:1"}, "foreign-host"),
        ({"Origin": "null"}, "foreign-origin"),
    ):
        reply = site.ask("GET", path, **{**token, **headers, "Accept": "text/html"})
        assert (403, code) == (reply.status, reply.json["code"])
    body = b'{"engine": "none", "any_engine": true, "work_id": "w-9"}'
    reply = site.ask("POST", path, body, **token)
    assert (201, "/roost/api/v1/work/w-9") == (reply.status, reply.headers["location"])


def test_no_token_is_in_the_log(behind):
    """The URL that signs in has it, and proxies note the URLs that they are asked for."""
    behind.site.get("/roost/work?q=state:failed")
    log = behind.folder / "access.log"
    until(lambda: "/roost/work" in log.read_text(), "the line in the log")
    assert behind.site.token not in log.read_text()
