"""The web server: waitress on a socket of its own, in a thread."""

from __future__ import annotations

import errno
import socket
import threading
from typing import TYPE_CHECKING, Final

from waitress.server import create_server

from roost_core.errors import RoostError
from roost_plugins.console.serving.app import MAX_BODY
from roost_plugins.console.settings import Bind

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: Threads for pages, besides one for each stream.
PAGE_THREADS: Final = 16
#: Requests that wait to be accepted.
_BACKLOG: Final = 128
#: How long what is under way may take at the end. Seconds.
_LAST_SECONDS: Final = 2.0


class PortTaken(RoostError):
    """Another program listens there."""


def listen(bind: Bind) -> socket.socket:
    """Return a socket that listens.

    :raises PortTaken: another program does already.
    :raises RoostError: it is not an address of this machine, or the port is for root only.
    """
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((bind.host, bind.port))
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {bind.port} is taken: --port names another, 0 any free one"
            ) from error
        raise RoostError(f"cannot listen on {bind}: {error.strerror or error}") from error
    return found


class WebServer:
    """Serves an application until it is stopped."""

    def __init__(self, app: WSGIApplication, listener: socket.socket, streams: int) -> None:
        self._server = create_server(
            app,
            sockets=[listener],
            threads=streams + PAGE_THREADS,
            connection_limit=4 * (streams + PAGE_THREADS),
            max_request_body_size=MAX_BODY,
            max_request_header_size=64 << 10,
            clear_untrusted_proxy_headers=True,
            ident=None,
            asyncore_use_poll=True,
            channel_request_lookahead=1,
        )
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="roost-console-web")

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Accept nothing more, let what is under way end, and return when all is closed."""
        self._is_stopping.set()
        self._server.pull_trigger()
        self._thread.join()

    def _run(self) -> None:
        server = self._server
        while not self._is_stopping.is_set():
            server.asyncore.loop(timeout=1, use_poll=True, map=server._map, count=1)
        server.task_dispatcher.shutdown(cancel_pending=True, timeout=_LAST_SECONDS)
        server.asyncore.close_all(server._map)
