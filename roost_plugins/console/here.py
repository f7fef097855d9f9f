"""What a view needs: the connection, live events, and how this console was started."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, TypeVar, cast

import attrs
from flask import current_app

from roost_core import Roost, Settings, SyncRoost
from roost_core.models.overview import Overview
from roost_core.plugins.registry import Plugins
from roost_plugins.console.acting.runs import Runs
from roost_plugins.console.connection import Connection
from roost_plugins.console.live.hub import Hub
from roost_plugins.console.notes import Notes
from roost_plugins.console.overviews import Acts, shared_overview
from roost_plugins.console.settings import ConsoleSettings, External
from roost_plugins.console.sharing import Shared

_T = TypeVar("_T")
_KEY: Final = "roost_console"
#: How long an answer is waited for while the server is away. Seconds.
_GONE_SECONDS: Final = 2.0


@attrs.frozen(eq=False)
class Here:
    """One running console.

    :ivar connection: the one connection that all pages share.
    :ivar live: what happens in the queue, for any number of pages.
    :ivar settings: all settings of the process.
    :ivar runs: verbs on many work items, seen and under way.
    :ivar acts: the requests that may have changed something.
    :ivar overviews: the overview, which all who ask within about a second share.
    :ivar plugins: all plugins of the process.
    :ivar notes: what readers are to be told on the page that they are sent on to.
    """

    connection: Connection
    live: Hub
    settings: Settings
    plugins: Plugins = attrs.field(factory=Plugins.empty)
    notes: Notes = attrs.field(factory=Notes)
    runs: Runs = attrs.field(factory=Runs)
    acts: Acts = attrs.field(factory=Acts)
    overviews: Shared[Overview] = attrs.field(init=False)

    @overviews.default
    def _overviews(self) -> Shared[Overview]:
        return shared_overview(self.acts, self.runs, self.live)

    @property
    def console(self) -> ConsoleSettings:
        """The console's own settings."""
        return self.settings.of(ConsoleSettings)

    @property
    def read_only(self) -> bool:
        """Whether nothing may be changed."""
        return self.console.read_only

    @property
    def external(self) -> External | None:
        """Where browsers find it, if a proxy stands before it."""
        return self.console.external_url

    @property
    def roost(self) -> SyncRoost:
        """The connection.

        :raises BackendUnavailable: the server is away, and was since the start.
        """
        return self.connection.roost

    def ask(self, load: Callable[[Roost], Awaitable[_T]], timeout: float = 10.0) -> _T:
        """Run a coroutine function in the connection's loop, and return what it brings.

        :param timeout: seconds after which it is cancelled.
        :raises BackendUnavailable: there is no connection, or no answer in time.
        """
        # While it is known to be away, requests must not keep all threads that pages have.
        limit = min(timeout, _GONE_SECONDS) if self.live.is_gone else timeout
        return self.connection.ask(load, limit)

    def overview(self) -> Overview:
        """Return the queue at one glance, about a second old at most.

        :raises BackendUnavailable: there is no connection, or no answer in time.
        """
        return self.ask(self.overviews.get)

    def now(self) -> datetime:
        """Return the server's clock, as far as it is known; this costs no round trip."""
        return self.live.now()


def put_here(extensions: dict[str, object], here: Here) -> None:
    """Let the views of an application find it."""
    extensions[_KEY] = here


def here() -> Here:
    """Return the console that the current request is for."""
    return cast("Here", current_app.extensions[_KEY])
