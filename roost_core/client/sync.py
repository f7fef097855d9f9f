"""Roost for programs without an event loop: scripts, notebooks, Flask, Django.

::

    with SyncRoost.connect() as roost:
        item = roost.enqueue("watchlist", {"url": "https://example.com", ...})
        status = roost.work(item).wait()

Each method does what the one of the same name does in :mod:`roost_core.client.roost` and
:mod:`roost_core.client.work`, takes the same arguments, raises the same errors, and returns when it
is done. Any number of threads may share a connection.
"""

from __future__ import annotations

import functools
import warnings
import weakref
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, overload

from roost_core.client.engine import Engine
from roost_core.client.loop_thread import LoopThread
from roost_core.client.roost import Roost
from roost_core.client.select import Selection
from roost_core.client.work import Work
from roost_core.errors import RoostError
from roost_core.models.events import Event
from roost_core.models.standing import WorkRow
from roost_core.models.work import WorkItem
from roost_core.plugins.registry import Plugins
from roost_core.query import Query
from roost_core.settings.core import Settings

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Inner = TypeVar("_Inner")

_NOT_CONNECTED: Final = "not connected: use `with SyncRoost.connect() as roost`"


class _Blocking(Generic[_P, _T]):
    """A method that waits for an asynchronous one, with its arguments and its result."""

    def __init__(self, method: Callable[Concatenate[Any, _P], Awaitable[_T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, twin: None, owner: type) -> Self: ...

    @overload
    def __get__(self, twin: _Twin[Any], owner: type) -> Callable[_P, _T]: ...

    def __get__(self, twin: _Twin[Any] | None, owner: type) -> Self | Callable[_P, _T]:
        """Bind it to an object."""
        if twin is None:
            return self
        bound: Callable[_P, Awaitable[_T]] = getattr(twin._inner, self._method.__name__)

        @functools.wraps(bound)
        def wait(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            return twin._thread().call(bound(*args, **kwargs))

        return wait


class _Twin(Generic[_Inner]):
    """The synchronous twin of an object."""

    def __init__(self, inner: _Inner) -> None:
        self._inner = inner

    def __repr__(self) -> str:
        return f"<synchronous {self._inner!r}>"

    def _thread(self) -> LoopThread:
        raise NotImplementedError


class _Handle(_Twin[_Inner]):
    """The synchronous twin of a handle. It keeps the connection open that it belongs to."""

    def __init__(self, inner: _Inner, roost: SyncRoost) -> None:
        super().__init__(inner)
        self._roost = roost

    def _thread(self) -> LoopThread:
        return self._roost._thread()


class SyncWork(_Handle[Work]):
    """A handle on one work item: the twin of :class:`~roost_core.client.work.Work`."""

    @property
    def id(self) -> str:
        """The work item's id."""
        return self._inner.id

    status = _Blocking(Work.status)
    why = _Blocking(Work.why)
    inspect = _Blocking(Work.inspect)
    row = _Blocking(Work.row)
    snapshot = _Blocking(Work.snapshot)
    history = _Blocking(Work.history)
    snapshot_at = _Blocking(Work.snapshot_at)
    diff = _Blocking(Work.diff)
    artifacts = _Blocking(Work.artifacts)
    wait = _Blocking(Work.wait)
    events = _Blocking(Work.events)
    cancel = _Blocking(Work.cancel)
    pause = _Blocking(Work.pause)
    resume = _Blocking(Work.resume)
    retry = _Blocking(Work.retry)
    plan_replay = _Blocking(Work.plan_replay)
    replay = _Blocking(Work.replay)
    bury = _Blocking(Work.bury)
    drop = _Blocking(Work.drop)

    def follow(self, *, after: str | None = None) -> Generator[Event, None, None]:
        """Yield the work item's events as they happen, for ever; close it, or leave the loop.

        :param after: as in :meth:`roost_core.client.work.Work.follow`.
        :raises BackendUnavailable: as there.
        """
        return self._thread().each(self._inner.follow(after=after), self)


class SyncSelection(_Handle[Selection]):
    """What a query finds: the twin of :class:`~roost_core.client.select.Selection`."""

    @property
    def query(self) -> Query:
        """What is selected."""
        return self._inner.query

    count = _Blocking(Selection.count)
    preview = _Blocking(Selection.preview)
    cancel = _Blocking(Selection.cancel)
    pause = _Blocking(Selection.pause)
    resume = _Blocking(Selection.resume)
    retry = _Blocking(Selection.retry)
    bury = _Blocking(Selection.bury)
    drop = _Blocking(Selection.drop)

    def rows(self) -> Generator[WorkRow, None, None]:
        """Yield all that the query finds, as :meth:`roost_core.client.select.Selection.rows`."""
        return self._thread().each(self._inner.rows(), self)


class SyncEngine(_Handle[Engine]):
    """A handle on one engine: the twin of :class:`~roost_core.client.engine.Engine`."""

    @property
    def id(self) -> str:
        """The engine's id."""
        return self._inner.id

    hold = _Blocking(Engine.hold)
    release = _Blocking(Engine.release)


class SyncRoost(_Twin[Roost]):
    """A connection to one queue: the twin of :class:`roost_core.Roost`.

    Make it with :meth:`connect`; enter it with ``with``, which raises what ``async with`` would.
    It has an event loop in a thread of its own. Where processes are forked, connect in each of
    them: a connection from before the fork is refused. One that is never closed is closed when
    nothing refers to it or to a handle that it made, with a ``ResourceWarning``, and ends with the
    process at the latest.
    """

    def __init__(self, inner: Roost) -> None:
        super().__init__(inner)
        self._own: LoopThread | None = None
        self._left: weakref.finalize[[LoopThread, Roost], SyncRoost] | None = None

    @classmethod
    def connect(
        cls,
        settings: Settings | None = None,
        *,
        plugins: Plugins | None = None,
        create: bool = True,
        **overrides: Any,
    ) -> Self:
        """Return a connection that opens at ``with``.

        It takes what :meth:`roost_core.client.connection.Connection.connect` takes.

        :raises SettingsError: a setting is unknown or malformed.
        :raises PluginError: a plugin that the settings name cannot be loaded.
        """
        return cls(Roost.connect(settings, plugins=plugins, create=create, **overrides))

    def __enter__(self) -> Self:
        if self._own is not None:
            raise RoostError("already connected: make another connection")
        own = LoopThread()
        try:
            own.call(self._inner.__aenter__())
        except BaseException:
            own.close()
            raise
        self._own = own
        self._left = weakref.finalize(self, _left_open, own, self._inner)
        # Python's end ends the thread as well, and nothing is to wait for a server then.
        self._left.atexit = False
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        own, self._own = self._own, None
        if self._left is not None:
            self._left.detach()
        if own is not None:
            own.close(self._inner.__aexit__(kind, error, traceback))

    def run(self, work: Callable[[Roost], Awaitable[_T]]) -> _T:
        """Run a coroutine function in the connection's event loop, and return what it brings.

        For several reads at once, or for what has no twin here::

            counts, workers = roost.run(lambda it: asyncio.gather(it.counts(), it.workers()))

        :param work: called with the :class:`~roost_core.Roost` that this is the twin of. It is
            cancelled when the connection is closed, or when the wait for it is interrupted.
        :raises RoostError: not connected; or what ``work`` raises.
        """

        async def started() -> _T:
            return await work(self._inner)

        return self._thread().call(started())

    def _thread(self) -> LoopThread:
        if self._own is None:
            raise RoostError(_NOT_CONNECTED)
        return self._own

    @property
    def settings(self) -> Settings:
        """The settings it was made with."""
        return self._inner.settings

    @property
    def plugins(self) -> Plugins:
        """The plugins that provide backend and artifact store."""
        return self._inner.plugins

    enqueue = _Blocking(Roost.enqueue)
    enqueue_many = _Blocking(Roost.enqueue_many)
    unknown_engines = _Blocking(Roost.unknown_engines)
    list = _Blocking(Roost.list)
    find = _Blocking(Roost.find)
    count = _Blocking(Roost.count)
    overview = _Blocking(Roost.overview)
    counts = _Blocking(Roost.counts)
    events = _Blocking(Roost.events)
    dead_letters = _Blocking(Roost.dead_letters)
    workers = _Blocking(Roost.workers)
    held_engines = _Blocking(Roost.held_engines)
    artifact = _Blocking(Roost.artifact)
    diagnose = _Blocking(Roost.diagnose)
    repair = _Blocking(Roost.repair)

    def work(self, work: WorkItem | str) -> SyncWork:
        """Return a handle on one work item. Sends no request.

        :param work: a work item, or its id.
        :raises InvalidInput: the string cannot be a work id.
        """
        return SyncWork(self._inner.work(work), self)

    def select(self, query: Query | str) -> SyncSelection:
        """Return what a query finds, to count it or to do something to all of it. Sends no request.

        :raises InvalidInput: the query cannot be read; the text points at the word.
        """
        return SyncSelection(self._inner.select(query), self)

    def engine(self, engine: str) -> SyncEngine:
        """Return a handle on one engine of the queue. Sends no request.

        :raises InvalidInput: the string cannot be an engine's id.
        """
        return SyncEngine(self._inner.engine(engine), self)

    def follow(self, *, after: str | None = None) -> Generator[Event, None, None]:
        """Yield the queue's events as they happen, for ever; close it, or leave the loop.

        :param after: as in :meth:`roost_core.Roost.follow`.
        :raises RoostError: not connected.
        :raises BackendUnavailable: as there.
        """
        return self._thread().each(self._inner.follow(after=after), self)


def _left_open(own: LoopThread, inner: Roost) -> None:
    """Close what nobody refers to any more, in whatever thread that is noticed: wait for none."""
    own.abandon(inner.__aexit__(None, None, None))
    text = "a SyncRoost was not closed: use `with SyncRoost.connect() as roost`"
    warnings.warn(text, ResourceWarning, stacklevel=2)
