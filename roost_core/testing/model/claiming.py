"""How the model leases work: what is due, what has expired, what comes first."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from roost_core.backend.messages import (
    Alone,
    Claim,
    ClaimBatch,
    ClaimRequest,
)
from roost_core.codec.times import from_milliseconds
from roost_core.models.work import State
from roost_core.models.worker import Lease
from roost_core.testing.model.answers import Answers
from roost_core.testing.model.wishes import FINAL
from roost_core.testing.model.work import DUE_STATES, Work, error_bytes

#: The largest number of due work items of each state that one claim makes ready.
MAX_PROMOTED: Final = 100
#: How many more work items than its limit a claim looks at.
MAX_EXTRA_INSPECTED: Final = 100
#: How long it waits, at least, for a worker that seems dead to come back. Milliseconds.
MIN_DOUBT_MS: Final = 2000

#: For all ledgers: a worker may hold leases of several.
_tokens = itertools.count(1)


class Claiming(Answers):
    """Promotes, recovers and leases."""

    def claim(self, now: int, request: ClaimRequest, asked_at: float = 0.0) -> ClaimBatch:
        """Promote what is due, recover what has expired, and take what comes first.

        :param asked_at: the caller's monotonic clock, handed back with each claim.
        """
        dead_letters = self._promote(now)
        self._recover(now, request, dead_letters)
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
        """Return what is ready and suspected; what has done the least harm comes first."""
        suspected = [work for work in self._ready(engines) if work.blame.is_suspected]
        return sorted(suspected, key=lambda work: work.blame.deaths)

    def _together(self, request: ClaimRequest) -> int:
        """Return how many suspected items this claim may take."""
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
        """Return what may be leased next; suspected work only to workers that run nothing else."""
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

    def _recover(self, now: int, request: ClaimRequest, dead_letters: list[str]) -> None:
        """Take back expired leases; add to the ids of dead letters.

        They come back to their old places, so no more than the claim takes, and half of that
        if others wait; if that is not a whole number, every second claim takes one more.
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
        # What is suspected waits in its own line.
        waiting = [work for work in self._ready(request.engines) if not work.blame.is_suspected]
        room = max(half, request.limit - len(waiting))
        for work in expired[:room]:
            holder = work.worker_id or ""
            work.blame.note_lost(holder, request.worker_id, self.beats)
            if work.wish in FINAL:
                self._obey(work, now)
                self._forget_answers(work)
                if work.state is State.FAILED:
                    dead_letters.append(work.new.work_id)
                continue
            if work.blame.is_in_doubt(work.new.max_recoveries):
                # A worker that was only cut off, or stopped, has this long to come back.
                due_ms = now + max(2 * request.lease_ttl_ms, MIN_DOUBT_MS)
                self._place(work, now, State.RETRY_WAIT, due_ms=due_ms)
            else:
                self._place(work, now, State.QUEUED)
            self._forget_answers(work)
            self._note(work, now, "recovered", {"worker_id": holder})
            self._pass_on(work, now)
            self._obey(work, now)

    def _promote(self, now: int) -> list[str]:
        """Make ready what is due; return the ids of what becomes a dead letter instead."""
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
        """Judge what waited for certainty; bury it if it has killed too many workers alone."""
        if not work.blame.is_in_doubt(work.new.max_recoveries):
            return False
        work.blame.judge(self.beats)
        deaths = work.blame.deaths
        if deaths < max(1, work.new.max_recoveries):
            return False
        message = f"{deaths} workers that ran nothing else died over this step"
        self._dead_letter(work, now, error_bytes("recoveries", message))
        return True

    def _lease(
        self, work: Work, now: int, request: ClaimRequest, asked_at: float, together: int
    ) -> Claim:
        is_suspected = work.blame.is_suspected
        self._place(work, now, State.RUNNING)
        work.leased_ms, work.leased_version = now, work.version
        if request.alone is Alone.ALWAYS or (together == 1 and is_suspected):
            work.blame.alone = request.alone
        work.fence += 1
        work.token = f"token-{next(_tokens)}"
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
                expires_at=from_milliseconds(work.expires_ms),
            ),
            engine=work.new.engine,
            version=work.version,
            attempts=work.attempts,
            recoveries=work.blame.deaths,
            created_ms=work.created_ms,
            committed_ms=work.committed_ms,
            deadline_ms=work.new.deadline_ms,
            item=work.new.item,
            # Whoever stored it need not be told.
            snapshot=b"" if work.is_stored_by(request.worker_id) else work.snapshot,
            asked_at=asked_at,
            since=work.since,
            is_solo=request.alone is Alone.MAY and is_suspected,
        )

    def _next_wake_ms(self, now: int) -> int | None:
        times = [work.due_ms for work in self._in_states(*DUE_STATES)]
        times += [work.expires_ms for work in self._in_states(State.RUNNING)]
        known = [time for time in times if time is not None]
        return max(1, min(known) - now) if known else None
