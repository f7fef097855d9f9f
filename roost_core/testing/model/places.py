"""All work items of a queue, the one place where each stands, and what moves it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from roost_core.backend.messages import (
    Alone,
)
from roost_core.backend.orders import Halt
from roost_core.backend.rates import Tally
from roost_core.backend.reports import Purged
from roost_core.codec.times import from_milliseconds
from roost_core.models.events import Event
from roost_core.models.work import State
from roost_core.testing.model.resources import Lines, Offers
from roost_core.testing.model.trail import add_to_trail
from roost_core.testing.model.work import Work
from roost_core.values import Json


class Numbers:
    """1, 2, 3 and so on; unlike ``itertools.count`` it can be pickled in every Python."""

    def __init__(self) -> None:
        self._last = 0

    def __next__(self) -> int:
        """Return the next one."""
        self._last += 1
        return self._last


class Places:
    """All work items of a queue, their events, and where each stands."""

    def __init__(self) -> None:
        self.works: dict[str, Work] = {}
        self.lines = Lines(self.works)
        #: The engines that people hold.
        self.halted: dict[str, Halt] = {}
        #: Per engine: the requests to hold and release it that were done, newest first.
        self._holds: dict[str, list[str]] = {}
        self.offers = Offers(self.halted)
        #: Per idempotency key: the digest it stands for, and the work id.
        self.keys: dict[str, tuple[str, str]] = {}
        self.events: list[Event] = []
        #: Per worker id: its encoded info, when it was last seen, and its lease TTL.
        self.workers: dict[str, tuple[bytes, int, int]] = {}
        #: Per worker id: how often it has renewed, or that it has left.
        self.beats: dict[str, int] = {}
        #: What workers have done, each with the minute in which they said so.
        self.tallies: list[tuple[int, Tally]] = []
        #: What is purged and has yet to be forgotten; the next one first.
        self._to_forget: dict[Purged, None] = {}
        #: How many versions of each work item are kept as history, and in how many bytes.
        self.history = (50, 1 << 20)
        self._seq = Numbers()
        self._turns = Numbers()
        self._event_ids = Numbers()

    def _place(
        self,
        work: Work,
        now: int,
        state: State,
        *,
        due_ms: int | None = None,
        blocked_on: str | None = None,
    ) -> None:
        """Put a work item in exactly one place; unless that is a lease, its lease ends."""
        if work.state is not state:
            work.since_ms = now
        work.state = state
        work.due_ms = due_ms
        work.blocked_on = blocked_on
        work.updated_ms = now
        if state.is_terminal:
            work.finished_ms = now
        if state is not State.QUEUED:
            work.is_in_line = state is State.BLOCKED
        if state is not State.RUNNING:
            work.is_last_step = False
            work.blame.alone = Alone.NEVER
            if work.worker_id is not None:
                work.ending = (work.leased_ms, work.leased_version, work.worker_id)
            work.token = work.worker_id = work.expires_ms = None
            # What a step said about itself is no longer news once it has ended.
            work.heartbeat = None

    def _note(
        self, work: Work, now: int, kind: str, data: Mapping[str, Json] | None = None
    ) -> Event:
        event = self._event(work, now, kind, {} if data is None else data)
        add_to_trail(work, now, event)
        return event

    def _event(self, work: Work, now: int, kind: str, data: Mapping[str, Json]) -> Event:
        new = work.new
        return self._add_event(now, kind, new.work_id, new.engine, work.version, work.state, data)

    def _add_event(
        self,
        now: int,
        kind: str,
        work_id: str,
        engine: str,
        version: int,
        state: State,
        data: Mapping[str, Json],
    ) -> Event:
        event = Event(
            event_id=f"{next(self._event_ids)}-0",
            at=from_milliseconds(now),
            kind=kind,
            work_id=work_id,
            engine=engine,
            version=version,
            state=state,
            data=data,
        )
        self.events.append(event)
        return event

    def _remove(self, work: Work) -> Purged:
        """Remove a work item, and note that it is to be forgotten."""
        del self.works[work.new.work_id]
        if work.new.idempotency_key is not None:
            del self.keys[work.new.idempotency_key]
        gone = Purged(work.new.work_id, work.created_ms)
        self._to_forget[gone] = None
        return gone

    def _in_states(self, *states: State) -> list[Work]:
        return [work for work in self.works.values() if work.state in states]

    def _ready(self, engines: Sequence[str]) -> list[Work]:
        offered = {*engines} - {*self.halted}
        ready = [work for work in self._in_states(State.QUEUED) if work.new.engine in offered]
        return sorted(ready, key=lambda work: work.ready_order)

    def _unblock(self, work: Work, now: int) -> None:
        self._place(work, now, State.QUEUED)
        self._note(work, now, "unblocked")

    def _pass_on(self, work: Work, now: int) -> None:
        """Unblock what can run now that a work item has left its resources, or their lines."""
        for waiter in self.lines.who_can_run(work.resources):
            self._unblock(waiter, now)

    def _void_reservations(self, now: int) -> None:
        """Take late work out of the lines, and work whose engine nobody runs any more."""
        void = [
            work
            for work in self.works.values()
            if work.is_in_line and (work.is_late(now) or not self.offers.has(now, work.new.engine))
        ]
        for work in void:
            work.is_in_line = False
            if work.state is State.BLOCKED:
                self._unblock(work, now)
        for work in void:
            self._pass_on(work, now)

    def _dead_letter(self, work: Work, now: int, error: bytes) -> None:
        work.error = error
        self._place(work, now, State.FAILED)
        self._note(work, now, "dead_lettered", {"error": json.loads(error)})
        self._pass_on(work, now)
