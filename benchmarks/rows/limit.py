"""The limit: what one Python process can do with one bare script call per step."""

from __future__ import annotations

import asyncio

import redis.asyncio

from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.row import Row

_SCRIPT = "return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])"


async def _main(job: Job, clock: Clock) -> None:
    client = redis.asyncio.Redis.from_url(job.url, protocol=2, max_connections=job.lanes)
    sha = await client.script_load(_SCRIPT)
    text = job.text.encode()

    async def lane(number: int, items: int) -> None:
        for index in range(items):
            for _ in range(job.steps):
                await client.evalsha(sha, 1, "bare", f"{number}-{index}", text)

    async def all_lanes(items: int) -> int:
        each = max(1, items // job.lanes)
        await asyncio.gather(*(lane(number, each) for number in range(job.lanes)))
        return each * job.lanes * job.steps

    await all_lanes(job.warm_items)
    clock.start()
    clock.stop(await all_lanes(job.items))
    await client.aclose()


def _run(job: Job, clock: Clock) -> None:
    asyncio.run(_main(job, clock))


ROW = Row(
    key="limit",
    title="limit: one bare EVALSHA a step",
    run=_run,
    durability="one HSET; AOF {fsync}",
    rate=12_000,
)
