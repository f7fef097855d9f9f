"""Roost for Python programs: enqueue work, inspect it, wait for it, follow it.

::

    async with Roost.connect() as roost:
        item = await roost.enqueue("watchlist", {"url": "https://example.com", ...})
        status = await roost.work(item).wait()
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import attrs

from roost_core.backend.reports import Finding, ListQuery, Repaired
from roost_core.backend.searching import LOOK
from roost_core.client import events
from roost_core.client.connection import Connection
from roost_core.client.work import Work
from roost_core.errors import CorruptRecord, RoostError, UnknownEngine
from roost_core.models.checks import check_limit
from roost_core.models.events import Event
from roost_core.models.standing import DeadLetter, WorkRow
from roost_core.models.work import RetryPolicy, State, WorkItem, state_of
from roost_core.models.worker import WorkerInfo
from roost_core.shown import views
from roost_core.values import Json

if TYPE_CHECKING:
    # Most commands do without.
    from roost_core.client.engine import Engine
    from roost_core.client.enqueueing import Enqueueing
    from roost_core.client.finding import Count, Matches
    from roost_core.client.requests import EnqueueRequest
    from roost_core.client.select import Selection
    from roost_core.models.control import HeldEngine
    from roost_core.models.overview import Overview
    from roost_core.query.grouping import By
    from roost_core.query.terms import Query


@attrs.define(eq=False)
class Roost(Connection):
    """What a program does with one queue, over a connection to it.

    Make it with :meth:`~roost_core.client.connection.Connection.connect`; enter it with ``async
    with``. Without that each method raises :class:`~roost_core.errors.RoostError`; if the server
    refuses for good, such as a login, each raises :class:`~roost_core.errors.BackendError`.
    """

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
        labels: Mapping[str, str] | None = None,
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

        The arguments are :class:`EnqueueRequest`'s. One without an answer is repeated for a few
        seconds under the same id, so it counts only once.

        :param any_engine: accept an engine that nobody offers yet.
        :raises InvalidInput: a value cannot be accepted; the text says which.
        :raises CodecError: the payload is not JSON, too deep, or over 1 MiB.
        :raises UnknownEngine: neither an installed plugin nor a live worker offers it.
        :raises WorkIdTaken: the id belongs to another work item.
        :raises IdempotencyConflict: the key was used for another engine or payload.
        :raises CorruptRecord: the key's work item is already stored, and does not decode.
        :raises WorkNotFound: it was purged meanwhile.
        :raises DiskFull: the server can store nothing more.
        :raises BackendUnavailable: no answer; whether it was stored is not known.
        """
        from roost_core.client.requests import EnqueueRequest

        request = EnqueueRequest(
            engine=engine,
            payload=payload,
            work_id=work_id,
            idempotency_key=idempotency_key,
            priority=priority,
            resources=resources,
            labels=labels or {},
            delay_seconds=delay_seconds,
            deadline_at=deadline_at,
            deadline_seconds=deadline_seconds,
            title=title,
            retry=retry,
            max_recoveries=max_recoveries,
            max_steps=max_steps,
            step_timeout_seconds=step_timeout_seconds,
        )
        (result,) = await self.enqueue_many([request], any_engine=any_engine)
        if isinstance(result, RoostError):
            raise result
        return result

    async def enqueue_many(
        self, requests: Iterable[EnqueueRequest], *, any_engine: bool = False
    ) -> list[WorkItem | RoostError]:
        """Store many work items, pipelined in chunks; each one is all or nothing.

        :returns: per request, in order, the work item or the error that
            :meth:`enqueue` would have raised. A refused one does not stop the rest.
        :raises DiskFull: the server can store nothing more.
        :raises BackendUnavailable: no answer for a chunk. With ids or keys of your own it is safe
            to send everything again.
        """
        return await self._enqueueing().send(requests, any_engine=any_engine)

    async def unknown_engines(self, engines: Iterable[str]) -> dict[str, UnknownEngine]:
        """Return those of the engines that nobody offers, each with its error.

        Live workers are consulted only if the installed plugins do not settle it.

        :raises BackendUnavailable: no answer.
        """
        return await self._enqueueing().unknown_engines(engines)

    def _enqueueing(self) -> Enqueueing:
        from roost_core.client.enqueueing import Enqueueing

        return Enqueueing(self.plugins, self.server, self.ledger)

    # -- one work item ---------------------------------------------------------------------

    def work(self, work: WorkItem | str) -> Work:
        """Return a handle on one work item. Sends no request.

        :param work: a work item, or its id.
        :raises InvalidInput: the string cannot be a work id.
        """
        return Work(self, work.work_id if isinstance(work, WorkItem) else work)

    # -- the queue -------------------------------------------------------------------------

    async def list(
        self,
        state: State | str | None = None,
        engine: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[WorkRow]:
        """Return a page of work items: newest first, or next first for a state that waits.

        A work item whose bytes do not decode is included, and marked.

        :raises InvalidInput: an unknown state, or a negative limit or offset.
        :raises BackendUnavailable: no answer.
        """
        check_limit(limit)
        check_limit(offset, "offset")
        query = ListQuery(state_of(state), engine, limit, offset)
        return [views.row(stored) for stored in await self.ledger.list(query)]

    async def find(
        self,
        query: Query | str = "",
        *,
        limit: int = 50,
        look: int = LOOK,
        cursor: str | None = None,
        reverse: bool = False,
    ) -> Matches:
        """Return work items that a query is true of: ``state:failed engine:crawl error:"429"``.

        ``docs/finding.md`` has the language. They come in the order of :meth:`list` where that is
        possible; the answer says whether there may be more.

        :param look: look at no more work items than this, where the index does not tell.
        :param cursor: of the answer before, whose next page is wanted.
        :param reverse: the other way round, where they come in the order of :meth:`list`.
        :raises InvalidInput: the text is no query, a negative limit, or no cursor of this query.
        :raises BackendUnavailable: no answer.
        """
        from roost_core.client import finding

        return await finding.find(self, query, limit, look, cursor, reverse)

    async def count(
        self, query: Query | str = "", *, by: By | str | None = None, look: int = LOOK
    ) -> Count:
        """Count work items that a query is true of.

        By state, engine, label, id prefix and error fingerprint it is exact, and takes as long
        whatever the size of the queue; the rest is looked at, and the answer says how many.

        :param by: count apart by ``state``, ``engine``, ``error`` or ``label:KEY``.
        :param look: look at no more work items than this, where the index does not tell.
        :raises InvalidInput: the text is no query, or it cannot be counted by this.
        :raises BackendUnavailable: no answer.
        """
        from roost_core.client import finding

        return await finding.count(self, query, by, look)

    def select(self, query: Query | str) -> Selection:
        """Return what a query is true of, to count it, read it or do something with it.

        :raises InvalidInput: the text is no query.
        """
        from roost_core.client.finding import query_of
        from roost_core.client.select import Selection

        return Selection(self, query_of(query))

    async def overview(self) -> Overview:
        """Return the queue at one glance: what needs a person, what is odd, why work waits.

        And what workers and resources are busy with. It changes nothing, and takes about as long in
        a large queue as in a small one.

        :raises BackendUnavailable: no answer.
        """
        from roost_core.client.overview import overview

        return await overview(self)

    async def counts(self) -> Mapping[State, int]:
        """Return how many work items are in each state.

        :raises BackendUnavailable: no answer.
        """
        return await self.ledger.counts()

    async def events(self, *, after: str | None = None, limit: int = 100) -> Sequence[Event]:
        """Return the queue's events in order: the newest ``limit``, or those after an event id.

        :meth:`Work.events` returns those of one work item.

        :raises InvalidInput: the limit is no whole number, or negative.
        :raises BackendUnavailable: no answer.
        """
        check_limit(limit)
        return await self.ledger.events(after=after, limit=limit)

    def follow(self, *, after: str | None = None) -> AsyncGenerator[Event, None]:
        """Yield the queue's events as they happen, for ever.

        Close it with ``aclose`` or by cancelling. It waits up to 30 s for an unreachable server.

        :param after: an event id to continue from; None starts with the next event.
        :raises BackendUnavailable: the server is unreachable for longer.
        """
        return events.follow(self.ledger, None, after)

    async def dead_letters(self, limit: int = 50, offset: int = 0) -> Sequence[DeadLetter]:
        """Return a page of complete dead letters; those that do not decode are left out.

        Their standing is still in :meth:`list` with the state ``failed``.

        :raises InvalidInput: a negative limit or offset.
        :raises BackendUnavailable: no answer.
        """
        letters = []
        for row in await self.list(State.FAILED, limit=limit, offset=offset):
            stored = await self.ledger.read(row.meta.work_id)
            with contextlib.suppress(CorruptRecord):
                if stored is not None:
                    letters.append(views.dead_letter(await self.whole_work(stored)))
        return letters

    async def workers(self) -> Sequence[WorkerInfo]:
        """Return the live workers; one whose record does not decode is left out.

        :raises BackendUnavailable: no answer.
        """
        from roost_core.client.enqueueing import workers

        return await workers(self.ledger)

    def engine(self, engine: str) -> Engine:
        """Return a handle on one engine of the queue, to hold it. Sends no request.

        :raises InvalidInput: the string cannot be an engine's id.
        """
        from roost_core.client.engine import Engine

        return Engine(self, engine)

    async def held_engines(self) -> Sequence[HeldEngine]:
        """Return the engines that are held, by name.

        :raises BackendUnavailable: no answer.
        """
        return await self.controlling.held()

    async def artifact(self, artifact_id: str) -> bytes:
        """Return an artifact's bytes, verified.

        :raises InvalidInput: not an artifact id.
        :raises ArtifactNotFound: no such artifact.
        :raises ArtifactCorrupt: the stored bytes do not hash to the id.
        :raises ArtifactError: the store cannot be read.
        :raises PluginError: no plugin offers a store, or it fails.
        """
        return await asyncio.to_thread(self.store.get, artifact_id)

    async def diagnose(self) -> Sequence[Finding]:
        """Check the server, the queue and the artifact store for what would lose data.

        :raises BackendUnavailable: no answer.
        :raises PluginError: no plugin offers a store, or it fails.
        """
        found = [*await self.server.diagnose(), *await self.ledger.diagnose()]
        from roost_core.client.engine import held_finding

        found += [held_finding(one) for one in await self.held_engines()]
        return [*found, *await asyncio.to_thread(self.store.diagnose)]

    async def repair(
        self, *, dry_run: bool = False, progress: Callable[[int], None] | None = None
    ) -> Sequence[Repaired]:
        """Repair whatever is derived from the records of the work.

        It is safe while workers run, and proceeds in small steps.

        :param dry_run: only report what would be done.
        :param progress: called now and then with the number of work items checked so far.
        :returns: what was found, by kind; empty if all is well.
        :raises BackendError: the backend does not support it.
        :raises BackendUnavailable: no answer; what was repaired so far stays repaired.
        """
        return await self.ledger.repair(dry_run=dry_run, progress=progress)
