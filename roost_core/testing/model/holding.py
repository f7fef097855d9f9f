"""What the holder of a lease does in the model: commit, fail, give back, renew, leave."""

from __future__ import annotations

import json
from collections.abc import Iterable

from roost_core.backend.messages import (
    Ack,
    Beat,
    Commit,
    Failure,
    Finish,
    GoOn,
    Renewed,
    Sleep,
)
from roost_core.codec.records import decode_model
from roost_core.errors import VersionConflict
from roost_core.models.work import State
from roost_core.models.worker import Lease, WorkerInfo
from roost_core.testing.model.answers import Answers
from roost_core.testing.model.blame import LEFT
from roost_core.testing.model.trail import end_lease
from roost_core.testing.model.wishes import FINAL
from roost_core.testing.model.work import Work, error_bytes
from roost_core.values import Json


class Holding(Answers):
    """Moves work under leases, and keeps the register of workers."""

    def commit(self, now: int, lease: Lease, commit: Commit) -> Ack:
        """Accept a step.

        :raises LeaseLost: the token is not current.
        :raises VersionConflict: the stored version is not the expected one.
        """

        def transition(work: Work) -> Ack:
            if work.wish in FINAL:
                return self._let_go(work, now)
            if work.version != commit.expected_version:
                raise VersionConflict(
                    f"{lease.work_id} is at version {work.version}, "
                    f"and this step started from {commit.expected_version}"
                )
            if not work.may_take(commit):
                raise VersionConflict(f"{lease.work_id} is not at a version that changes follow")
            work.take_snapshot(commit, lease.worker_id, now, self.history)
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
                self._obey(work, now)
            return self._ack(work, now)

        return self._answered(lease, commit.commit_id, transition)

    def _place_after_commit(self, work: Work, now: int, commit: Commit, is_last: bool) -> None:
        what_follows = commit.next
        if isinstance(what_follows, Finish):
            self._place(work, now, State.DONE)
        elif isinstance(what_follows, Sleep):
            due_ms = work.not_past_deadline(now + what_follows.delay_ms)
            self._place(work, now, State.SLEEPING, due_ms=due_ms)
            work.steps_in_row = 0
        elif isinstance(what_follows, GoOn) and work.may_go_on(now) and not is_last:
            self._place(work, now, State.RUNNING)
            if what_follows.lease_ttl_ms:
                work.expires_ms = now + what_follows.lease_ttl_ms
        else:
            work.seq = next(self._seq)
            self._place(work, now, State.QUEUED)

    def fail(self, now: int, lease: Lease, failure: Failure) -> Ack:
        """Count a failed attempt: retry later, or dead-letter.

        :raises LeaseLost: the token is not current.
        """

        def transition(work: Work) -> Ack:
            if work.wish in FINAL:
                return self._let_go(work, now)
            work.attempts += 1
            if failure.permanent or work.attempts >= work.new.max_attempts:
                self._dead_letter(work, now, failure.error)
            else:
                work.error = failure.error
                due_ms = work.not_past_deadline(now + failure.delay_ms)
                self._place(work, now, State.RETRY_WAIT, due_ms=due_ms)
                counted: dict[str, Json] = {
                    "attempt": work.attempts,
                    "max_attempts": work.new.max_attempts,
                    "delay_ms": max(0, due_ms - now),
                    "error": json.loads(failure.error),
                }
                self._note(work, now, "attempt_failed", counted)
                self._pass_on(work, now)
            self._obey(work, now)
            return self._ack(work, now)

        return self._answered(lease, failure.commit_id, transition)

    def interrupt(
        self, now: int, lease: Lease, commit_id: str, reason: str, delay_ms: int | None
    ) -> Ack:
        """Take work back without blame: no counter moves, and its place in the queue is kept.

        :raises LeaseLost: the token is not current.
        """

        def transition(work: Work) -> Ack:
            if work.wish in FINAL:
                return self._let_go(work, now)
            if delay_ms is None:
                self._place(work, now, State.QUEUED)
            else:
                due_ms = work.not_past_deadline(now + delay_ms)
                self._place(work, now, State.SLEEPING, due_ms=due_ms)
            self._note(work, now, "interrupted", {"reason": reason})
            self._pass_on(work, now)
            self._obey(work, now)
            return self._ack(work, now)

        return self._answered(lease, commit_id, transition)

    def _let_go(self, work: Work, now: int) -> Ack:
        """End a lease on what people want ended: nothing counts, and nothing is accepted."""
        self._obey(work, now)
        return self._ack(work, now)

    def renew(self, now: int, info: bytes, beats: Iterable[Beat], ttl_ms: int) -> Renewed:
        """Extend leases and register their worker; return the tokens of those that end.

        :raises CorruptRecord: ``info`` does not decode.
        """
        worker = decode_model(WorkerInfo, info)
        self.workers[worker.worker_id] = (info, now, ttl_ms)
        self._beat(worker.worker_id)
        self.offers.renewed(now, worker)
        lost, wanted = [], []
        for beat in beats:
            work = self.works.get(beat.work_id)
            if work is None or work.token != beat.token:
                lost.append(beat.token)
                continue
            work.expires_ms = now + ttl_ms
            if work.wish in FINAL:
                wanted.append(beat.token)
            if beat.heartbeat is not None:
                work.heartbeat = beat.heartbeat
        self._void_reservations(now)
        return Renewed(tuple(lost), tuple(wanted))

    def retire(self, now: int, worker_id: str) -> None:
        """Remove a worker from the register: it has left, and did not die."""
        self.workers.pop(worker_id, None)
        self.beats[worker_id] = LEFT
        self.offers.retired(worker_id)
        self._void_reservations(now)

    def _beat(self, worker_id: str) -> None:
        self.beats[worker_id] = max(0, self.beats.get(worker_id, 0)) + 1
