"""A site that does what a test tells it, and fetches of it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from roost_plugins.watchlist import addresses
from roost_plugins.watchlist.fetch import Limits, fetch
from roost_plugins.watchlist.rules import Page

CAP = 64 << 10

SMALL = Limits(body_bytes=CAP, deadline_seconds=20)


#: Long enough for a loopback answer to begin; also how long a test of the deadline waits.
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
        """Its URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.server_port}"

    def redirect(self, path: str, target: str) -> None:
        """Make a page that redirects."""
        self.pages[path] = lambda handler: handler.answer(302, Location=target)


async def get(url: str, limits: Limits = SMALL, **options: Any) -> Page:
    """Fetch with private addresses allowed, unless ``options`` has another policy."""
    options.setdefault("policy", addresses.allow_all)
    return await fetch(url, limits=limits, **options)


def only_the_site(address: str) -> str | None:
    """Treat 127.0.0.1 as the whole internet."""
    return None if address == "127.0.0.1" else "not the site"


def names(**table: Sequence[str]) -> Callable[[str, int], Any]:
    """Make a lookup from names, without their ``.test``, to addresses; literals are themselves."""

    async def lookup(host: str, _port: int) -> Sequence[str]:
        return table.get(host.removesuffix(".test"), [host])

    return lookup
