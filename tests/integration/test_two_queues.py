"""One worker on two queues of a real server: shares, budgets, and one queue that is broken."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from roost_core.client.requests import EnqueueRequest
from roost_core.models.work import State
from roost_core.testing import MemoryArtifactStore
from roost_core.worker import Worker
from tests.integration.redis_bench import Counting, all_done, calls, eventually, queue, settings_for

BOTH = ("default", "other")


@pytest.mark.parametrize("lanes", [1, 4, 10])
async def test_equal_backlogs_have_equal_shares(redis_server, lanes):
    """Counted over the first half of all steps: within 10 %."""
    settings, engine = settings_for(redis_server), Counting()
    async with (
        queue(settings, engine) as roost,
        queue(settings.evolve(queue="other"), engine) as other,
    ):
        requests = [EnqueueRequest(engine="counting", payload={"steps": 2})] * 300
        mine = {one.work_id for one in await roost.enqueue_many(requests)}
        its = {one.work_id for one in await other.enqueue_many(requests)}
        await Worker(
            settings,
            roost.plugins,
            roost.server,
            MemoryArtifactStore(),
            queues=BOTH,
            concurrency=lanes,
            burst=True,
        ).run()
        steps = [work_id for work_id, _ in engine.begun]
        assert {2} == set(Counter(steps).values())
        assert mine | its == set(steps)
        first_half = steps[: len(steps) // 2]
        share = sum(work_id in mine for work_id in first_half) / len(first_half)
        assert 0.45 <= share <= 0.55


async def test_a_chained_step_is_one_call_and_idle_queues_are_quiet(redis_server):
    """Whichever queue it is of; and the budget of an idle worker is one for each queue."""
    settings, engine = settings_for(redis_server), Counting()
    async with (
        queue(settings, engine) as roost,
        queue(settings.evolve(queue="other"), engine) as other,
    ):
        worker = Worker(settings, roost.plugins, roost.server, MemoryArtifactStore(), queues=BOTH)
        task = asyncio.create_task(worker.run())
        for one in (roost, other):

            async def stands(one=one):
                return await one.ledger.client.zcard(one.ledger.keys.key("idle"))

            await eventually(stands)
        before = await calls(roost)
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(2.5)
        seconds = asyncio.get_running_loop().time() - began
        idle = await calls(roost) - before
        # Those of this test are two of each that it asked for the statistics.
        made = sum(
            count for name, count in idle.items() if name in ("evalsha", "ping", "subscribe")
        )
        assert made <= 2 * len(BOTH) * seconds
        before = await calls(roost)
        item = await other.enqueue("counting", {"steps": 40})
        await other.work(item.work_id).wait()
        after = await calls(roost) - before
        # 40 steps, an enqueue, a claim, a look for more, and what the client reads.
        assert 40 <= after["evalsha"] <= 40 + 8
        worker.stop()
        await task


async def test_a_queue_that_is_broken_holds_up_no_other(redis_server, caplog):
    """Claims, renewals and upkeep of one fail for good: the other's work is done."""
    settings, engine = settings_for(redis_server, lease_ttl=1.0), Counting()
    async with (
        queue(settings, engine) as roost,
        queue(settings.evolve(queue="other"), engine) as other,
    ):
        key = other.ledger.keys.key
        await other.enqueue("counting", {"steps": 1})
        for name in ("ready", "running", "workers", "seen", "work"):
            await other.ledger.client.delete(key(name))
            await other.ledger.client.set(key(name), "not what it was")
        worker = Worker(settings, roost.plugins, roost.server, MemoryArtifactStore(), queues=BOTH)
        task = asyncio.create_task(worker.run())
        items = [await roost.enqueue("counting", {"steps": 2, "seconds": 1.2}) for _ in range(15)]
        assert {State.DONE} == set(await all_done(roost, items))
        assert {1} == set(Counter(engine.begun).values())
        worker.stop()
        await task
    assert any("queue other: cannot claim" in one.getMessage() for one in caplog.records)


async def test_a_message_for_busy_lanes_is_passed_on(redis_server):
    """A worker that has no lane for it wakes one that is idle, though both serve the queue."""
    settings, engine = settings_for(redis_server), Counting()
    async with (
        queue(settings, engine) as roost,
        queue(settings.evolve(queue="other"), engine) as other,
    ):
        busy = Worker(
            settings,
            roost.plugins,
            roost.server,
            MemoryArtifactStore(),
            queues=BOTH,
            concurrency=1,
        )
        first = asyncio.create_task(busy.run())

        async def registered():
            return await other.ledger.client.zcard(other.ledger.keys.key("idle")) or None

        await eventually(registered)
        gated = await roost.enqueue("counting", {"steps": 1, "gated": True})
        await engine.began.wait()
        idle = Worker(
            settings.evolve(queue="other"),
            other.plugins,
            other.server,
            MemoryArtifactStore(),
        )
        second = asyncio.create_task(idle.run())

        async def both():
            return await other.ledger.client.zcard(other.ledger.keys.key("idle")) == 2

        await eventually(both)
        items = [await other.enqueue("counting", {"steps": 1}) for _ in range(2)]
        # Long before any of them would look by itself.
        async with asyncio.timeout(8):
            assert [State.DONE] * 2 == await all_done(other, items)
        engine.gate.set()
        await roost.work(gated.work_id).wait()
        for worker, task in ((busy, first), (idle, second)):
            worker.stop()
            await task
