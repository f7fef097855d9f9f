"""SAQ as shipped: empty jobs, its own Redis queue, its worker."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.row import Row


async def _main(job: Job, clock: Clock) -> None:
    import redis.asyncio
    from saq import Worker
    from saq.queue.redis import RedisQueue

    queue = RedisQueue(redis.asyncio.Redis.from_url(job.url), name="bench")
    await queue.connect()
    gate, all_done = asyncio.Event(), asyncio.Event()
    left = 0

    async def empty(_context: dict[str, Any]) -> None:
        await gate.wait()

    async def after(_context: dict[str, Any]) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            all_done.set()

    worker: Worker[Any] = Worker(
        queue, [("empty", empty)], concurrency=job.lanes, after_process=after
    )
    worker.SIGNALS = []
    running = asyncio.create_task(worker.start())

    async def prepare(count: int) -> None:
        nonlocal left
        left = count
        gate.clear()
        all_done.clear()
        for _ in range(count // 100):
            await asyncio.gather(*(queue.enqueue("empty", timeout=0) for _ in range(100)))

    measured = max(100, job.items * job.steps // 100 * 100)
    for is_measured in (False, True):
        count = measured if is_measured else 100
        await prepare(count)
        await asyncio.sleep(0.05)
        if is_measured:
            clock.start()
        gate.set()
        await all_done.wait()
    clock.stop(measured)
    await worker.stop()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await queue.disconnect()


def _run(job: Job, clock: Clock) -> None:
    asyncio.run(_main(job, clock))


ROW = Row(
    key="saq",
    title="SAQ, empty jobs",
    run=_run,
    durability="the job's fate; AOF {fsync}",
    rate=2_000,
    needs="saq",
    is_sized=False,
    unit="job",
)
