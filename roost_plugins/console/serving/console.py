"""A running console: its connection, its live events and its web server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from roost_core import Settings, SyncRoost
from roost_core.plugins.registry import Plugins
from roost_plugins.console.connection import Connection
from roost_plugins.console.here import Here
from roost_plugins.console.live.hub import Hub
from roost_plugins.console.serving.app import create_app
from roost_plugins.console.serving.server import WebServer, listen
from roost_plugins.console.settings import Bind, ConsoleSettings


@contextlib.contextmanager
def serving(settings: Settings, plugins: Plugins, bind: Bind | None = None) -> Iterator[Console]:
    """Serve a console meanwhile.

    :param bind: where to listen, if not where the settings say.
    :raises PortTaken: another program listens there.
    :raises BackendError: the server refuses for good.
    """
    own = settings.of(ConsoleSettings)
    listener = listen(bind or own.bind)
    with contextlib.ExitStack() as stack:
        stack.callback(listener.close)
        connection = Connection(lambda: SyncRoost.connect(settings, plugins=plugins))
        stack.callback(connection.close)
        why = connection.open()
        hub = Hub(connection, own.streams)
        app = create_app(Here(connection, hub, settings))
        server = WebServer(app, listener, own.streams)
        server.start()
        stack.callback(server.stop)
        stack.callback(hub.close)
        at = Bind((bind or own.bind).host, listener.getsockname()[1])
        yield Console(f"http://{at}/", why)


class Console:
    """A running console.

    :ivar url: where to sign in.
    :ivar why: why the server is not connected yet, or None.
    """

    def __init__(self, url: str, why: str | None) -> None:
        self.url = url
        self.why = why
