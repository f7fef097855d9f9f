"""A worker's lanes from start to end: SAQ's, and those beside them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from roost_core.backend import Claim, Ledger, ServePlan
from roost_plugins.redis_saq.lanes.extra_lanes import ExtraLanes
from roost_plugins.redis_saq.lanes.lanes import Lanes
from roost_plugins.redis_saq.lanes.queue import LaneWorker, lane_worker

#: How long a cancelled step may take to end. Seconds.
_CANCEL_GRACE = 5.0
#: How long SAQ may take to end its tasks, which by then wait for nothing. Seconds.
_SAQ_GRACE = 2.0


async def run_lanes(
    lanes: Lanes,
    plan: ServePlan,
    handle: Callable[[Ledger, Claim], Awaitable[None]],
    upkeep: Callable[[], Awaitable[None]],
) -> None:
    """Run the lanes until ``plan.stopping`` is set and those in flight have drained.

    A burst is ended here as well: SAQ would first wait a second for its upkeep.
    """
    in_flight: dict[asyncio.Task[Any], Claim] = {}

    async def one(claim: Claim) -> None:
        task = asyncio.current_task()
        assert task is not None
        in_flight[task] = claim
        try:
            await handle(lanes.ledger_of(claim), claim)
        finally:
            del in_flight[task]
            lanes.lane_done(claim)

    worker = lane_worker(lanes, plan.worker_id, plan.concurrency, one, upkeep)
    lanes.start()
    extra = ExtraLanes(lanes, plan.lost, one) if plan.lost is not None else None
    running = asyncio.create_task(worker.start())
    ends = [asyncio.create_task(end.wait()) for end in (plan.stopping, lanes.is_over)]
    try:
        await asyncio.wait({running, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if extra is not None:
            await extra.close()
        await _drain(lanes, plan.drain_timeout)
    finally:
        if extra is not None:
            await extra.close()
        for end in ends:
            end.cancel()
        for task in list(in_flight):
            task.cancel()
        if in_flight:
            # A step that does not end when cancelled is left behind; its lease runs out.
            await _in_time(lanes.drained(), _CANCEL_GRACE)
        await _end(worker, running)
        await lanes.give_back_all_but(list(in_flight.values()))


async def _end(worker: LaneWorker, running: asyncio.Task[None]) -> None:
    """End SAQ, cancelling its lanes and upkeep: it would wait, but they have nothing to finish."""
    worker.event.set()
    for task in list(worker.tasks):
        task.cancel()
    # Not awaited: SAQ waits for ever for a step that does not end when cancelled.
    await asyncio.wait({running}, timeout=_SAQ_GRACE)
    if running.done() and not running.cancelled():
        running.result()


async def _drain(lanes: Lanes, timeout: float) -> None:
    """Stop claiming, and wait up to ``timeout`` seconds for the steps in flight.

    Not for the lanes' tasks: a lane whose step has ended waits for a claim that never comes.
    """
    closing = asyncio.create_task(lanes.close())
    try:
        await _in_time(lanes.drained(), timeout)
    finally:
        await closing


async def _in_time(what: Awaitable[None], seconds: float) -> None:
    """Wait for something, but no longer than ``seconds``."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await what
