"""When a worker claims: as often as there is something to take, and no more.

Free lanes wait here. One claim serves all of them. A claim that brings less than
they could take registers the worker as idle with the server, in the same script,
and from then on it claims again only when

- a message says that there is work for one of its engines,
- the next due time or lease expiry comes, which the claim has told,
- a lane of its own has ended a lease and learned that something is ready, or
- a while has passed, in case a message was lost.

While more is ready than this worker can take, worker and server work at the same time:

- a lane does not wait for the answer to the call that ends its lease before the next claim
  is made: the claim follows that call at once, on the same connection, and its answer is
  there when the lane is free;
- a claim takes work for half of the lanes, and up to two are under way: while the server
  does what one half has asked for, the other half steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any, Final

from roost_core.backend import Alone, Claim, ClaimBatch, ClaimRequest, ServePlan
from roost_core.errors import BackendError, LeaseLost
from roost_plugins.redis_saq.lanes.solo import Solo
from roost_plugins.redis_saq.ledger.ledger import RedisLedger
from roost_plugins.redis_saq.ledger.tickets import Ticket, Tickets

_log = logging.getLogger("roost.worker")

#: An idle worker asks by itself this often, at least: a connection that is broken or silent is
#: noticed, so only a message that gets lost on a sound one waits for this. Seconds.
_ASK_AGAIN: Final = 10.0
#: Waits after a failed claim: from, to. Seconds.
_BACKOFF: Final = (0.05, 2.0)
#: A claim that was made ahead waits so long for its lane, and is given back then. Seconds.
_AHEAD_GRACE: Final = 0.5
#: No claim is made ahead for so long after one was given back: lanes that are held up when their
#: leases have ended, by slow observers say, are so again and again. Seconds.
_AHEAD_PAUSE: Final = 30.0
#: How long closing waits for a claim that is under way, and for observers. Seconds.
_CLOSE_GRACE: Final = 2.0
#: How long closing may take to give back what no lane has begun. Seconds.
_GIVE_BACK_GRACE: Final = 2.0
#: Claims under way at a time.
_MOST_UNDER_WAY: Final = 2
#: What a claim has brought that failed.
_NOTHING: Final = ClaimBatch(claims=())


class Lanes:
    """The free lanes of one worker, and the loop that claims for them."""

    def __init__(
        self,
        ledger: RedisLedger,
        plan: ServePlan,
        on_dead_letters: Callable[[Sequence[str]], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._plan = plan
        self._on_dead_letters = on_dead_letters
        self._half = (plan.concurrency + 1) // 2
        self._free: deque[asyncio.Future[Claim]] = deque()
        #: Whether a claim might bring something that the last one did not.
        self._is_news = True
        #: When to claim without news, by the monotonic clock.
        self._alarm = 0.0
        #: Set when there may be a reason to claim that was not there before.
        self._changed = asyncio.Event()
        #: How many claims are under way, for how many leases in all, and failures in a row.
        self._under_way = 0
        self._asked = 0
        self._failures = 0
        self._tickets = Tickets()
        self._solo = Solo(plan.concurrency)
        #: Set when a burst is over: nothing is ready and nothing in flight.
        self.is_over = asyncio.Event()
        #: Whether the worker may stand in the register of idle ones.
        self._was_idle = False
        #: Whether the last claim left something ready.
        self._is_backlog = False
        #: Tokens of leases that are being ended, whose lanes are counted on already.
        self._ending: set[str] = set()
        #: Claims made ahead whose lanes are not free yet.
        self._ahead: deque[Claim] = deque()
        #: When claims may be made ahead, by the monotonic clock.
        self._ahead_from = 0.0
        self._engines_text = " ".join(plan.engines)
        self._ended: set[str] = set()
        #: The claims whose lanes are at work, by token.
        self._in_flight: dict[str, Claim] = {}
        #: Set while there is none.
        self._is_drained = asyncio.Event()
        self._is_drained.set()
        self._closing = False
        self._closed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._beside: set[asyncio.Task[None]] = set()
        # Within a lease's time, so that each lease's expiry is known before it comes.
        self._ask_again = min(_ASK_AGAIN, plan.lease_ttl_ms / 1500)

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that this worker runs."""
        return self._plan.engines

    @property
    def unanswered(self) -> tuple[Ticket, ...]:
        """Claims that may have leased work which this worker does not know of."""
        return self._tickets.unanswered

    def step_accepted(self, token: str) -> None:
        """Take note that a step was accepted whose lease goes on."""
        if self._solo.step_accepted(token):
            self._note_news()

    def lease_ends(self, token: str) -> str:
        """Take note that a call which ends a lease is about to go out.

        :returns: the engines of which it is to look for work on behalf of the lane, separated
            by spaces; ``-`` if it need not, because a claim follows; empty if the lane leaves,
            or takes nothing for now: what is ready is others' then.
        """
        if self._plan.stopping.is_set() or self._plan.burst:
            return ""
        is_mine = token in self._in_flight
        if self._solo.has_others_than(token):
            return ""
        if self._solo.is_draining and len(self._in_flight) > is_mine and not self._has_lost:
            return ""
        if self._is_backlog and is_mine and time.monotonic() >= self._ahead_from:
            self._ending.add(token)
            self._note_news()
            return "-"
        self._was_idle = True
        return self._engines_text

    def start(self) -> None:
        """Begin to claim and to listen."""
        self._tasks = [asyncio.create_task(self._claim_loop()), asyncio.create_task(self._listen())]

    async def close(self) -> None:
        """Stop claiming and listening; free lanes stay where they are until cancelled."""
        self._closing = True
        self._closed.set()
        self._changed.set()
        if self._beside:
            # A claim under way is waited for: leases that it took would otherwise be nobody's.
            await asyncio.wait(self._beside, timeout=_CLOSE_GRACE)
        for task in (*self._tasks, *self._beside):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._beside, return_exceptions=True)
        self._tasks.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_GRACE):
                await self._give_back_ahead()

    async def next_claim(self) -> Claim:
        """Wait, as a free lane, for the next claim."""
        if self._ahead and not self._is_stopping:
            claim = self._ahead.popleft()
            self._begins(claim)
            return claim
        place: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
        self._free.append(place)
        self._changed.set()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                # Nobody will run it: a lane that was just given work is being ended.
                claim = place.result()
                self._ends(claim)
                await asyncio.shield(self._give_back(claim))
            raise

    async def drained(self) -> None:
        """Wait until no lane is at work."""
        await self._is_drained.wait()

    async def give_back_all_but(self, begun: Collection[Claim]) -> None:
        """Give back what was handed out to lanes that ended before they could begin with it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_GRACE):
                for claim in [one for one in self._in_flight.values() if one not in begun]:
                    self._ends(claim)
                    await self._give_back(claim)

    def _begins(self, claim: Claim) -> None:
        self._in_flight[claim.lease.token] = claim
        self._is_drained.clear()

    def _ends(self, claim: Claim) -> None:
        self._in_flight.pop(claim.lease.token, None)
        if not self._in_flight:
            self._is_drained.set()

    def lease_ended(self, token: str, claim_in_ms: int | None) -> None:
        """Take note that a lease was given back by a script that told when to claim next."""
        self._ended.add(token)
        if self._solo.runs(token) and self._has_lost and self._solo.step_accepted(token):
            # Its lane may never be done with it.
            self._note_news()
        if claim_in_ms == 0:
            self._note_news()
        elif claim_in_ms is not None:
            self._set_alarm(claim_in_ms)

    def lane_done(self, claim: Claim) -> None:
        """Take note that a lane is through with a claim, whatever has become of it."""
        self._ends(claim)
        self._ending.discard(claim.lease.token)
        if self._solo.step_accepted(claim.lease.token) or self._solo.is_draining:
            self._note_news()
        # Without its word, the lease was lost, or nobody knows: look.
        is_known = claim.lease.token in self._ended
        self._ended.discard(claim.lease.token)
        if not is_known or self._plan.burst:
            self._note_news()

    def look_again(self) -> None:
        """Take note that there may be more lanes, or fewer, or that a lost step's lease is over."""
        ended = self._plan.lost.ended if self._plan.lost is not None else ()
        if any(self._solo.step_accepted(token) for token in ended):
            self._note_news()
        self._changed.set()

    def _note_news(self) -> None:
        self._is_news = True
        self._changed.set()

    @property
    def _is_stopping(self) -> bool:
        return self._closing or self._plan.stopping.is_set()

    # -- claiming --------------------------------------------------------------------------

    async def _claim_loop(self) -> None:
        while not self._is_stopping:
            limit = self._wanted()
            if limit > 0:
                self._is_news = False
                alone = self._alone()
                if alone is Alone.MAY:
                    # How many suspected ones come together goes by how many lanes there are.
                    limit = self._room()
                self._under_way += 1
                self._asked += limit
                self._keep(self._claim_for(limit, alone))
                continue  # Perhaps there are lanes enough for a second one.
            self._changed.clear()
            left = self._seconds_to_alarm()
            if left is None:
                await self._changed.wait()
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._changed.wait()

    def _wanted(self) -> int:
        """Return for how many leases to ask now; 0 if there is no reason to, or no lane."""
        room = self._room()
        if self._solo.holds_back(is_busy=self._is_draining):
            return 0
        if self._under_way:
            overlaps = self._is_backlog and self._under_way < _MOST_UNDER_WAY
            return self._half if overlaps and room >= self._half else 0
        if not self._is_news and time.monotonic() < self._alarm:
            return 0
        return min(room, self._half) if self._is_backlog else room

    def _seconds_to_alarm(self) -> float | None:
        """Return how long nothing can happen unless something changes; None is for ever."""
        if self._under_way or self._room() <= 0:
            return None
        if self._solo.holds_back(is_busy=self._is_draining):
            return None
        return max(0.0, self._alarm - time.monotonic())

    def _room(self) -> int:
        """Return for how many more claims there are lanes, now or when their leases have ended."""
        self._drop_cancelled()
        if self._plan.lost is not None and self._plan.lost.is_full:
            return 0
        return len(self._free) + len(self._ending) - len(self._ahead) - self._asked

    def _alone(self) -> Alone:
        # Beside what goes on although it was ended nothing runs alone.
        return Alone.NEVER if self._has_lost else self._solo.claims(is_busy=self._is_busy)

    @property
    def _has_lost(self) -> bool:
        return self._plan.lost is not None and self._plan.lost.count > 0

    @property
    def _is_draining(self) -> bool:
        """Whether there is work whose end is worth waiting for: what is lost has none."""
        return self._is_busy and not self._has_lost

    @property
    def _is_busy(self) -> bool:
        """Whether this worker has work, or may have some before it knows."""
        return bool(self._in_flight or self._ahead or self._under_way)

    async def _claim_for(self, limit: int, alone: Alone) -> None:
        try:
            batch = await self._claim(limit, alone)
            if self._failures:
                _log.info("claims are answered again")
            self._failures = 0
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker must live on
            self._failures += 1
            _report("cannot claim", error, self._failures)
            # It may have been carried out all the same, and others wait for the end of this pause.
            self._was_idle, self._is_backlog = True, False
            # Not longer than there is something to wait for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_backoff(self._failures)):
                    await self._closed.wait()
            self._note_news()
            batch = _NOTHING
        finally:
            self._under_way -= 1
            self._asked -= limit
            self._changed.set()
        await self._hand_out(batch)

    async def _claim(self, limit: int, alone: Alone) -> ClaimBatch:
        request = ClaimRequest(
            worker_id=self._plan.worker_id,
            engines=self._plan.engines,
            limit=limit,
            lease_ttl_ms=self._plan.lease_ttl_ms,
            alone=alone,
            can_drain=not self._has_lost,
        )
        ticket, named = self._tickets.take(), self._tickets.unanswered
        asked_at = time.monotonic()
        # One that is under way may yet find too little, and register the worker.
        was_idle = self._was_idle or self._under_way > 1
        self._was_idle = False
        try:
            batch = await self._ledger.claim(
                request, was_idle=was_idle, ticket=ticket, unanswered=named
            )
        except BaseException:
            self._tickets.lost(ticket)
            self._solo.brought(None, alone)
            raise
        self._tickets.answered(ticket, named)
        if self._solo.brought(batch, alone):
            self._note_news()
        if len(batch.claims) < limit:
            self._was_idle = True
        if batch.left:
            _log.warning(
                "%d work items were written by a newer Roost: left for a newer worker", batch.left
            )
        self._is_backlog = batch.next_wake_ms == 0
        self._alarm = asked_at + self._ask_again
        if batch.next_wake_ms == 0:
            self._note_news()
        elif batch.next_wake_ms is not None:
            self._set_alarm(batch.next_wake_ms)
        return batch

    async def _hand_out(self, batch: ClaimBatch) -> None:
        for claim in batch.claims:
            self._drop_cancelled()
            if self._is_stopping:
                await self._give_back(claim)
            elif self._free:
                self._begins(claim)
                self._free.popleft().set_result(claim)
            else:
                self._ahead.append(claim)
        if self._ahead:
            asyncio.get_running_loop().call_later(_AHEAD_GRACE, self._look_ahead, self._ahead[-1])
        if batch.dead_letters:
            # Beside the loop: observers may take their time, and lanes must not wait for them.
            self._keep(self._tell(batch.dead_letters))
        # A lane in flight may still make more work ready, so the burst is not over before the last.
        is_working = batch.claims or self._in_flight or self._is_news or self._under_way
        if self._plan.burst and not is_working:
            self.is_over.set()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the loop."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _tell(self, work_ids: Sequence[str]) -> None:
        try:
            await self._on_dead_letters(work_ids)
        except Exception as error:  # noqa: BLE001 - the letters are stored; only the telling failed
            _report("cannot tell of dead letters", error, 1)

    def _look_ahead(self, last: Claim) -> None:
        """Give back what was claimed ahead, up to ``last``, if its lanes have not come."""
        if last in self._ahead:
            self._ahead_from = time.monotonic() + _AHEAD_PAUSE
            # They are counted on no more until they come.
            self._ending.clear()
            self._keep(self._give_back_ahead())

    async def _give_back_ahead(self) -> None:
        while self._ahead:
            await self._give_back(self._ahead.popleft())

    async def _give_back(self, claim: Claim) -> None:
        with contextlib.suppress(BackendError, LeaseLost):
            await self._ledger.interrupt(claim.lease, "i0", "no lane took it", None)
        self._ended.discard(claim.lease.token)
        if self._solo.step_accepted(claim.lease.token):
            self._note_news()

    def _drop_cancelled(self) -> None:
        while self._free and self._free[0].done():
            self._free.popleft()

    def _set_alarm(self, in_ms: int) -> None:
        # One millisecond more: the server counts whole ones, and a moment early is a claim lost.
        at = time.monotonic() + (in_ms + 1) / 1000
        if at < self._alarm:
            self._alarm = at
            self._changed.set()

    # -- listening -------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Hear the server's messages; after each break, look for what was missed."""
        failures = 0

        def heard(kind: str, _channel: str) -> None:
            nonlocal failures
            if kind == "subscribe" and failures:
                _log.info("the server's messages are heard again")
                failures = 0
            self._note_news()

        channel = self._ledger.keys.wake_channel(self._plan.worker_id)
        while True:
            messages = None
            try:
                messages = await self._ledger.subscribe([channel], heard)
                await messages.until_end()
            except Exception as error:  # noqa: BLE001 - whatever it is, the worker must live on
                failures += 1
                _report("cannot listen for work", error, failures)
                await asyncio.sleep(_backoff(failures))
            finally:
                if messages is not None:
                    await messages.close()


def _report(what: str, error: Exception, failures: int) -> None:
    """Log the first failure of a row; one that is not the server's doing with its traceback."""
    if not isinstance(error, BackendError):
        _log.error("%s, trying again", what, exc_info=error)
    elif failures == 1:
        _log.warning("%s, trying again: %s", what, error)


def _backoff(failures: int) -> float:
    low, high = _BACKOFF
    grown: float = low * 2 ** min(failures, 10)
    return min(high, grown) * random.uniform(0.5, 1)  # noqa: S311 - jitter
