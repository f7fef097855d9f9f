"""The rules of the ledger, written down once, plainly: the oracle for all backends.

:class:`MemoryState` keeps each work item as one object and finds what it needs
by looking at all of them. It has no indexes that could disagree with the items,
no I/O and no clock: every method takes the time as ``now``, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from roost_core.backend.history import ForkOf
from roost_core.backend.messages import (
    Enqueued,
    EnqueueOutcome,
    NewWork,
)
from roost_core.backend.reports import Purged, StoredFork
from roost_core.models.work import State
from roost_core.testing.model.claiming import Claiming
from roost_core.testing.model.controlling import Controlling
from roost_core.testing.model.holding import Holding
from roost_core.testing.model.surveying import Surveying
from roost_core.testing.model.wishes import who_did
from roost_core.testing.model.work import Work
from roost_core.values import Json

#: How many of its forks a work item names.
MAX_FORKS: Final = 100


class MemoryState(Claiming, Holding, Controlling, Surveying):
    """All work items of a queue, their events, and the rules that move them."""

    def enqueue(self, now: int, new: NewWork) -> Enqueued:
        """Store one work item, or say what is there instead."""
        if new.idempotency_key is not None and new.idempotency_key in self.keys:
            digest, work_id = self.keys[new.idempotency_key]
            if digest != new.digest:
                return Enqueued(EnqueueOutcome.CONFLICT, work_id)
            is_repeat = self.works[work_id].new.nonce == new.nonce
            outcome = EnqueueOutcome.CREATED if is_repeat else EnqueueOutcome.EXISTING
            return Enqueued(outcome, work_id)
        if new.work_id in self.works:
            is_repeat = self.works[new.work_id].new.nonce == new.nonce
            outcome = EnqueueOutcome.CREATED if is_repeat else EnqueueOutcome.TAKEN
            return Enqueued(outcome, new.work_id)
        work = Work(
            new=new,
            state=State.QUEUED,
            seq=next(self._seq),
            created_ms=now,
            updated_ms=now,
            since_ms=now,
        )
        if new.delay_ms > 0:
            due_ms = work.not_past_deadline(now + new.delay_ms)
            self._place(work, now, State.SLEEPING, due_ms=due_ms)
        self.works[new.work_id] = work
        if new.idempotency_key is not None:
            self.keys[new.idempotency_key] = (new.digest, new.work_id)
        told = {} if new.fork_of is None else self._take_past(work, now, new.fork_of)
        self._note(work, now, "enqueued", told)
        return Enqueued(EnqueueOutcome.CREATED, new.work_id)

    def _take_past(self, work: Work, now: int, fork: ForkOf) -> dict[str, Json]:
        """Begin with a version of another work item, which notes it; return the event's data."""
        work.commits = [*reversed(fork.commits)]
        work.put_back(fork.past, now, self.history)
        by, at = who_did(fork.actor), fork.past.from_version
        origin = self.works.get(fork.origin)
        if origin is not None:
            made = StoredFork(work.new.work_id, at, now)
            origin.forks = (made, *origin.forks)[:MAX_FORKS]
            self._note(origin, now, "forked", {"work_id": made.work_id, "from_version": at, **by})
        return {"forked_from": fork.origin, "from_version": at, **by}

    def purge(
        self, now: int, retention_ms: int, dead_letter_retention_ms: int | None, limit: int
    ) -> None:
        """Remove what has been terminal for longer than the retention, the oldest first."""
        old = [
            work
            for work in self._in_states(State.DONE, State.CANCELLED)
            if work.finished_ms is not None and work.finished_ms <= now - retention_ms
        ]
        if dead_letter_retention_ms is not None:
            old += [
                work
                for work in self._in_states(State.FAILED)
                if work.finished_ms is not None
                and work.finished_ms <= now - dead_letter_retention_ms
            ]
        old.sort(key=lambda work: (work.finished_ms, work.id_bytes))
        for work in old[:limit]:
            self._note(work, now, "purged")
            self._remove(work)
        self._void_reservations(now)

    def to_forget(self, limit: int) -> list[Purged]:
        """Return what is purged and not forgotten; what is returned goes to the end of the line."""
        found = [*self._to_forget][:limit]
        for one in found:
            self._to_forget[one] = self._to_forget.pop(one)
        return found

    def forgotten(self, those: Iterable[Purged]) -> None:
        """Remove from the record what is forgotten."""
        for one in those:
            self._to_forget.pop(one, None)
