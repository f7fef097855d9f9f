"""The model's worker loop: claim what there is room for, then wait for a reason to look again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final

from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Alone, Claim, ClaimBatch, ClaimRequest
from roost_core.backend.serving import ServePlan
from roost_core.testing.clock import Clock

#: How often upkeep runs, in milliseconds.
UPKEEP_MS: Final = 60_000


async def serve_lanes(
    ledger: Ledger,
    clock: Clock,
    changed: asyncio.Event,
    plan: ServePlan,
    handle: Callable[[Ledger, Claim], Awaitable[None]],
    on_dead_letters: Callable[[Ledger, Sequence[str]], Awaitable[None]],
    upkeep: Callable[[], Awaitable[None]],
) -> None:
    """Run lanes until the plan says stop, or, with burst, until nothing is ready or running.

    :param changed: set whenever something happened in the ledger.
    """
    lanes: set[asyncio.Task[None]] = set()
    solo: set[asyncio.Task[None]] = set()
    is_draining = False
    upkeep_at = clock.now_ms() + UPKEEP_MS
    try:
        while not plan.stopping.is_set():
            changed.clear()
            if clock.now_ms() >= upkeep_at:
                upkeep_at = clock.now_ms() + UPKEEP_MS
                await upkeep()
            # What is suspected has the worker for itself, here for all of its slice.
            may_claim = not solo and not (is_draining and lanes)
            room = plan.concurrency - len(lanes) if may_claim else 0
            batch = await _claim(ledger, plan, room, _alone(plan, lanes))
            is_draining = batch.drain or (is_draining and bool(lanes))
            if batch.dead_letters:
                await on_dead_letters(ledger, batch.dead_letters)
            for claim in batch.claims:
                lane = asyncio.create_task(_lane(handle, ledger, claim))
                lanes.add(lane)
                if claim.is_solo:
                    solo.add(lane)
            if plan.burst and not lanes and batch.next_wake_ms != 0:
                break
            wake_at = upkeep_at
            if batch.next_wake_ms is not None:
                wake_at = min(upkeep_at, clock.now_ms() + batch.next_wake_ms)
            reasons = (plan.stopping.wait(), changed.wait(), clock.sleep_until(wake_at))
            ended = await _first_of(lanes, reasons)
            lanes -= ended
            solo -= ended
        await _drain(lanes, plan.drain_timeout)
    finally:
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)


def _alone(plan: ServePlan, lanes: set[asyncio.Task[None]]) -> Alone:
    if plan.concurrency == 1:
        return Alone.ALWAYS
    return Alone.NEVER if lanes else Alone.MAY


async def _claim(ledger: Ledger, plan: ServePlan, room: int, alone: Alone) -> ClaimBatch:
    if room == 0:
        return ClaimBatch(claims=())
    return await ledger.claim(
        ClaimRequest(
            worker_id=plan.worker_id,
            engines=plan.engines,
            limit=room,
            lease_ttl_ms=plan.lease_ttl_ms,
            alone=alone,
        )
    )


async def _lane(
    handle: Callable[[Ledger, Claim], Awaitable[None]], ledger: Ledger, claim: Claim
) -> None:
    await handle(ledger, claim)


async def _first_of(
    lanes: set[asyncio.Task[None]], reasons: Iterable[Coroutine[Any, Any, Any]]
) -> set[asyncio.Task[None]]:
    """Wait for a lane to end or for another reason to look; return the ended lanes."""
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
    """Let the error of a handler end the loop, because it is a bug; cancelling it is none."""
    if not lane.cancelled():
        lane.result()
