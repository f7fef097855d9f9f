"""Roost for Python programs: enqueue work, look at it, wait for it, follow it.

::

    async with Roost.connect() as roost:
        item = await roost.enqueue("watchlist", {"url": "https://example.com", ...})
        status = await roost.wait(item)
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import attrs

from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Enqueued, EnqueueOutcome, NewWork
from roost_core.backend.reports import Finding, ListQuery, Repaired, StoredWork
from roost_core.backend.server import Server
from roost_core.backend.trail import completed, is_complete, reason_of_sleep
from roost_core.client.requests import EnqueueRequest, refusal, repeated, unknown_engine
from roost_core.errors import (
    CorruptRecord,
    InvalidInput,
    NoWorkHere,
    RoostError,
    UnknownEngine,
    WorkNotFound,
)
from roost_core.models.events import Event
from roost_core.models.standing import DeadLetter, WorkRow, WorkStatus
from roost_core.models.work import RetryPolicy, State, WorkItem
from roost_core.models.worker import WorkerInfo
from roost_core.plugins.registry import Plugins
from roost_core.settings.core import Settings
from roost_core.settings.sources import load, with_overrides
from roost_core.shown import views
from roost_core.values import Json

__all__ = ["EnqueueRequest", "Roost", "WorkRow"]

_T = TypeVar("_T")

#: Work items of one pipelined request of :meth:`Roost.enqueue_many`.
CHUNK: Final = 500
#: Requests that got no answer are repeated, but not begun later than this, in seconds.
PATIENCE_SECONDS: Final = 3.0
#: The same for what waits and follows: long enough for a server to restart.
FOLLOW_PATIENCE_SECONDS: Final = 30.0
#: How long one request for the next event may wait at the server, in milliseconds.
_BLOCK_MS: Final = 5_000
#: Events that one request brings at most.
_PAGE: Final = 500
_NOT_CONNECTED: Final = "not connected: use `async with Roost.connect() as roost`"


@attrs.define(eq=False)
class Roost:
    """A connection to one queue. Make it with :meth:`connect`; enter it with ``async with``.

    :ivar settings: what it was made with.
    :ivar plugins: the plugins that provide backend and artifact store.
    :ivar create: whether opening may make a place for work where there is none.
    """

    settings: Settings
    plugins: Plugins
    create: bool = True
    _server: Server | None = attrs.field(default=None, init=False, repr=False)
    _ledger: Ledger | None = attrs.field(default=None, init=False, repr=False)
    _store: ArtifactStore | None = attrs.field(default=None, init=False, repr=False)

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
        :param create: false for who only reads: where no work ever was, ``async with`` raises
            :class:`~roost_core.errors.NoWorkHere`, and makes no folder and no server.
        :param overrides: settings by name; they win over ``settings``.
        :raises SettingsError: a setting is unknown or malformed.
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
        """The server of the queue, open."""
        if self._server is None:
            raise RoostError(_NOT_CONNECTED)
        return self._server

    @property
    def ledger(self) -> Ledger:
        """The record of the queue."""
        if self._ledger is None:
            raise RoostError(_NOT_CONNECTED)
        return self._ledger

    @property
    def store(self) -> ArtifactStore:
        """The artifact store, made at first use."""
        if self._store is None:
            self._store = self.plugins.make_artifact_store(self.settings)
        return self._store

    # -- enqueueing ------------------------------------------------------------------------

    async def enqueue(
        self,
        engine: str,
        payload: Json = None,
        *,
        work_id: str | None = None,
        idempotency_key: str | None = None,
        priority: int = 0,
        resources: Sequence[str] = (),
        delay_seconds: float = 0,
        deadline_at: datetime | None = None,
        deadline_seconds: float | None = None,
        title: str | None = None,
        retry: RetryPolicy | None = None,
        max_recoveries: int | None = None,
        max_steps: int | None = None,
        step_timeout_seconds: float | None = None,
        any_engine: bool = False,
    ) -> WorkItem:
        """Store one work item durably and return it; one round trip in the usual case.

        A request that got no answer is repeated for a few seconds under the
        same id, so that it counts once.

        :param payload: JSON, at most 1 MiB.
        :param work_id: a random one if not given.
        :param idempotency_key: the same key with the same engine and payload
            returns the work item that is stored already.
        :param priority: from -1000 to 1000; higher runs first.
        :param resources: at most 32 names; one work item at a time has each.
        :param delay_seconds: start so much later, ten years at most.
        :param deadline_at: an aware time; no step begins after it, and work that is not done then
            is dead-lettered.
        :param deadline_seconds: the same from now on, by the server's clock.
        :param retry: how often a failing step is tried, and when.
        :param max_recoveries: so many deaths of workers that ran nothing else, over one step,
            dead-letter it; 3 if not given.
        :param max_steps: how many steps may follow each other without a delay, 0 for any number;
            if not given, the engine's own bound if it is installed here, else 10,000.
        :param step_timeout_seconds: a step's longest time; an hour if not given.
        :param any_engine: accept an engine that nobody offers yet.
        :raises InvalidInput: a value cannot be accepted.
        :raises UnknownEngine: neither an installed plugin nor a live worker offers it.
        :raises WorkIdTaken: the id belongs to another work item.
        :raises IdempotencyConflict: the key was used for another engine or payload.
        :raises BackendUnavailable: no answer; whether it was stored is not known.
        """
        request = EnqueueRequest(
            engine=engine,
            payload=payload,
            work_id=work_id,
            idempotency_key=idempotency_key,
            priority=priority,
            resources=resources,
            delay_seconds=delay_seconds,
            deadline_at=deadline_at,
            deadline_seconds=deadline_seconds,
            title=title,
            retry=retry,
            max_recoveries=max_recoveries,
            max_steps=max_steps,
            step_timeout_seconds=step_timeout_seconds,
        )
        (result,) = await self._enqueue([request], any_engine=any_engine)
        if isinstance(result, RoostError):
            raise result
        return result

    async def enqueue_many(
        self, requests: Iterable[EnqueueRequest], *, any_engine: bool = False
    ) -> list[WorkItem | RoostError]:
        """Store many work items, pipelined in chunks; each by itself is all or nothing.

        :returns: per request, in order, the work item or the error that
            :meth:`enqueue` would have raised. A refused one does not stop the rest.
        :raises BackendUnavailable: no answer for a chunk. Ids and keys of your
            own make it safe to send all again.
        """
        results: list[WorkItem | RoostError] = []
        chunk: list[EnqueueRequest] = []
        for request in requests:
            chunk.append(request)
            if len(chunk) == CHUNK:
                results += await self._enqueue(chunk, any_engine=any_engine)
                chunk = []
        if chunk:
            results += await self._enqueue(chunk, any_engine=any_engine)
        return results

    async def _enqueue(
        self, requests: Sequence[EnqueueRequest], *, any_engine: bool
    ) -> list[WorkItem | RoostError]:
        now_ms = None
        if any(r.deadline_seconds is not None or r.deadline_at is not None for r in requests):
            now_ms = await repeated(self.server.now_ms, PATIENCE_SECONDS)
        refused = {} if any_engine else await self.unknown_engines(r.engine for r in requests)
        results: list[WorkItem | RoostError] = []
        accepted: list[tuple[int, NewWork]] = []
        for request in requests:
            try:
                offered = self.plugins.engines().get(request.engine)
                item, new = request.build(now_ms, offered.max_steps if offered else None)
                if request.engine in refused:
                    raise refused[request.engine]
            except RoostError as error:
                results.append(error)
            else:
                accepted.append((len(results), new))
                results.append(item)
        if accepted:
            works = [new for _, new in accepted]
            answers = await repeated(lambda: self.ledger.enqueue(works), PATIENCE_SECONDS)
            for (index, new), answer in zip(accepted, answers, strict=True):
                results[index] = await self._result(results[index], new, answer)
        return results

    async def _result(
        self, result: WorkItem | RoostError, new: NewWork, answer: Enqueued
    ) -> WorkItem | RoostError:
        refused = refusal(new, answer)
        if refused is not None:
            return refused
        if answer.outcome is EnqueueOutcome.EXISTING:
            try:
                return views.item(await self._stored(answer.work_id))
            except (CorruptRecord, WorkNotFound) as error:
                return error
        return result

    async def unknown_engines(self, engines: Iterable[str]) -> dict[str, UnknownEngine]:
        """Return those of the engines that nobody offers, each with the error that says so.

        Live workers are asked only if an installed plugin does not settle it.
        """
        offered = set(self.plugins.engines())
        missing = dict.fromkeys(engine for engine in engines if engine not in offered)
        if not missing:
            return {}
        for worker in await self.workers():
            offered.update(worker.engines)
        return {
            engine: unknown_engine(engine, offered) for engine in missing if engine not in offered
        }

    # -- reading ---------------------------------------------------------------------------

    async def status(self, work: WorkItem | str) -> WorkStatus:
        """Return all that is known of one work item, read at one moment.

        What its worker hangs in, or why it sleeps, is looked up after that.

        :raises WorkNotFound: no work item has this id.
        :raises CorruptRecord: its stored bytes do not decode.
        """
        found = views.status(await self._stored(_id_of(work)))
        if found.meta.state is State.SLEEPING:
            trail = await self.ledger.trail(found.meta.work_id)
            reason = reason_of_sleep(trail or (), found.meta.version)
            return attrs.evolve(found, meta=attrs.evolve(found.meta, reason=reason))
        if found.meta.lease is None:
            return found
        # Whether anybody still works on it is more than its own record can tell.
        raw = await self.ledger.worker(found.meta.lease.worker_id)
        return attrs.evolve(found, stuck=None if raw is None else views.stuck(raw))

    async def row(self, work: WorkItem | str) -> WorkRow:
        """Return how a work item stands, as in a listing: its bytes need not be readable.

        :raises WorkNotFound: no work item has this id.
        """
        return views.row(await self._stored(_id_of(work)))

    async def wait(self, work: WorkItem | str, timeout: float | None = None) -> WorkStatus:
        """Wait until a work item is terminal, without polling.

        :param timeout: seconds; None waits for ever.
        :returns: how it stands then: look at ``meta.state.is_terminal`` if you set a timeout.
        :raises WorkNotFound: no work item has this id.
        """
        work_id = _id_of(work)
        ends = None if timeout is None else time.monotonic() + timeout

        async def once() -> StoredWork | None:
            left = None if ends is None else max(0.0, ends - time.monotonic())
            return await self.ledger.wait_terminal(work_id, left)

        stored = await repeated(once, FOLLOW_PATIENCE_SECONDS, waits=True)
        if stored is None:
            raise _not_found(work_id)
        return views.status(stored)

    async def list(
        self,
        state: State | str | None = None,
        engine: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[WorkRow]:
        """Return a page of work items: newest first, or next first of a state that waits.

        A work item whose bytes do not decode is in it, marked.

        :raises InvalidInput: an unknown state, or a negative limit or offset.
        """
        if limit < 0 or offset < 0:
            raise InvalidInput("limit and offset must not be negative")
        query = ListQuery(_state(state), engine, limit, offset)
        return [views.row(stored) for stored in await self.ledger.list(query)]

    async def counts(self) -> Mapping[State, int]:
        """Return how many work items are in each state."""
        return await self.ledger.counts()

    async def events(
        self, work: WorkItem | str | None = None, *, after: str | None = None, limit: int = 100
    ) -> Sequence[Event]:
        """Return events in order: the newest ``limit``, or those after an event id.

        Of one work item there are always some: what the queue's stream does not have any more
        comes from what the item keeps of its past, with one ``leased`` for each lease.

        :raises WorkNotFound: no work item has this id, and no event tells of it.
        """
        work_id = None if work is None else _id_of(work)
        found = await self.ledger.events(after=after, work_id=work_id, limit=limit)
        if work_id is None or after is not None or len(found) >= limit or is_complete(found):
            return found
        trail = await self.ledger.trail(work_id)
        if trail is None and not found:
            raise _not_found(work_id)
        return completed(found, trail or ())[-limit:]

    async def follow(
        self, work: WorkItem | str | None = None, *, after: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield events as they happen, for ever; close it with ``aclose`` or by cancelling.

        A server that is away is waited for, up to 30 s.

        :param after: an event id to go on from; None starts with what comes next.
        """
        work_id = None if work is None else _id_of(work)
        if after is None:
            newest = await self.ledger.events(limit=1)
            after = newest[-1].event_id if newest else None

        async def once() -> Sequence[Event]:
            return await self.ledger.events(
                after=after, work_id=work_id, limit=_PAGE, block_ms=_BLOCK_MS
            )

        while True:
            for event in await repeated(once, FOLLOW_PATIENCE_SECONDS, waits=True):
                after = event.event_id
                yield event

    async def dead_letters(self, limit: int = 50, offset: int = 0) -> Sequence[DeadLetter]:
        """Return a page of dead letters, complete; those that do not decode are left out.

        Their standing is still in :meth:`list` with the state ``failed``.
        """
        letters = []
        for row in await self.list(State.FAILED, limit=limit, offset=offset):
            with contextlib.suppress(CorruptRecord, WorkNotFound):
                letters.append(views.dead_letter(await self._stored(row.meta.work_id)))
        return letters

    async def workers(self) -> Sequence[WorkerInfo]:
        """Return the live workers; one whose record does not decode is left out."""
        found = []
        for raw, seen_ms in await self.ledger.workers():
            with contextlib.suppress(CorruptRecord):
                found.append(views.worker(raw, seen_ms))
        return found

    async def artifact(self, artifact_id: str) -> bytes:
        """Return an artifact's bytes, verified.

        :raises InvalidInput: not an artifact id.
        :raises ArtifactNotFound: no such artifact.
        :raises ArtifactCorrupt: the stored bytes do not hash to the id.
        """
        return await asyncio.to_thread(self.store.get, artifact_id)

    async def diagnose(self) -> Sequence[Finding]:
        """Look for what would lose data, in the server, the queue and the artifact store."""
        found = [*await self.server.diagnose(), *await self.ledger.diagnose()]
        return [*found, *await asyncio.to_thread(self.store.diagnose)]

    async def repair(
        self, *, dry_run: bool = False, progress: Callable[[int], None] | None = None
    ) -> Sequence[Repaired]:
        """Put right, from the records of the work, whatever else is derived from them.

        It is safe while workers run, and goes in small steps.

        :param dry_run: only say what would be done.
        :param progress: called now and then with how many work items were looked at so far.
        :returns: what was found, by kind; empty if all is well.
        :raises BackendError: the backend does not offer it.
        """
        return await self.ledger.repair(dry_run=dry_run, progress=progress)

    async def _stored(self, work_id: str) -> StoredWork:
        stored = await self.ledger.read(work_id)
        if stored is None:
            raise _not_found(work_id)
        return stored


def _id_of(work: WorkItem | str) -> str:
    return work.work_id if isinstance(work, WorkItem) else work


def _not_found(work_id: str) -> WorkNotFound:
    return WorkNotFound(f"no work item {work_id!r} in this queue: `roost list` shows what is there")


def _state(value: State | str | None) -> State | None:
    try:
        return None if value is None else State(value)
    except ValueError:
        raise InvalidInput(f"unknown state {value!r}: {', '.join(State)}") from None
