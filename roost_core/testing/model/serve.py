"""The model's worker loop: claim what there is room for, then wait for a reason to check again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final

import attrs

from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Alone, Claim, ClaimRequest
from roost_core.backend.serving import ServePlan
from roost_core.testing.clock import Clock

#: How often upkeep runs, in milliseconds.
UPKEEP_MS: Final = 60_000


async def serve_lanes(
    clock: Clock,
    changed: asyncio.Event,
    plan: ServePlan,
    handle: Callable[[Ledger, Claim], Awaitable[None]],
    on_dead_letters: Callable[[Ledger, Sequence[str]], Awaitable[None]],
    upkeep: Callable[[], Awaitable[None]],
) -> None:
    """Run lanes until the plan says stop, or, with burst, until nothing is ready or running.

    :param changed: set whenever something happened in one of the ledgers.
    """
    lanes = _Lanes(plan, handle, on_dead_letters)
    upkeep_at = clock.now_ms() + UPKEEP_MS
    try:
        while not plan.stopping.is_set():
            changed.clear()
            if clock.now_ms() >= upkeep_at:
                upkeep_at = clock.now_ms() + UPKEEP_MS
                await upkeep()
            wake_in = await lanes.claim_all()
            if plan.burst and not lanes.running and wake_in != 0:
                break
            wake_at = upkeep_at
            if wake_in is not None:
                wake_at = min(upkeep_at, clock.now_ms() + wake_in)
            reasons = (plan.stopping.wait(), changed.wait(), clock.sleep_until(wake_at))
            lanes.drop(await _first_of({*lanes.running}, reasons))
        await _drain({*lanes.running}, plan.drain_timeout)
    finally:
        for lane in lanes.running:
            lane.cancel()
        await asyncio.gather(*lanes.running, return_exceptions=True)


@attrs.define(eq=False)
class _Lanes:
    """The lanes of one worker, and the queues that they work for."""

    plan: ServePlan
    handle: Callable[[Ledger, Claim], Awaitable[None]]
    on_dead_letters: Callable[[Ledger, Sequence[str]], Awaitable[None]]
    running: dict[asyncio.Task[None], Ledger] = attrs.field(factory=dict)
    solo: set[asyncio.Task[None]] = attrs.field(factory=set)
    is_draining: bool = False

    def drop(self, ended: set[asyncio.Task[None]]) -> None:
        """Forget lanes that have ended."""
        for lane in ended:
            del self.running[lane]
        self.solo -= ended

    async def claim_all(self) -> int | None:
        """Claim for all free lanes; return in how many milliseconds to check again, or None.

        Of several ledgers, the one with the fewest lanes is next, for one lane.
        """
        self.is_draining = self.is_draining and bool(self.running)
        if len(self.plan.ledgers) == 1:
            return await self._claim(self.plan.ledgers[0], self._room())
        wakes: dict[Ledger, int | None] = {}
        asking = [*self.plan.ledgers]
        while asking and self._room():
            held = [*self.running.values()]
            ledger = min(asking, key=held.count)
            wakes[ledger] = await self._claim(ledger, 1)
            if wakes[ledger] != 0:
                asking.remove(ledger)
        return min((wake for wake in wakes.values() if wake is not None), default=None)

    def _room(self) -> int:
        # What is suspected has the worker to itself, here for its whole slice.
        if self.solo or (self.is_draining and self.running):
            return 0
        return self.plan.concurrency - len(self.running)

    async def _claim(self, ledger: Ledger, room: int) -> int | None:
        if room == 0:
            return None
        batch = await ledger.claim(
            ClaimRequest(
                worker_id=self.plan.worker_id,
                engines=self.plan.engines,
                limit=room,
                lease_ttl_ms=self.plan.lease_ttl_ms,
                alone=self._alone(),
            )
        )
        self.is_draining = self.is_draining or batch.drain
        if batch.dead_letters:
            await self.on_dead_letters(ledger, batch.dead_letters)
        for claim in batch.claims:
            lane = asyncio.create_task(_lane(self.handle, ledger, claim))
            self.running[lane] = ledger
            if claim.is_solo:
                self.solo.add(lane)
        return batch.next_wake_ms

    def _alone(self) -> Alone:
        if self.plan.concurrency == 1:
            return Alone.ALWAYS
        return Alone.NEVER if self.running else Alone.MAY


async def _lane(
    handle: Callable[[Ledger, Claim], Awaitable[None]], ledger: Ledger, claim: Claim
) -> None:
    await handle(ledger, claim)


async def _first_of(
    lanes: set[asyncio.Task[None]], reasons: Iterable[Coroutine[Any, Any, Any]]
) -> set[asyncio.Task[None]]:
    """Wait for a lane to end or for another reason to check; return the ended lanes."""
    others = [asyncio.create_task(reason) for reason in reasons]
    try:
        await asyncio.wait([*lanes, *others], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    ended = {lane for lane in lanes if lane.done()}
    for lane in ended:
        _check(lane)
    return ended


async def _drain(lanes: set[asyncio.Task[None]], timeout: float) -> None:
    """Let lanes end by themselves for a while; the caller cancels those that have not."""
    if lanes:
        ended, _ = await asyncio.wait(lanes, timeout=timeout)
        for lane in ended:
            _check(lane)


def _check(lane: asyncio.Task[None]) -> None:
    """Let a handler's error end the loop, because it is a bug; a cancellation is not."""
    if not lane.cancelled():
        lane.result()
