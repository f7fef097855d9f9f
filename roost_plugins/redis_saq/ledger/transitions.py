"""How work changes state: the scripts behind enqueueing, claiming, commits and giving up."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, Final

from roost_core.backend import (
    Ack,
    Alone,
    ClaimBatch,
    ClaimRequest,
    Commit,
    Enqueued,
    EnqueueOutcome,
    Failure,
    GoOn,
    NewWork,
    Purged,
)
from roost_core.codec.records import encode_model
from roost_core.errors import BackendUnavailable
from roost_core.models import ErrorRecord, Lease, State
from roost_plugins.redis_saq.ledger import envelope, giving_up
from roost_plugins.redis_saq.ledger.lane_watch import After
from roost_plugins.redis_saq.ledger.one_queue import OneQueue, Part
from roost_plugins.redis_saq.ledger.tickets import Ticket
from roost_plugins.redis_saq.record import claims as claiming
from roost_plugins.redis_saq.record import fields
from roost_plugins.redis_saq.record.acks import ack, purged
from roost_plugins.redis_saq.record.answers import text

#: Workers that have been silent for a day are forgotten. Milliseconds.
_FORGET_WORKERS_MS: Final = 86_400_000
#: As in the stepper: looking these up would cost each step time.
_RUNNING: Final = State.RUNNING
_CLAIMS: Final = After.CLAIMS
_STANDS_BY: Final = After.STANDS_BY
#: How many random bytes a lease's token has.
_TOKEN_BYTES: Final = 8


def _mode(request: ClaimRequest) -> str:
    is_unable = request.alone is Alone.NEVER and not request.can_drain
    return "unable" if is_unable else request.alone.value


class RedisTransitions(Part):
    """Changes the state of one queue's work, each time with one script."""

    def __init__(self, queue: OneQueue) -> None:
        super().__init__(queue)
        # Each step calls.
        self._calls = queue.calls
        self._scripts = queue.scripts

    async def enqueue(self, works: Sequence[NewWork]) -> list[Enqueued]:
        """Store work items, pipelined."""
        answers = await asyncio.gather(*(self._enqueue(work) for work in works))
        return [
            Enqueued(EnqueueOutcome(outcome.decode()), text(work_id))
            for outcome, work_id in answers
        ]

    async def _enqueue(self, work: NewWork) -> Any:
        return await self._call(
            "enqueue",
            work.work_id,
            work.digest,
            work.delay_ms,
            work.item,
            " ".join(f"{key}={value}" for key, value in sorted(work.labels.items())),
            *fields.RECORD.arguments(work),
            *(() if work.fork_of is None else envelope.past(work.fork_of)),
        )

    def claim(
        self,
        request: ClaimRequest,
        *,
        was_idle: bool = True,
        ticket: Ticket | None = None,
        unanswered: Sequence[Ticket] = (),
    ) -> Coroutine[Any, Any, ClaimBatch]:
        """Take leases. The call leaves now, right behind those made before; await the answer.

        :param was_idle: whether the worker may be in the register of idle ones.
        :param ticket: what the claim is remembered under, in case its answer gets lost.
        :param unanswered: tickets of claims whose answers were lost: what they leased is taken back
            without blame.
        :raises BackendUnavailable: no answer.
        :raises BackendError: the server refused.
        """
        mine = ticket or Ticket.new(1)
        asked_at = time.monotonic()
        tokens = secrets.token_hex(_TOKEN_BYTES * request.limit)
        answer = self._calls(
            self._scripts["claim"],
            request.worker_id,
            request.lease_ttl_ms,
            request.limit,
            " ".join(request.engines),
            int(was_idle),
            _mode(request),
            mine.slot,
            mine.claim_id,
            " ".join(map(str, unanswered)),
            *(tokens[at : at + 2 * _TOKEN_BYTES] for at in range(0, len(tokens), 2 * _TOKEN_BYTES)),
            # Lanes wait for it, and those that run now would delay sending it.
            at_once=True,
        )
        return self._claimed(request, asked_at, answer)

    async def _claimed(
        self, request: ClaimRequest, asked_at: float, answer: Awaitable[Any]
    ) -> ClaimBatch:
        next_wake, dead, rows, left, drain = await answer
        claims, broken = claiming.claims(rows, request.worker_id, asked_at)
        dead_letters = [text(work_id) for work_id in dead]
        for one in broken:
            # Without an answer, its lease runs out, and it is claimed again.
            with contextlib.suppress(BackendUnavailable):
                await self._bury(one, request.worker_id)
                dead_letters.append(text(one.work_id))
        return ClaimBatch(
            claims=claims,
            dead_letters=tuple(dead_letters),
            next_wake_ms=None if next_wake < 0 else next_wake,
            left=left,
            drain=drain == 1,
        )

    async def _bury(self, one: claiming.BrokenClaim, worker_id: str) -> None:
        """Dead-letter a claim that no worker can be given, without affecting others."""
        error = encode_model(ErrorRecord("corrupt", one.reason, worker_id=worker_id))
        await self._call(
            "fail", one.work_id, one.token, "f0", error, 1, 0, worker_id, giving_up.NO_LOOKING
        )

    async def commit(self, lease: Lease, commit: Commit) -> Ack:
        """Accept a step."""
        step, parts, next_ = envelope.step(lease, commit), envelope.parts(commit), commit.next
        if isinstance(next_, GoOn):
            answer = await self._calls(self._scripts["advance"], *step, next_.lease_ttl_ms, *parts)
            if answer != b"late":
                return self._acknowledged(lease, answer)
        engines = self._engines_to_ask_for(lease)
        sent = self._calls(
            self._scripts["commit"],
            *step,
            *envelope.what_follows(next_),
            engines,
            *parts,
        )
        if engines == giving_up.NO_LOOKING and self.queue.lanes is not None:
            self.queue.lanes.claim_follows()
        return self._acknowledged(lease, await sent)

    async def fail(self, lease: Lease, failure: Failure) -> Ack:
        """Give up an attempt."""
        engines = self._engines_to_ask_for(lease)
        answer = await self._call("fail", *giving_up.fail(lease, failure, engines))
        return self._acknowledged(lease, answer)

    async def interrupt(
        self, lease: Lease, commit_id: str, reason: str, delay_ms: int | None
    ) -> Ack:
        """Give the work back without blame."""
        return await self._interrupt(lease, commit_id, reason, delay_ms)

    async def leave(self, lease: Lease, commit_id: str, layout: int) -> Ack:
        """Give back work that a newer Roost wrote, set aside for a worker that knows it."""
        reason = f"a newer Roost wrote it: layout {layout}"
        return await self._interrupt(lease, commit_id, reason, None, layout)

    async def _interrupt(
        self, lease: Lease, commit_id: str, reason: str, delay_ms: int | None, layout: int = 0
    ) -> Ack:
        engines = self._engines_to_ask_for(lease)
        answer = await self._call(
            "interrupt",
            *giving_up.interrupt(lease, commit_id, reason, delay_ms, engines, layout),
        )
        return self._acknowledged(lease, answer)

    def _engines_to_ask_for(self, lease: Lease) -> str:
        """Return the engines whose work the script that ends the lease should look for."""
        if self.queue.lanes is None:
            return giving_up.NOTHING
        after = self.queue.lanes.lease_ends(lease.token)
        if after is _CLAIMS:
            return giving_up.NO_LOOKING
        return self.queue.lanes.engines if after is _STANDS_BY else giving_up.NOTHING

    def _acknowledged(self, lease: Lease, answer: Any) -> Ack:
        acknowledged, claim_in = ack(answer, lease.work_id)
        if self.queue.lanes is not None:
            if acknowledged.state is _RUNNING:
                self.queue.lanes.step_accepted(lease.token)
            else:
                self.queue.lanes.lease_ended(lease.token, claim_in)
        return acknowledged

    async def retire(self, worker_id: str) -> None:
        """Remove a stopped worker from the register."""
        engines = self.queue.lanes.engines if self.queue.lanes is not None else giving_up.NOTHING
        unanswered = self.queue.lanes.unanswered if self.queue.lanes is not None else ()
        await self._call("retire", worker_id, engines, " ".join(map(str, unanswered)))

    async def purge(
        self,
        retention_ms: int,
        dead_letter_retention_ms: int | None,
        limit: int,
        forgotten: Sequence[Purged] = (),
    ) -> Sequence[Purged]:
        """Remove work items that have been terminal for longer than the retention."""
        gone = await self._call(
            "purge",
            retention_ms,
            -1 if dead_letter_retention_ms is None else dead_letter_retention_ms,
            limit,
            _FORGET_WORKERS_MS,
            *(f"{one.life or 0} {one.work_id}" for one in forgotten),
        )
        return [purged(member) for member in gone]
