"""A running console: its connection, its live events and its web server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import attrs

from roost_core import Settings, SyncRoost
from roost_core.errors import BackendUnavailable
from roost_core.plugins.registry import Plugins
from roost_plugins.console.connection import Connection
from roost_plugins.console.here import Here
from roost_plugins.console.live.hub import Hub
from roost_plugins.console.serving.app import MAX_BODY, create_app
from roost_plugins.console.serving.gate import Gate
from roost_plugins.console.serving.place import Place, check, place
from roost_plugins.console.serving.refused import teller
from roost_plugins.console.serving.server import WebServer, listen
from roost_plugins.console.serving.tokens import Tokens, new_token
from roost_plugins.console.settings import Bind, ConsoleSettings


@attrs.frozen(eq=False)
class Console:
    """A running console.

    :ivar place: where it is.
    :ivar token: what signs in.
    :ivar is_own_token: whether the token is one that was made for this start.
    :ivar why: why there is no connection to the server yet, or None.
    """

    place: Place
    token: str
    is_own_token: bool
    why: str | None
    _tokens: Tokens

    @property
    def sign_in_url(self) -> str:
        """The URL that signs a browser in."""
        return f"{self.place.url}?token={self.token}"

    def opening_url(self) -> str:
        """Return a URL that signs a browser in once, to start one with.

        Others on the machine can read a browser's command line.
        """
        return f"{self.place.url}?token={self._tokens.once()}"


@contextlib.contextmanager
def serving(
    settings: Settings, plugins: Plugins, bind: Bind | None = None, *, tries: int = 1
) -> Iterator[Console]:
    """Serve a console meanwhile.

    It begins even if a server that somebody else runs is away, and connects once that is back.

    :param bind: where to listen, if not where the settings say.
    :param tries: how many ports to try, one after the other.
    :raises PortTaken: other programs listen there.
    :raises SettingsError: others can reach it, and nobody has said what they call it.
    :raises BackendError: the server refuses for good.
    :raises BackendUnavailable: Roost's own server does not start.
    """
    own = settings.of(ConsoleSettings)
    bind = bind or own.bind
    check(bind, own.external_url)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(bind, tries=tries))
        at = place(attrs.evolve(bind, port=listener.getsockname()[1]), own.external_url)
        connection = Connection(lambda: SyncRoost.connect(settings, plugins=plugins))
        hub = Hub(connection, own.streams)
        # The last one first: streams end, then the web server, the connection, and what used it.
        stack.callback(hub.join)
        stack.callback(connection.close)
        why = connection.open()
        if why is not None and plugins.make_server(settings).is_started_here:
            raise BackendUnavailable(why)
        token = own.token or new_token()
        here = Here(connection, hub, settings, plugins)
        stack.callback(here.runs.close, connection)
        app = create_app(here)
        tokens = Tokens(token, port=at.port, path=f"{at.prefix}/", is_secure=at.scheme == "https")
        gate = Gate(app, at, tokens, own.read_only, teller(app, at.prefix))
        server = WebServer(gate, listener, own.streams, MAX_BODY, at.prefix)
        server.start()
        stack.callback(server.stop)
        stack.callback(hub.close)
        yield Console(at, token, not own.token, why, tokens)
