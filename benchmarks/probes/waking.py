"""A worker that is woken very often: how late work begins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from benchmarks.measuring.figures import percentile
from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.row import Row
from benchmarks.measuring.working import settings_of, until_idle, working
from roost_core import Snapshot, WorkItem, hookimpl
from roost_core.client.requests import EnqueueRequest

#: From the first enqueue to the first wake-up. Seconds.
_LEAD = 4.0


class LatenessEngine:
    """Notes how late each work item begins, by the clock that the server shares with us."""

    engine_id = "late"

    def __init__(self, count: int) -> None:
        self._left = count
        self.lateness: list[float] = []
        self.all_done = asyncio.Event()

    @hookimpl
    async def init_snapshot(self, item: WorkItem) -> Snapshot:
        """Note and finish."""
        assert item.created_at is not None
        due = item.created_at.timestamp() + item.payload["delay"]
        self.lateness.append(time.time() - due)
        self._left -= 1
        if self._left == 0:
            self.all_done.set()
        return Snapshot.start(item).finish()

    @hookimpl
    async def step(self, snapshot: Snapshot) -> Snapshot:
        """Never called."""
        return snapshot.finish()


async def _wake(job: Job, clock: Clock) -> None:
    per_second = job.extra["per_second"]
    engine = LatenessEngine(job.items)
    async with working(job, settings_of(job), engine) as (roost, worker):
        first = time.monotonic() + _LEAD

        def requests() -> Iterator[EnqueueRequest]:
            for number in range(job.items):
                delay = first + number / per_second - time.monotonic()
                if delay <= 0:
                    raise RuntimeError("the machine is too busy: enqueueing fell behind")
                # The server counts whole milliseconds.
                delay = round(delay, 3)
                yield EnqueueRequest(engine="late", payload={"delay": delay}, delay_seconds=delay)

        await roost.enqueue_many(requests())
        clock.start()
        await engine.all_done.wait()
        await until_idle(worker)
        milliseconds = [1000 * one for one in engine.lateness]
        clock.stop(
            job.items,
            p50=percentile(milliseconds, 0.5),
            p99=percentile(milliseconds, 0.99),
            worst=max(milliseconds),
            earliest=min(milliseconds),
        )


WAKE = Row("wake", "wake-ups", lambda job, clock: asyncio.run(_wake(job, clock)), "", 1)
