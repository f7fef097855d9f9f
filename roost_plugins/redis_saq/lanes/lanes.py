"""The free lanes of one worker, and the claims made for them.

``policy.py`` decides what is claimed when, and for how many lanes; this module carries it out: the
loop, the calls to the ledgers, and the claims on their way to lanes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any, Final, NamedTuple

from roost_core.backend import Alone, Claim, ClaimBatch, ClaimRequest, ServePlan
from roost_core.errors import BackendError, LeaseLost
from roost_plugins.redis_saq.lanes.listening import listen
from roost_plugins.redis_saq.lanes.policy import ClaimPolicy
from roost_plugins.redis_saq.lanes.queue_view import Ask
from roost_plugins.redis_saq.lanes.served import ServedQueue
from roost_plugins.redis_saq.ledger.ledger import RedisLedger

_log = logging.getLogger("roost.worker")

#: An idle worker claims unprompted at least this often. A broken or silent connection is noticed,
#: so only a message that gets lost on a sound one waits for this. Seconds.
_ASK_AGAIN: Final = 10.0
#: Pauses after a failed claim: from, to. Seconds.
_BACKOFF: Final = (0.05, 2.0)
#: How long a claim made ahead waits for its lane before it is given back. Seconds.
_AHEAD_GRACE: Final = 0.5
#: How long closing waits for claims under way, and for observers. Seconds.
_CLOSE_GRACE: Final = 2.0
#: How long closing may take to give back what no lane has begun. Seconds.
_GIVE_BACK_GRACE: Final = 2.0


class _Ahead(NamedTuple):
    """A claim that waits for its lane, by the monotonic clock ``since`` then."""

    served: ServedQueue
    claim: Claim
    since: float


class Lanes:
    """The free lanes of one worker, over one or several queues, and the loop that claims."""

    def __init__(
        self,
        ledgers: Sequence[RedisLedger],
        plan: ServePlan,
        on_dead_letters: Callable[[RedisLedger, Sequence[str]], Awaitable[None]],
    ) -> None:
        self._plan = plan
        self._on_dead_letters = on_dead_letters
        # Within a lease's lifetime, so that each lease's expiry is known before it comes.
        ask_again = min(_ASK_AGAIN, plan.lease_ttl_ms / 1500)
        self.policy = ClaimPolicy(
            len(ledgers), plan.concurrency, ask_again, is_burst=plan.burst, lost=plan.lost
        )
        #: The queues, in the order of the ledgers.
        self.served = tuple(
            ServedQueue(ledger, view, self.policy, plan, self.look, self._claim_half)
            for ledger, view in zip(ledgers, self.policy.queues, strict=True)
        )
        self._free: deque[asyncio.Future[Claim]] = deque()
        #: Claims made ahead whose lanes are not free yet, and the timer that looks whether they
        #: have waited for too long, one for all.
        self._ahead: deque[_Ahead] = deque()
        self._ahead_look: asyncio.TimerHandle | None = None
        #: The claims whose lanes are at work, and their queues, by token.
        self._in_flight: dict[str, tuple[ServedQueue, Claim]] = {}
        #: Set while there are none.
        self._is_drained = asyncio.Event()
        self._is_drained.set()
        #: Set when there may be a new reason to claim.
        self._changed = asyncio.Event()
        #: Set when a burst is over: nothing is ready, and nothing is in flight.
        self.is_over = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._beside: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin claiming and listening."""
        listening = listen(self.served, self._heard, self._wanted, _backoff)
        self._tasks = [asyncio.create_task(one) for one in (self._claim_loop(), listening)]

    async def close(self) -> None:
        """Stop claiming and listening; free lanes keep waiting until they are cancelled."""
        self._closing = True
        self._changed.set()
        if self._beside:
            # Wait for a claim under way: leases that it took would otherwise belong to nobody.
            await asyncio.wait(self._beside, timeout=_CLOSE_GRACE)
        for task in (*self._tasks, *self._beside):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._beside, return_exceptions=True)
        self._tasks.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_GRACE):
                await self._give_back_ahead()

    # -- lanes -----------------------------------------------------------------------------

    async def next_claim(self) -> Claim:
        """Wait, as a free lane, for the next claim."""
        if self._ahead and not self._is_stopping:
            served, claim, _ = self._ahead.popleft()
            self.policy.stands_ahead(served.view, by=-1)
            self._begins(served, claim, time.monotonic())
            return claim
        place: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
        self._free.append(place)
        self.policy.lane_waits()
        self._changed.set()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                # This lane is being ended just after it was given work, so nobody will run that.
                served, claim = self._in_flight[place.result().lease.token]
                self._ends(claim)
                await asyncio.shield(self._give_back(served, claim))
            raise

    def ledger_of(self, claim: Claim) -> RedisLedger:
        """Return the ledger of a claim whose lane is at work."""
        return self._in_flight[claim.lease.token][0].ledger

    def lane_done(self, claim: Claim) -> None:
        """Note that a lane is done with a claim, whatever the outcome."""
        token = claim.lease.token
        found = self._forgotten(token)
        if found is None:
            self.policy.look_at_all()
            self._changed.set()
        elif self.policy.lane_done(found[0].view, token, time.monotonic()):
            self._changed.set()

    async def drained(self) -> None:
        """Wait until no lane is at work."""
        await self._is_drained.wait()

    async def give_back_all_but(self, begun: Collection[Claim]) -> None:
        """Give back what was handed out to lanes that ended before they could begin it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_GRACE):
                left = [one for one in self._in_flight.values() if one[1] not in begun]
                for served, claim in left:
                    self._ends(claim)
                    await self._give_back(served, claim)

    def look_again(self) -> None:
        """Note that there may be more or fewer lanes, or that a lost step's lease is over."""
        now = time.monotonic()
        for token in self._plan.lost.ended if self._plan.lost is not None else ():
            self.policy.step_accepted(token, now)
        self._changed.set()

    def look(self) -> None:
        """Note that there may be a new reason to claim."""
        self._changed.set()

    def _begins(self, served: ServedQueue, claim: Claim, now: float) -> None:
        self._in_flight[claim.lease.token] = served, claim
        self._is_drained.clear()
        self.policy.begins(served.view, claim.lease.token, now)

    def _ends(self, claim: Claim) -> None:
        self._forgotten(claim.lease.token)
        self.policy.ends(claim.lease.token, time.monotonic())

    def _forgotten(self, token: str) -> tuple[ServedQueue, Claim] | None:
        found = self._in_flight.pop(token, None)
        if not self._in_flight:
            self._is_drained.set()
        return found

    @property
    def _is_stopping(self) -> bool:
        return self._closing or self._plan.stopping.is_set()

    def _heard(self, served: ServedQueue, *, is_ready: bool) -> None:
        self.policy.told(served.view, is_ready=is_ready)
        self._changed.set()

    def _wanted(self, served: ServedQueue) -> None:
        self._plan.look(served.view.number)

    # -- claiming --------------------------------------------------------------------------

    async def _claim_loop(self) -> None:
        while not self._is_stopping:
            self._drop_cancelled()
            now = time.monotonic()
            left = self.policy.decide(now)
            if isinstance(left, Ask):
                self._claim_for(left)
                continue  # There may be enough lanes for a second one.
            while (view := self.policy.to_pass_on(now)) is not None:
                self._keep(self._pass_on(self.served[view.number]))
            self._changed.clear()
            if left is None:
                await self._changed.wait()
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._changed.wait()

    def _claim_half(self) -> None:
        """Claim at once if half of the lanes lack work; if fewer do, the loop claims for those."""
        if self.policy.has_half and not self._is_stopping:
            ask = self.policy.decide(time.monotonic())
            if isinstance(ask, Ask):
                self._claim_for(ask)

    def _claim_for(self, ask: Ask) -> None:
        """Send a claim now, and see to its answer beside the loop."""
        request = ClaimRequest(
            worker_id=self._plan.worker_id,
            engines=self._plan.engines,
            limit=ask.limit,
            lease_ttl_ms=self._plan.lease_ttl_ms,
            alone=ask.alone,
            can_drain=ask.can_drain,
        )
        asked_at = time.monotonic()
        try:
            sent = self.served[ask.queue.number].claim(request, was_idle=ask.was_idle)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker must keep running
            self._not_answered(ask, error)
        else:
            self._keep(self._claimed(ask, asked_at, sent))

    async def _claimed(self, ask: Ask, asked_at: float, sent: Awaitable[ClaimBatch]) -> None:
        was_draining = self.policy.solo.is_draining
        try:
            batch = await sent
        except Exception as error:  # noqa: BLE001 - as above
            self._not_answered(ask, error)
            return
        except BaseException:
            self._failed(ask)
            raise
        if ask.queue.failures:
            _log.info("claims are answered again")
        self.policy.answered(ask, batch, asked_at, time.monotonic())
        self._changed.set()
        _tell_of(batch, makes_room=batch.drain and not was_draining)
        await self._hand_out(self.served[ask.queue.number], batch)

    def _not_answered(self, ask: Ask, error: Exception) -> None:
        ask.queue.failures += 1
        self.served[ask.queue.number].report("cannot claim", error, ask.queue.failures)
        self._failed(ask)
        self._end_burst()

    def _failed(self, ask: Ask) -> None:
        self.policy.failed(ask, time.monotonic(), _backoff(ask.queue.failures))
        self._changed.set()

    async def _pass_on(self, served: ServedQueue) -> None:
        """Let an idle worker take what is ready in a queue: there is no lane for it here."""
        plan = self._plan
        request = ClaimRequest(
            plan.worker_id, plan.engines, 0, plan.lease_ttl_ms, Alone.NEVER, can_drain=False
        )
        # It only makes others look sooner than they otherwise would.
        with contextlib.suppress(BackendError):
            await served.ledger.claim(request, was_idle=False)

    async def _hand_out(self, served: ServedQueue, batch: ClaimBatch) -> None:
        now = time.monotonic()
        for claim in batch.claims:
            if self._free:
                self._drop_cancelled()
            if self._is_stopping:
                await self._give_back(served, claim)
            elif self._free:
                self.policy.lane_gone()
                self._begins(served, claim, now)
                self._free.popleft().set_result(claim)
            else:
                self._ahead.append(_Ahead(served, claim, now))
                self.policy.stands_ahead(served.view)
        if self._ahead and self._ahead_look is None:
            self._look_ahead_at(self._ahead[0].since + _AHEAD_GRACE)
        if batch.dead_letters:
            # Beside the loop: observers may take their time, and lanes must not wait for them.
            self._keep(self._tell(served, batch.dead_letters))
        if not batch.claims:
            self._end_burst()

    def _end_burst(self) -> None:
        # A lane in flight may still make more work ready, so a burst lasts until the last one ends.
        if self.policy.is_over:
            self.is_over.set()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the loop."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _tell(self, served: ServedQueue, work_ids: Sequence[str]) -> None:
        try:
            await self._on_dead_letters(served.ledger, work_ids)
        except Exception as error:  # noqa: BLE001 - they are stored; only an observer failed
            served.report("cannot report dead letters", error, 1)

    # -- giving back -----------------------------------------------------------------------

    def _look_ahead_at(self, at: float) -> None:
        left = max(0.0, at - time.monotonic())
        self._ahead_look = asyncio.get_running_loop().call_later(left, self._look_ahead)

    def _look_ahead(self) -> None:
        """Give back what was claimed ahead if its lanes have not come in time."""
        self._ahead_look = None
        if not self._ahead:
            return
        due, now = self._ahead[0].since + _AHEAD_GRACE, time.monotonic()
        if now < due:
            self._look_ahead_at(due)
        else:
            self.policy.ahead_in_vain(now)
            self._keep(self._give_back_ahead())

    async def _give_back_ahead(self) -> None:
        while self._ahead:
            served, claim, _ = self._ahead.popleft()
            self.policy.stands_ahead(served.view, by=-1)
            await self._give_back(served, claim)

    async def _give_back(self, served: ServedQueue, claim: Claim) -> None:
        with contextlib.suppress(BackendError, LeaseLost):
            await served.ledger.interrupt(claim.lease, "i0", "no lane took it", None)
        if self.policy.given_back(claim.lease.token, time.monotonic()):
            self._changed.set()

    def _drop_cancelled(self) -> None:
        while self._free and self._free[0].done():
            self._free.popleft()
            self.policy.lane_gone()


def _tell_of(batch: ClaimBatch, *, makes_room: bool) -> None:
    """Log why lanes stay empty, and what is left to others."""
    for claim in batch.claims:
        if claim.is_solo:
            _log.warning(
                "%s: suspected, because workers that ran it died: only suspected work runs here "
                "until a step of it is accepted",
                claim.lease.work_id,
                extra={"action": "runs_alone", "work_id": claim.lease.work_id},
            )
    if makes_room:
        _log.warning(
            "suspected work is waiting to run alone: this worker finishes its other work first",
            extra={"action": "makes_room"},
        )
    if batch.left:
        _log.warning(
            "%d work items were written by a newer Roost: left for a newer worker", batch.left
        )


def _backoff(failures: int) -> float:
    low, high = _BACKOFF
    grown: float = low * 2 ** min(failures, 10)
    return min(high, grown) * random.uniform(0.5, 1)  # noqa: S311 - jitter
