"""A ledger that lives in this process: the model that real ones are compared with.

It is also the quick way to test an engine or a plugin without a server. Nothing
outlives the process.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar, Final, TypeVar

from roost_core.backend.facts import Facts
from roost_core.backend.history import Rewind, StoredHistory
from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import (
    Ack,
    Beat,
    ClaimBatch,
    ClaimRequest,
    Commit,
    Enqueued,
    Failure,
    NewWork,
    Renewed,
)
from roost_core.backend.orders import Halt, Order, OrderAnswer
from roost_core.backend.rates import Tally
from roost_core.backend.renewal import Renewer
from roost_core.backend.reports import ListQuery, Purged, StoredWork
from roost_core.backend.survey import Survey
from roost_core.models.control import Actor
from roost_core.models.events import Event
from roost_core.models.work import State
from roost_core.models.worker import Lease
from roost_core.testing.clock import Clock, RealClock
from roost_core.testing.model.check import check_state
from roost_core.testing.model.state import MemoryState
from roost_core.testing.model.trail import trail_of
from roost_core.testing.model.work import listed

_T = TypeVar("_T")

#: Where the data is, for people.
DESCRIPTION: Final = "in memory, gone with this process"


class MemoryRenewer(Renewer):
    """Renews leases of a :class:`MemoryLedger`, from any thread."""

    takes_tally: ClassVar[bool] = True

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    def renew(
        self, info: bytes, beats: Sequence[Beat], lease_ttl_ms: int, tally: Tally | None = None
    ) -> Renewed:
        """Extend the leases; return the tokens of those that do not continue."""

        def renew(state: MemoryState, now: int) -> Renewed:
            if tally is not None:
                state.count(now, tally)
            return state.renew(now, info, beats, lease_ttl_ms)

        return self._ledger.run(renew)

    def fail(self, lease: Lease, failure: Failure) -> Ack:
        """Count a failed attempt.

        :raises LeaseLost: the token is not current.
        """
        return self._ledger.run(lambda state, now: state.fail(now, lease, failure))

    def interrupt(self, lease: Lease, commit_id: str, reason: str, delay_ms: int | None) -> Ack:
        """Take work back without blame.

        :raises LeaseLost: the token is not current.
        """
        return self._ledger.run(
            lambda state, now: state.interrupt(now, lease, commit_id, reason, delay_ms)
        )

    def close(self) -> None:
        """Do nothing: there is no connection."""


class MemoryLedger(Ledger):
    """The record of one queue, in memory.

    :param clock: the server's clock; a :class:`~roost_core.testing.ManualClock`
        lets a test decide when leases expire and sleepers are due.
    """

    takes_changes: ClassVar[bool] = True

    def __init__(self, clock: Clock | None = None, queue: str = "default") -> None:
        self.clock = clock or RealClock()
        self._queue = queue
        self._state = MemoryState()
        self._lock = threading.Lock()
        self._watchers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._looks: list[Callable[[], None]] = []

    def run(self, operation: Callable[[MemoryState, int], _T]) -> _T:
        """Run one operation on the state, exclusively, and wake watchers if it made an event.

        Nothing else touches the state: a ledger that keeps it elsewhere has a ``run`` of its own.
        """
        with self._lock:
            events_before = len(self._state.events)
            try:
                return operation(self._state, self.clock.now_ms())
            finally:
                if len(self._state.events) > events_before:
                    self.wake()

    def wake(self) -> None:
        """Have everybody who waits for something check again. Safe from any thread."""
        for loop, changed in tuple(self._watchers):
            loop.call_soon_threadsafe(changed.set)

    @contextmanager
    def watch(self, changed: asyncio.Event | None = None) -> Iterator[asyncio.Event]:
        """Provide an event that is set whenever the state changes; a new one if none is given."""
        watcher = (asyncio.get_running_loop(), changed or asyncio.Event())
        with self._lock:
            self._watchers.append(watcher)
        try:
            yield watcher[1]
        finally:
            with self._lock:
                self._watchers.remove(watcher)

    @contextmanager
    def told_of_orders(self, look: Callable[[], None]) -> Iterator[None]:
        """Call a function, from any thread, when people want something of what may be running."""
        with self._lock:
            self._looks.append(look)
        try:
            yield
        finally:
            with self._lock:
                self._looks.remove(look)

    def tell_of_order(self) -> None:
        """Have those who are told of orders look."""
        for look in tuple(self._looks):
            look()

    async def _wait_for(self, look: Callable[[], _T | None], timeout: float | None) -> _T | None:
        """Check again after every change, until there is something or the time is up."""
        with self.watch() as changed:
            try:
                async with asyncio.timeout(timeout):
                    while (found := look()) is None:
                        await changed.wait()
                        changed.clear()
                    return found
            except TimeoutError:
                return None

    # -- outside the interface: for tests ----------------------------------------------------

    def age_lease(self, work_id: str) -> None:
        """Make a work item's lease expire now.

        :raises KeyError: there is no such work item.
        :raises ValueError: it is not leased.
        """

        def age(state: MemoryState, now: int) -> None:
            work = state.works[work_id]
            if work.state is not State.RUNNING:
                raise ValueError(f"{work_id} is not leased")
            work.expires_ms = now

        self.run(age)
        self.wake()

    def age_due(self, work_id: str) -> None:
        """Make a sleeping work item due now, unless it is already.

        :raises KeyError: there is no such work item.
        :raises ValueError: it has no due time.
        """

        def age(state: MemoryState, now: int) -> None:
            work = state.works[work_id]
            if work.due_ms is None:
                raise ValueError(f"{work_id} has no due time")
            work.due_ms = min(work.due_ms, now)

        self.run(age)
        self.wake()

    def check(self) -> None:
        """Look for broken invariants.

        :raises AssertionError: one does not hold; the text names it.
        """
        self.run(lambda state, _now: check_state(state))

    async def now_ms(self) -> int:
        """Return the server's clock."""
        return self.clock.now_ms()

    # -- the interface -------------------------------------------------------------------------

    @property
    def queue(self) -> str:
        """The name of the queue."""
        return self._queue

    @property
    def description(self) -> str:
        """Say that it is in memory."""
        return DESCRIPTION

    async def enqueue(self, works: Sequence[NewWork]) -> list[Enqueued]:
        """Store work items, each by itself."""
        return self.run(lambda state, now: [state.enqueue(now, new) for new in works])

    async def claim(self, request: ClaimRequest) -> ClaimBatch:
        """Take leases."""
        asked_at = time.monotonic()
        return self.run(lambda state, now: state.claim(now, request, asked_at))

    async def commit(self, lease: Lease, commit: Commit) -> Ack:
        """Accept a step.

        :raises LeaseLost: the token is not current.
        :raises VersionConflict: the stored version is not the expected one.
        """
        return self.run(lambda state, now: state.commit(now, lease, commit))

    async def fail(self, lease: Lease, failure: Failure) -> Ack:
        """Count a failed attempt.

        :raises LeaseLost: the token is not current.
        """
        return self.run(lambda state, now: state.fail(now, lease, failure))

    async def interrupt(
        self, lease: Lease, commit_id: str, reason: str, delay_ms: int | None
    ) -> Ack:
        """Take work back without blame.

        :raises LeaseLost: the token is not current.
        """
        return self.run(lambda state, now: state.interrupt(now, lease, commit_id, reason, delay_ms))

    def renewer(self) -> Renewer:
        """Return a renewer."""
        return MemoryRenewer(self)

    async def retire(self, worker_id: str) -> None:
        """Remove a worker from the register."""
        self.run(lambda state, now: state.retire(now, worker_id))

    async def purge(
        self,
        retention_ms: int,
        dead_letter_retention_ms: int | None,
        limit: int,
        forgotten: Sequence[Purged] = (),
    ) -> Sequence[Purged]:
        """Remove old terminal work; what is not forgotten yet stays on record."""

        def purge(state: MemoryState, now: int) -> Sequence[Purged]:
            state.forgotten(forgotten)
            state.purge(now, retention_ms, dead_letter_retention_ms, limit)
            return state.to_forget(limit)

        return self.run(purge)

    async def order(self, work_id: str, order: Order) -> OrderAnswer:
        """Do to a work item what a person wants."""
        answer = self.run(lambda state, now: state.order(now, work_id, order))
        if answer.wish is not None:
            self.tell_of_order()
        return answer

    async def rewind(self, work_id: str, rewind: Rewind) -> OrderAnswer:
        """Put a work item back to an earlier version."""
        return self.run(lambda state, now: state.rewind(now, work_id, rewind))

    async def halt(self, engine: str, actor: Actor, request_id: str | None = None) -> bool:
        """Hold an engine."""
        return self.run(lambda state, now: state.halt(now, engine, actor, request_id))

    async def unhalt(self, engine: str, actor: Actor, request_id: str | None = None) -> bool:
        """Let the work of a held engine continue."""
        was_held = self.run(lambda state, now: state.unhalt(now, engine, actor, request_id))
        self.wake()
        return was_held

    async def halts(self) -> Sequence[Halt]:
        """Return the engines that are held, by name."""
        return self.run(lambda state, _now: [state.halted[one] for one in sorted(state.halted)])

    async def read(self, work_id: str) -> StoredWork | None:
        """Return one work item, or None."""

        def look(state: MemoryState, _now: int) -> StoredWork | None:
            work = state.works.get(work_id)
            return None if work is None else work.to_stored(with_snapshot=True)

        return self.run(look)

    async def history(self, work_id: str) -> StoredHistory | None:
        """Return what is kept of a work item's versions, or None."""

        def look(state: MemoryState, _now: int) -> StoredHistory | None:
            work = state.works.get(work_id)
            if work is None:
                return None
            stored = work.to_stored(with_snapshot=True)
            return StoredHistory(stored, work.snapshot, work.version, (*reversed(work.commits),))

        return self.run(look)

    async def facts(self, work_id: str) -> Facts | None:
        """Return what decides when a work item runs, or None."""
        return self.run(lambda state, now: state.facts(now, work_id))

    async def survey(self) -> Survey:
        """Return how the whole queue stands."""
        return self.run(lambda state, now: state.survey(now))

    async def list(self, query: ListQuery) -> Sequence[StoredWork]:
        """Return a page of work items."""
        return self.run(
            lambda state, _now: [
                work.to_stored(with_snapshot=False)
                for work in listed([*state.works.values()], query)
            ]
        )

    async def counts(self) -> Mapping[State, int]:
        """Count the work items in each state."""

        def count(state: MemoryState, _now: int) -> dict[State, int]:
            standing = [work.state for work in state.works.values()]
            return {one: standing.count(one) for one in State}

        return self.run(count)

    async def events(
        self,
        *,
        after: str | None = None,
        work_id: str | None = None,
        limit: int = 100,
        block_ms: int | None = None,
    ) -> Sequence[Event]:
        """Return events in order; see the interface."""

        def look() -> list[Event] | None:
            known = self.run(lambda state, _now: list(state.events))
            if after is not None:
                known = [event for event in known if _number(event.event_id) > _number(after)]
            if work_id is not None:
                known = [event for event in known if event.work_id == work_id]
            page = known[-limit:] if after is None else known[:limit]
            return page or None

        timeout = 0 if block_ms is None else block_ms / 1000
        return await self._wait_for(look, timeout) or []

    async def trail(self, work_id: str) -> Sequence[Event] | None:
        """Return what a work item keeps of its own past, or None."""

        def look(state: MemoryState, _now: int) -> Sequence[Event] | None:
            work = state.works.get(work_id)
            return None if work is None else trail_of(work)

        return self.run(look)

    async def wait_terminal(self, work_id: str, timeout: float | None) -> StoredWork | None:
        """Wait until a work item is terminal; see the interface."""

        def ended(state: MemoryState, _now: int) -> tuple[StoredWork | None] | None:
            work = state.works.get(work_id)
            if work is None:
                return (None,)
            return (work.to_stored(with_snapshot=True),) if work.state.is_terminal else None

        def look() -> tuple[StoredWork | None] | None:
            return self.run(ended)

        found = await self._wait_for(look, timeout)
        return await self.read(work_id) if found is None else found[0]

    async def workers(self) -> Sequence[tuple[bytes, int]]:
        """Return the workers whose last renewal can still hold a lease."""
        return self.run(
            lambda state, now: [
                (info, seen_ms)
                for info, seen_ms, ttl_ms in state.workers.values()
                if seen_ms + ttl_ms > now
            ]
        )


def _number(event_id: str) -> int:
    return int(event_id.partition("-")[0])
