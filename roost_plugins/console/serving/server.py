"""The web server: waitress on a socket of its own, in a thread."""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Final

import attrs
from waitress.server import create_server

from roost_core.errors import RoostError
from roost_plugins.console.serving.unread import channel
from roost_plugins.console.settings import Bind

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: Threads for pages, besides one for each stream.
PAGE_THREADS: Final = 16
#: The largest head of a request. Bytes.
MAX_HEAD: Final = 64 << 10
#: Requests that wait to be accepted.
_BACKLOG: Final = 128
#: A connection on which nothing comes and nothing is under way is closed after this long, and how
#: often that is looked for: anybody on the machine, or a page in a browser, can open as many as
#: there may be, and then nobody else gets one. Seconds.
IDLE_SECONDS: Final = 20
IDLE_LOOK_SECONDS: Final = 5
#: How long what is under way may take at the end. Seconds.
_LAST_SECONDS: Final = 2.0


class PortTaken(RoostError):
    """Another program listens there."""


def listen(bind: Bind, *, tries: int = 1) -> socket.socket:
    """Return a socket that listens.

    :param tries: how many ports to try: this one, the next one, and so on.
    :raises PortTaken: other programs do already.
    :raises RoostError: it is not an address of this machine, or the port is for root only.
    """
    for more in range(tries):
        try:
            return _listen(attrs.evolve(bind, port=bind.port + more if bind.port else 0))
        except PortTaken:
            if more + 1 == tries or bind.port + more >= 65_535:
                raise
    raise AssertionError("there is at least one try")


def _listen(bind: Bind) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((bind.host, bind.port))
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            text = f"port {bind.port} is taken: --port names another one, and 0 any that is free"
            raise PortTaken(text) from error
        raise RoostError(f"cannot listen on {bind}: {error.strerror or error}") from error
    return found


class WebServer:
    """Serves an application until it is stopped.

    :param streams: most streams at the same time; each keeps a thread.
    :param max_body: the largest body of a request. Bytes.
    :param prefix: the path before each of the application's own.
    """

    def __init__(
        self,
        app: WSGIApplication,
        listener: socket.socket,
        streams: int,
        max_body: int,
        prefix: str = "",
    ) -> None:
        threads = streams + PAGE_THREADS
        self._server = create_server(
            app,
            sockets=[listener],
            threads=threads,
            connection_limit=4 * threads,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=IDLE_LOOK_SECONDS,
            max_request_body_size=max_body,
            max_request_header_size=MAX_HEAD,
            # Nobody may say on whose behalf a request comes.
            clear_untrusted_proxy_headers=True,
            ident=None,
            expose_tracebacks=False,
            # There may be more connections than select() can count.
            asyncore_use_poll=True,
            # So that it notices when the client of a stream goes.
            channel_request_lookahead=1,
        )
        self._server.channel_class = channel(prefix, MAX_HEAD, max_body)
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="roost-console-web")

    def start(self) -> None:
        """Begin to serve."""
        # It warns of each request that waits for a thread.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._thread.start()

    def stop(self) -> None:
        """Accept nothing more, let what is under way end, and return when all is closed."""
        self._is_stopping.set()
        self._server.pull_trigger()
        self._thread.join()
        # Not by that thread: what wakes it has to be there until it was woken.
        self._server.asyncore.close_all(self._server._map)

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            self._turn(1.0)
        self._server.accepting = False
        self._server.task_dispatcher.set_thread_count(0)
        ends = time.monotonic() + _LAST_SECONDS
        while self._is_busy() and time.monotonic() < ends:
            self._turn(0.05)

    def _turn(self, seconds: float) -> None:
        server = self._server
        server.asyncore.loop(timeout=seconds, use_poll=True, map=server._map, count=1)

    def _is_busy(self) -> bool:
        """Return whether answers are made or sent."""
        channels = list(self._server.active_channels.values())
        is_sending = any(one.requests or one.total_outbufs_len for one in channels)
        return is_sending or bool(self._server.task_dispatcher.threads)
