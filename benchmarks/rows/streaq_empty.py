"""streaQ as shipped: empty jobs, its worker."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.row import Row


async def _main(job: Job, clock: Clock) -> None:
    from streaq import Worker

    worker: Any = Worker(redis_url=job.url, concurrency=job.lanes, handle_signals=False)
    gate, all_done = asyncio.Event(), asyncio.Event()
    left = 0

    @worker.task(ttl=0)
    async def empty() -> None:
        nonlocal left
        await gate.wait()
        left -= 1
        if left == 0:
            all_done.set()

    running = asyncio.create_task(worker.run_async())
    await asyncio.sleep(0.5)
    measured = max(100, job.items * job.steps // 100 * 100)
    for is_measured in (False, True):
        count = measured if is_measured else 100
        left = count
        gate.clear()
        all_done.clear()
        for _ in range(count // 100):
            await worker.enqueue_many([empty.enqueue() for _ in range(100)])
        await asyncio.sleep(0.2)
        if is_measured:
            clock.start()
        gate.set()
        await all_done.wait()
    clock.stop(measured)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def _run(job: Job, clock: Clock) -> None:
    asyncio.run(_main(job, clock))


ROW = Row(
    key="streaq",
    title="streaQ, empty jobs",
    run=_run,
    durability="the job's fate; AOF {fsync}",
    rate=800,
    needs="streaq",
    is_sized=False,
    unit="job",
)
