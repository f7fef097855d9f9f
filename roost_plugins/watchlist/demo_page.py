"""The demo's web page: served on this machine, different at each visit, held open on demand."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

#: What the demo's watch looks for on the page.
CLAIM: Final = "Roosts are open"
#: A held request is released after this time in any case, in seconds.
_HOLD_SECONDS: Final = 60.0


class DemoPage:
    """An HTTP server on a free port of the loopback address, in a thread.

    :param hold: the number, from 1, of the request that is not answered until
        :meth:`release`.
    :ivar held: set once that request has arrived.
    """

    def __init__(self, hold: int) -> None:
        self.held = threading.Event()
        self._hold = hold
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._count = 0
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def release(self) -> None:
        """Let the held request continue."""
        self._released.set()

    def body(self) -> bytes:
        """Count a visit and return what the page says to it."""
        with self._lock:
            self._count += 1
            count = self._count
        if count == self._hold:
            self.held.set()
            self._released.wait(_HOLD_SECONDS)
        return f"<h1>{CLAIM}</h1><p>This is visit {count}.</p>\n".encode()


class _Server(ThreadingHTTPServer):
    # A visitor that was killed must not make the demo print a traceback.
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: visitors come and go."""


def _handler(page: DemoPage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page.body()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
