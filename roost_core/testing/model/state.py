"""The rules of the ledger, written down once, plainly: the oracle of all backends.

:class:`MemoryState` keeps each work item as one object and finds what it needs
by looking at all of them. It has no indexes that could disagree with the items,
no I/O and no clock: every method takes the time as ``now``, in milliseconds.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from roost_core import codec
from roost_core.backend import (
    Ack,
    Alone,
    Beat,
    Claim,
    ClaimBatch,
    ClaimRequest,
    Commit,
    Enqueued,
    EnqueueOutcome,
    Failure,
    NewWork,
    Purged,
    Then,
)
from roost_core.errors import LeaseLost, VersionConflict
from roost_core.models import Event, Json, Lease, State, WorkerInfo
from roost_core.testing.model.blame import LEFT
from roost_core.testing.model.resources import Lines, Offers
from roost_core.testing.model.trail import add_to_trail, end_lease
from roost_core.testing.model.work import DUE_STATES, Work, error_bytes

#: The most due work items of each state that one claim makes ready.
MAX_PROMOTED: Final = 100
#: How many more work items than its limit a claim looks at.
MAX_EXTRA_INSPECTED: Final = 100
#: How long it waits at least whether a worker comes back that seems to have died. Milliseconds.
MIN_DOUBT_MS: Final = 2000
#: How many leases that have ended a work item remembers the answer of.
MAX_REMEMBERED: Final = 3


class MemoryState:
    """All work items of a queue, their events, and the rules that move them."""

    def __init__(self) -> None:
        self.works: dict[str, Work] = {}
        self.lines = Lines(self.works)
        self.offers = Offers()
        #: Per idempotency key: the digest it stands for, and the work id.
        self.keys: dict[str, tuple[str, str]] = {}
        self.events: list[Event] = []
        #: Per worker id: its encoded info, when it was last seen, and its lease TTL.
        self.workers: dict[str, tuple[bytes, int, int]] = {}
        #: Per worker id: how often it has renewed, or that it has left.
        self.beats: dict[str, int] = {}
        #: What is purged and has yet to be forgotten, in the order in which it is to be.
        self._to_forget: dict[Purged, None] = {}
        self._seq = itertools.count(1)
        self._turns = itertools.count(1)
        self._tokens = itertools.count(1)
        self._event_ids = itertools.count(1)

    # -- what all transitions are made of ---------------------------------------------------

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
            work.blame.alone = Alone.NEVER
            if work.worker_id is not None:
                work.ending = (work.leased_ms, work.leased_version, work.worker_id)
            work.token = work.worker_id = work.expires_ms = None
            # What a step said of itself is no news once it has ended.
            work.heartbeat = None

    def _note(
        self, work: Work, now: int, kind: str, data: Mapping[str, Json] | None = None
    ) -> Event:
        event = Event(
            event_id=f"{next(self._event_ids)}-0",
            at=codec.from_milliseconds(now),
            kind=kind,
            work_id=work.new.work_id,
            engine=work.new.engine,
            version=work.version,
            state=work.state,
            data={} if data is None else data,
        )
        self.events.append(event)
        add_to_trail(work, now, event)
        return event

    def _in_states(self, *states: State) -> list[Work]:
        return [work for work in self.works.values() if work.state in states]

    def _unblock(self, work: Work, now: int) -> None:
        self._place(work, now, State.QUEUED)
        self._note(work, now, "unblocked")

    def _pass_on(self, work: Work, now: int) -> None:
        """Let those run who can now that a work item has left its resources, or their lines."""
        for waiter in self.lines.who_can_run(work.resources):
            self._unblock(waiter, now)

    def _void_reservations(self, now: int) -> None:
        """Let those step out of the lines who are late, or whose engine nobody runs any more."""
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

    # -- enqueue ------------------------------------------------------------------------------

    def enqueue(self, now: int, new: NewWork) -> Enqueued:
        """Store one work item, or say what stands in its place."""
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
        self._note(work, now, "enqueued")
        return Enqueued(EnqueueOutcome.CREATED, new.work_id)

    # -- claim --------------------------------------------------------------------------------

    def claim(self, now: int, request: ClaimRequest, asked_at: float = 0.0) -> ClaimBatch:
        """Promote what is due, recover what has expired, and take what is first.

        :param asked_at: the caller's monotonic clock, handed back with each claim.
        """
        dead_letters = self._promote(now)
        self._recover(now, request)
        claims: list[Claim] = []
        together = self._together(request)
        for _ in range(request.limit + MAX_EXTRA_INSPECTED):
            ready = self._ready_for(request, claims, together)
            if not ready or len(claims) == request.limit:
                break
            work = ready[0]
            busy = self.lines.in_the_way(work)
            if work.is_late(now):
                self._dead_letter(work, now, error_bytes("deadline", "its deadline has passed"))
                dead_letters.append(work.new.work_id)
            elif busy is not None:
                self._place(work, now, State.BLOCKED, blocked_on=busy)
                self._note(work, now, "blocked", {"resource": busy})
                self.offers.claimed(now, request.worker_id, request.engines)
            else:
                claims.append(self._lease(work, now, request, asked_at, together))
        is_more = self._ready_for(request, claims, 0) or any(claim.is_solo for claim in claims)
        return ClaimBatch(
            claims=tuple(claims),
            dead_letters=tuple(dead_letters),
            next_wake_ms=0 if is_more else self._next_wake_ms(now),
            drain=request.alone is Alone.NEVER
            and request.can_drain
            and self._is_suspect_kept_waiting(now, request),
        )

    def _suspected(self, engines: Sequence[str]) -> list[Work]:
        """Return what is ready and suspected; those first that have done the least harm."""
        suspected = [work for work in self._ready(engines) if work.blame.is_suspected]
        return sorted(suspected, key=lambda work: work.blame.deaths)

    def _together(self, request: ClaimRequest) -> int:
        """Return how many of those that are suspected may come with this claim."""
        if request.alone is not Alone.MAY:
            return 0
        line = self._suspected(request.engines)[: request.limit]
        size, least = 0, request.limit
        for work in line:
            least = min(least, work.blame.company(request.limit))
            if least <= size:
                break
            size += 1
        return size

    def _ready_for(
        self, request: ClaimRequest, claims: Sequence[Claim], together: int
    ) -> list[Work]:
        """Return what may be leased next; what is suspected only to whom runs nothing else."""
        ready = self._ready(request.engines)
        others = [work for work in ready if not work.blame.is_suspected]
        if request.alone is Alone.ALWAYS:
            return others or ([] if claims else self._suspected(request.engines))
        if together and (not claims or claims[0].is_solo):
            line = self._suspected(request.engines) if len(claims) < together else []
            if line and line[0].blame.company(request.limit) >= together:
                return line
        if any(claim.is_solo for claim in claims):
            return []
        return others

    def _is_suspect_kept_waiting(self, now: int, request: ClaimRequest) -> bool:
        return any(
            work.blame.is_suspected and now - work.updated_ms > request.lease_ttl_ms
            for work in self._ready(request.engines)
        )

    def _recover(self, now: int, request: ClaimRequest) -> None:
        """Take back expired leases.

        They come back to their old places, so no more than the claim takes, and half of that
        if others wait; where that is no whole number, every second claim has one more.
        """
        expired = [
            work
            for work in self._in_states(State.RUNNING)
            if work.expires_ms is not None and work.expires_ms <= now
        ]
        expired.sort(key=lambda work: (work.expires_ms, work.id_bytes))
        if not expired:
            return
        half = (request.limit + next(self._turns) % 2) // 2
        # What is suspected stands in a line of its own.
        waiting = [work for work in self._ready(request.engines) if not work.blame.is_suspected]
        room = max(half, request.limit - len(waiting))
        for work in expired[:room]:
            holder = work.worker_id or ""
            work.blame.note_lost(holder, request.worker_id, self.beats)
            if work.blame.is_in_doubt(work.new.max_recoveries):
                # One that was only cut off, or stopped, has this long to come back.
                due_ms = now + max(2 * request.lease_ttl_ms, MIN_DOUBT_MS)
                self._place(work, now, State.RETRY_WAIT, due_ms=due_ms)
            else:
                self._place(work, now, State.QUEUED)
            self._forget_answers(work)
            self._note(work, now, "recovered", {"worker_id": holder})
            self._pass_on(work, now)

    def _promote(self, now: int) -> list[str]:
        """Make ready what is due; return the ids of those that are dead letters instead."""
        dead_letters: list[str] = []
        chosen: list[Work] = []
        for state in DUE_STATES:
            due = [w for w in self._in_states(state) if w.due_ms is not None and w.due_ms <= now]
            due.sort(key=lambda work: (work.due_ms, work.id_bytes))
            chosen += due[:MAX_PROMOTED]
        chosen.sort(key=lambda work: (work.due_ms, work.id_bytes))
        for work in chosen:
            if self._dies_of_doubt(work, now):
                dead_letters.append(work.new.work_id)
                continue
            work.seq = next(self._seq)
            self._place(work, now, State.QUEUED)
        return dead_letters

    def _dies_of_doubt(self, work: Work, now: int) -> bool:
        """Judge what waited for certainty, and bury it if it has killed too many workers alone."""
        if not work.blame.is_in_doubt(work.new.max_recoveries):
            return False
        work.blame.judge(self.beats)
        deaths = work.blame.deaths
        if deaths < max(1, work.new.max_recoveries):
            return False
        message = f"{deaths} workers that ran nothing else died over this step"
        self._dead_letter(work, now, error_bytes("recoveries", message))
        return True

    def _ready(self, engines: Sequence[str]) -> list[Work]:
        ready = [work for work in self._in_states(State.QUEUED) if work.new.engine in engines]
        return sorted(ready, key=lambda work: work.ready_order)

    def _lease(
        self, work: Work, now: int, request: ClaimRequest, asked_at: float, together: int
    ) -> Claim:
        is_suspected = work.blame.is_suspected
        self._place(work, now, State.RUNNING)
        work.leased_ms, work.leased_version = now, work.version
        if request.alone is Alone.ALWAYS or (together == 1 and is_suspected):
            work.blame.alone = request.alone
        work.fence += 1
        work.token = f"token-{next(self._tokens)}"
        work.worker_id = request.worker_id
        work.expires_ms = now + request.lease_ttl_ms
        if work.started_ms is None:
            work.started_ms = now
        self._note(work, now, "claimed", {"worker_id": request.worker_id, "fence": work.fence})
        return Claim(
            lease=Lease(
                work_id=work.new.work_id,
                worker_id=request.worker_id,
                token=work.token,
                fence=work.fence,
                expires_at=codec.from_milliseconds(work.expires_ms),
            ),
            engine=work.new.engine,
            version=work.version,
            attempts=work.attempts,
            recoveries=work.blame.deaths,
            created_ms=work.created_ms,
            committed_ms=work.committed_ms,
            deadline_ms=work.new.deadline_ms,
            item=work.new.item,
            snapshot=work.snapshot,
            asked_at=asked_at,
            is_solo=request.alone is Alone.MAY and is_suspected,
        )

    def _next_wake_ms(self, now: int) -> int | None:
        times = [work.due_ms for work in self._in_states(*DUE_STATES)]
        times += [work.expires_ms for work in self._in_states(State.RUNNING)]
        known = [time for time in times if time is not None]
        return max(1, min(known) - now) if known else None

    # -- what a holder does -------------------------------------------------------------------

    def _answered(self, lease: Lease, commit_id: str, transition: Callable[[Work], Ack]) -> Ack:
        """Run a transition under a current lease, once: a repeat gets the first answer."""
        work = self.works.get(lease.work_id)
        if work is None:
            raise LeaseLost(f"there is no work item {lease.work_id}")
        recorded = work.answers.get(lease.token)
        if recorded is not None and recorded[0] == commit_id:
            return recorded[1]
        if work.token != lease.token:
            raise LeaseLost(f"the lease on {lease.work_id} is not the current one")
        ack = transition(work)
        work.answers.pop(lease.token, None)
        work.answers[lease.token] = (commit_id, ack)
        self._forget_answers(work)
        return ack

    @staticmethod
    def _forget_answers(work: Work) -> None:
        most = MAX_REMEMBERED + (work.token in work.answers)
        while len(work.answers) > most:
            del work.answers[next(iter(work.answers))]

    @staticmethod
    def _ack(work: Work, now: int) -> Ack:
        return Ack(work.state, work.version, work.attempts, now, work.due_ms)

    def commit(self, now: int, lease: Lease, commit: Commit) -> Ack:
        """Accept a step.

        :raises LeaseLost: the token is not current.
        :raises VersionConflict: the stored version is not the expected one.
        """

        def transition(work: Work) -> Ack:
            if work.version != commit.expected_version:
                raise VersionConflict(
                    f"{lease.work_id} is at version {work.version}, "
                    f"and this step started from {commit.expected_version}"
                )
            work.version += 1
            work.step = commit.step
            work.snapshot = commit.snapshot
            work.committed_ms = now
            work.attempts = 0
            work.blame.step_accepted()
            work.error = work.heartbeat = None
            is_last = work.is_last_in_row
            work.steps_in_row += 1
            self._place_after_commit(work, now, commit, is_last)
            ending, work.ending = work.ending, None
            ended, last = "committed", self._note(work, now, "committed", {"step": commit.step})
            for event in commit.events:
                last = self._note(work, now, "emitted", json.loads(event))
            if is_last and work.state is State.QUEUED:
                message = f"it took {work.steps_in_row} steps in a row without a delay"
                self._dead_letter(work, now, error_bytes("steps", message))
                last = work.trail[-1]
                ended = last.kind
            end_lease(work, now, ended, last.event_id, ending)
            if work.state is not State.RUNNING:
                self._pass_on(work, now)
            return self._ack(work, now)

        return self._answered(lease, commit.commit_id, transition)

    def _place_after_commit(self, work: Work, now: int, commit: Commit, is_last: bool) -> None:
        if commit.then is Then.FINISH:
            self._place(work, now, State.DONE)
        elif commit.then is Then.SLEEP:
            due_ms = work.not_past_deadline(now + commit.delay_ms)
            self._place(work, now, State.SLEEPING, due_ms=due_ms)
            work.steps_in_row = 0
        elif commit.then is Then.CONTINUE and not work.is_late(now) and not is_last:
            self._place(work, now, State.RUNNING)
            if commit.lease_ttl_ms:
                work.expires_ms = now + commit.lease_ttl_ms
        else:
            work.seq = next(self._seq)
            self._place(work, now, State.QUEUED)

    def fail(self, now: int, lease: Lease, failure: Failure) -> Ack:
        """Count a failed attempt: retry later, or dead-letter.

        :raises LeaseLost: the token is not current.
        """

        def transition(work: Work) -> Ack:
            work.attempts += 1
            if failure.permanent or work.attempts >= work.new.max_attempts:
                self._dead_letter(work, now, failure.error)
            else:
                work.error = failure.error
                due_ms = work.not_past_deadline(now + failure.delay_ms)
                self._place(work, now, State.RETRY_WAIT, due_ms=due_ms)
                self._note(work, now, "attempt_failed", {"error": json.loads(failure.error)})
                self._pass_on(work, now)
            return self._ack(work, now)

        return self._answered(lease, failure.commit_id, transition)

    def interrupt(
        self, now: int, lease: Lease, commit_id: str, reason: str, delay_ms: int | None
    ) -> Ack:
        """Take work back without blame: no counter moves, and its place in the queue is kept.

        :raises LeaseLost: the token is not current.
        """

        def transition(work: Work) -> Ack:
            if delay_ms is None:
                self._place(work, now, State.QUEUED)
            else:
                due_ms = work.not_past_deadline(now + delay_ms)
                self._place(work, now, State.SLEEPING, due_ms=due_ms)
            self._note(work, now, "interrupted", {"reason": reason})
            self._pass_on(work, now)
            return self._ack(work, now)

        return self._answered(lease, commit_id, transition)

    def renew(self, now: int, info: bytes, beats: Iterable[Beat], ttl_ms: int) -> list[str]:
        """Extend leases and register their worker; return the tokens that are not current."""
        worker = codec.decode_model(WorkerInfo, info)
        self.workers[worker.worker_id] = (info, now, ttl_ms)
        self._beat(worker.worker_id)
        self.offers.renewed(now, worker)
        lost = []
        for beat in beats:
            work = self.works.get(beat.work_id)
            if work is None or work.token != beat.token:
                lost.append(beat.token)
                continue
            work.expires_ms = now + ttl_ms
            if beat.heartbeat is not None:
                work.heartbeat = beat.heartbeat
        self._void_reservations(now)
        return lost

    def retire(self, now: int, worker_id: str) -> None:
        """Strike a worker from the register: it leaves, and has not died."""
        self.workers.pop(worker_id, None)
        self.beats[worker_id] = LEFT
        self.offers.retired(worker_id)
        self._void_reservations(now)

    def _beat(self, worker_id: str) -> None:
        self.beats[worker_id] = max(0, self.beats.get(worker_id, 0)) + 1

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
            del self.works[work.new.work_id]
            if work.new.idempotency_key is not None:
                del self.keys[work.new.idempotency_key]
            self._note(work, now, "purged")
            self._to_forget[Purged(work.new.work_id, work.created_ms)] = None
        self._void_reservations(now)

    def to_forget(self, limit: int) -> list[Purged]:
        """Return what is purged and not forgotten; what is returned goes to the end of the line."""
        found = [*self._to_forget][:limit]
        for one in found:
            self._to_forget[one] = self._to_forget.pop(one)
        return found

    def forgotten(self, those: Iterable[Purged]) -> None:
        """Strike what is forgotten off the record."""
        for one in those:
            self._to_forget.pop(one, None)
