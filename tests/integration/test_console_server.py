"""The console's web server: how it ends."""

from __future__ import annotations

from roost_plugins.console.serving.server import WebServer, listen
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
