"""A connection to one queue: how it is opened and closed, and what comes with it.

What programs do over it is in :mod:`roost_core.client.roost`. The handles of one work item, of an
engine and of a selection need no more than this.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import attrs

from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.ledger import Ledger
from roost_core.backend.reports import Purged, StoredWork
from roost_core.backend.server import Server
from roost_core.codec.moved import has_values
from roost_core.errors import NoWorkHere, PluginError, RoostError
from roost_core.plugins.registry import Plugins
from roost_core.settings.core import Settings
from roost_core.settings.sources import load, with_overrides
from roost_core.threads import run_in_thread
from roost_core.workspaces import Workspaces

if TYPE_CHECKING:
    # Most commands only read: they do without.
    from roost_core.client.control import Controlling
    from roost_core.large_values import Texts

_T = TypeVar("_T")

_NOT_CONNECTED: Final = "not connected: use `async with Roost.connect() as roost`"


@attrs.define(eq=False)
class Connection:
    """A connection to one queue; a :class:`~roost_core.Roost` is one. Enter it with ``async with``.

    Entering it raises :class:`~roost_core.errors.NoWorkHere` (see ``create``),
    :class:`~roost_core.errors.BackendUnavailable` if the server cannot be reached,
    :class:`~roost_core.errors.PluginError` if no plugin provides a backend, and
    :class:`~roost_core.errors.SettingsError` if none takes the settings. Without ``async with``
    each method raises :class:`~roost_core.errors.RoostError`; if the server refuses for good, such
    as a login, each raises :class:`~roost_core.errors.BackendError`.

    :ivar settings: the settings it was made with.
    :ivar plugins: the plugins that provide backend and artifact store.
    :ivar create: whether opening may create a place for work where none exists.
    """

    settings: Settings
    plugins: Plugins
    create: bool = True
    _server: Server | None = attrs.field(default=None, init=False, repr=False)
    _ledger: Ledger | None = attrs.field(default=None, init=False, repr=False)
    _store: ArtifactStore | None = attrs.field(default=None, init=False, repr=False)
    _workspaces: Workspaces | None = attrs.field(default=None, init=False, repr=False)

    @classmethod
    def connect(
        cls,
        settings: Settings | None = None,
        *,
        plugins: Plugins | None = None,
        create: bool = True,
        **overrides: Any,
    ) -> Self:
        """Return a connection that opens at ``async with``.

        :param settings: this process's own (environment, file) if not given.
        :param plugins: the installed ones and those the settings name, if not given.
        :param create: false for callers that only read: where there never was any work, it raises
            :class:`~roost_core.errors.NoWorkHere` and creates neither folder nor server.
        :param overrides: settings by name; they win over ``settings``.
        :raises SettingsError: a setting is unknown or malformed.
        :raises PluginError: a plugin that the settings name cannot be loaded.
        """
        if settings is None:
            settings = load(overrides)
        elif overrides:
            settings = with_overrides(settings, overrides)
        if plugins is None:
            plugins = Plugins.load(explicit=(), environment=settings.plugins, strict=False)
        plugins.check_settings(settings)
        return cls(settings, plugins, create)

    async def __aenter__(self) -> Self:
        if self._server is not None:
            # Otherwise nobody would ever close the one that is open.
            raise RoostError("already connected: make another connection")
        server = self.plugins.make_server(self.settings)
        try:
            nothing = None if self.create else server.nothing_here()
            if nothing is not None:
                raise NoWorkHere(f"no work here: {nothing}")
            await server.open()
        except BaseException:
            await server.close()
            raise
        self._server, self._ledger = server, server.ledger(self.settings.queue)
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        server, self._server, self._ledger = self._server, None, None
        if server is not None:
            await server.close()

    @property
    def server(self) -> Server:
        """The server of the queue, open.

        :raises RoostError: not connected.
        """
        if self._server is None:
            raise RoostError(_NOT_CONNECTED)
        return self._server

    @property
    def ledger(self) -> Ledger:
        """The ledger of the queue.

        :raises RoostError: not connected.
        """
        if self._ledger is None:
            raise RoostError(_NOT_CONNECTED)
        return self._ledger

    @property
    def store(self) -> ArtifactStore:
        """The artifact store, made at first use.

        :raises PluginError: no plugin offers one, or it fails.
        """
        if self._store is None:
            self._store = self.plugins.make_artifact_store(self.settings)
        return self._store

    @property
    def store_of_queue(self) -> ArtifactStore:
        """The artifact store as the work of the queue uses it.

        :raises PluginError: as for :attr:`store`.
        """
        return self.store.of_queue(self.settings.namespace, self.settings.queue)

    @property
    def texts(self) -> Texts:
        """What reads the large texts of snapshots that are kept in the artifact store."""
        from roost_core.large_values import Texts

        try:
            return Texts(self.store_of_queue)
        except PluginError as error:
            return Texts(None, str(error))

    async def whole_work(self, work: StoredWork) -> StoredWork:
        """Return a work item with the large texts of its snapshot, if any are kept elsewhere.

        What of them is lost is said by whoever decodes the snapshot.
        """
        if work.snapshot is None or not has_values(work.snapshot):
            return work
        return await run_in_thread(self.texts.whole_work, work)

    async def reading(self, read: Callable[[Texts], _T]) -> _T:
        """Call what reads a history, with what reads its large texts: that may block."""
        return await run_in_thread(read, self.texts)

    @property
    def workspaces(self) -> Workspaces:
        """The workspaces of the queue's work, made at first use.

        :raises PluginError: the plugin that offers them fails.
        """
        if self._workspaces is None:
            self._workspaces = self.plugins.make_workspaces(self.settings)
        return self._workspaces

    @property
    def controlling(self) -> Controlling:
        """What it takes to use verbs; a :class:`~roost_core.client.work.Work` has them.

        :raises RoostError: not connected.
        """
        from roost_core.client.control import Controlling

        return Controlling(self.settings, self.server, self.ledger, self._forgetter)

    def _forgetter(self) -> Callable[[Purged], list[Exception]]:
        from roost_core.upkeep import forget

        return partial(forget, self.store_of_queue, self.workspaces)
