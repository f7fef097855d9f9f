"""The console's web server: how it ends, and that nobody keeps it for himself."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time

from roost_plugins.console.serving import server as serving
from roost_plugins.console.serving.server import PAGE_THREADS, WebServer, listen
from roost_plugins.console.settings import Bind
from tests.integration.cli_bench import LIMIT


def test_it_stops_although_it_has_noticed_by_itself(monkeypatch):
    """Its thread looks once a second: it may have ended before it is woken for that."""
    with listen(Bind("127.0.0.1", 0)) as listener:
        server = WebServer(lambda environ, start: [], listener, streams=1, max_body=1024)
        wake = server._server.pull_trigger

        def late() -> None:
            server._thread.join(LIMIT)
            wake()

        monkeypatch.setattr(server._server, "pull_trigger", late)
        server.start()
        server.stop()
        assert not server._thread.is_alive()


def test_connections_that_say_nothing_are_closed(monkeypatch):
    """As many as there may be: those who come after them are answered before long."""
    monkeypatch.setattr(serving, "IDLE_SECONDS", 1)
    monkeypatch.setattr(serving, "IDLE_LOOK_SECONDS", 1)

    def app(environ, start):
        start("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    with listen(Bind("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        at = listener.getsockname()
        server = WebServer(app, listener, streams=1, max_body=1024)
        server.start()
        stack.callback(server.stop)
        for place in range(4 * (PAGE_THREADS + 1) + 20):
            silent = stack.enter_context(socket.create_connection(at, timeout=LIMIT))
            if place % 2:
                silent.sendall(b"GET / HTTP/1.1\r\nHost: ")
        began = time.monotonic()
        line = http.client.HTTPConnection(*at, timeout=LIMIT)
        stack.callback(line.close)
        line.request("GET", "/")
        assert b"ok" == line.getresponse().read()
        assert time.monotonic() - began < LIMIT / 2
