"""A real browser, and what it must never say: Debian's Chromium, driven by Playwright.

Where either is missing the tests are skipped, or fail if CI is set. A test fails on any violation
of the content security policy, any error on the browser's console, and any uncaught error.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest

from roost_core import Settings, SyncRoost
from tests.browser.house import House
from tests.browser.kit.app import Stage, make_app
from tests.browser.scene import Scene, scene_in
from tests.consoles import Running, plugins_of
from tests.integration.cli_bench import ENGINES, Shell
from tests.integration.item_bench import Items
from tests.servers import Server

#: Names of this machine.
_HERE = re.compile(r"localhost|127(\.\d+){3}|::1")
#: The window, unless a test says otherwise.
WIDE = {"width": 1280, "height": 900}


def missing(what: str) -> None:
    """Skip the test, or fail it where all have to run."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed, and in CI every test has to run")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """Give a browser that all tests here share.

    It has an event loop that runs in this thread, so it has to be gone before tests elsewhere.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@attrs.define(eq=False, slots=False)  # Playwright keeps notes on the owners of its handlers
class Eyes:
    """Browser windows, and what they have complained about.

    :ivar expected: texts whose complaints are part of the test.
    """

    browser: Any
    complaints: list[str] = attrs.field(factory=list)
    expected: list[str] = attrs.field(factory=list)
    contexts: list[Any] = attrs.field(factory=list)

    def context(self, **options: Any) -> Any:
        """Make a browser's profile: its tabs share workers, storage and cookies."""
        context = self.browser.new_context(**{"viewport": WIDE, **options})
        context.set_default_timeout(15_000)
        context.on("page", self.watch)
        self.contexts.append(context)
        return context

    def page(self, **options: Any) -> Any:
        """Open a window with a profile of its own."""
        return self.context(**options).new_page()

    def watch(self, page: Any) -> None:
        """Note what a page complains about."""
        page.on(
            "console", lambda said: said.type in ("error", "warning") and self.complain(said.text)
        )
        page.on("pageerror", lambda error: self.complain(f"uncaught: {error}"))
        page.on("request", lambda asked: self._judge(asked.url))

    def _judge(self, url: str) -> None:
        # No account, no cloud, no network: a page asks for nothing but what this machine has.
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and not _HERE.fullmatch(parts.hostname or ""):
            self.complain(f"asked elsewhere: {url}")

    def complain(self, text: str) -> None:
        """Note a complaint, unless the test expects it."""
        if not any(one in text for one in self.expected):
            self.complaints.append(text)


@pytest.fixture
def eyes(chromium: Any) -> Iterator[Eyes]:
    """Give windows of a browser; the test fails if any of them complains."""
    found = Eyes(chromium)
    yield found
    for context in found.contexts:
        context.close()
    assert [] == found.complaints


@attrs.frozen(eq=False)
class Kit:
    """The kit's page as it is served.

    :ivar stop: take the server away; the port stays the same for :attr:`start`.
    """

    stage: Stage
    url: str
    start: Callable[[], None]
    stop: Callable[[], None]


@pytest.fixture
def kit() -> Iterator[Kit]:
    """Serve the kit's page, with a stream that the test holds in its hand."""
    from roost_plugins.console.serving.server import WebServer, listen
    from roost_plugins.console.settings import Bind

    stage = Stage()
    app = make_app(stage)
    servers: list[WebServer] = []
    listener = listen(Bind("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def start() -> None:
        again = listen(Bind("127.0.0.1", port)) if listener.fileno() < 0 else listener
        server = WebServer(app, again, streams=32, max_body=1 << 20)
        server.start()
        servers.append(server)

    def stop() -> None:
        while servers:
            stage.end_streams()
            servers.pop().stop()
        listener.close()

    start()
    yield Kit(stage, f"http://127.0.0.1:{port}", start, stop)
    stop()


@pytest.fixture(scope="module")
def house(server_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give what the tests of a file share, one after the other."""
    with House(server_root, tmp_path_factory.mktemp("house")) as found:
        yield found


@pytest.fixture
def server(house: House) -> Server:
    """Give a server that is empty, and that the test may kill and start again."""
    return house.server()


@pytest.fixture
def shell(house: House, server: Server, tmp_path: Path) -> Shell:
    """Give a command line on that server, with an engine whose steps take as long as one says."""
    (tmp_path / "slow.py").write_text(ENGINES)
    return attrs.evolve(house.shell(), folder=tmp_path)


@pytest.fixture
def console(house: House, server: Server) -> Running:
    """Give a console on that server, which runs as people start it."""
    return house.console()


@pytest.fixture(scope="module")
def scene(server_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Give a scene that the tests of a file share: each has work of its own in it."""
    folder = tmp_path_factory.mktemp("scene")
    with scene_in(folder, server_root / secrets.token_hex(4)) as found:
        yield found


@pytest.fixture
def items(console: Running, server: Server, shell: Shell) -> Iterator[Items]:
    """Give the console's queue, to put work into any state."""
    home = Path(shell.variables["ROOST_HOME"])
    settings = Settings(extra={"redis_url": server.url}, home=home)
    with SyncRoost.connect(settings, plugins=plugins_of()) as roost:
        yield Items(console, roost)
