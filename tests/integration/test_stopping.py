"""Workers that stop, over a real server: as soon as nothing is in flight, with nothing left."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.models import State
from tests.integration.redis_bench import (
    PATIENCE,
    Counting,
    Crew,
    eventually,
    queue,
    settings_for,
)
from tests.servers import need, redis_binary, server_in


@pytest.fixture(scope="module")
def server(server_root):
    """Give a server that may be stopped."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "stopping") as found:
        yield found


async def given_back(roost, items, version):
    """Check that the items are in the line again, without blame."""
    for item in items:
        meta = (await roost.work(item).status()).meta
        assert (State.QUEUED, version, 0, 0) == (
            meta.state,
            meta.version,
            meta.attempts,
            meta.recoveries,
        )


@pytest.mark.parametrize(("lanes", "count"), [(1, 1), (1, 3), (3, 2), (10, 10)])
@pytest.mark.parametrize("burst", [False, True])
async def test_a_stop_ends_with_the_last_step(server, lanes, count, burst):
    """The worker leaves when its last step ends, long before the drain timeout is over."""
    # Longer than the tests' patience: a worker that waits for it fails the test.
    settings = settings_for(server, drain_timeout=10 * PATIENCE)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        wish = {"steps": 3, "gated": True}
        items = [await roost.enqueue("counting", wish) for _ in range(count)]
        worker = await crew.start(concurrency=lanes, burst=burst)
        running = min(lanes, count)

        async def all_begun():
            return len(engine.begun) == running

        await eventually(all_begun)
        worker.stop()
        asyncio.get_running_loop().call_later(0.1, engine.gate.set)
        await crew.stop()
        done = [one for one in items if (await roost.work(one).status()).meta.version]
        assert running == len(done)
        await given_back(roost, done, 2)
        await given_back(roost, [one for one in items if one not in done], 0)


async def test_an_abort_takes_claims_along_that_are_on_their_way(server):
    """Work that was just handed to a lane is given back by an abort, and not run to its end."""
    settings = settings_for(server, drain_timeout=10 * PATIENCE)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        worker = await crew.start(concurrency=5)
        await _at_hand_out(worker, worker.abort)
        items = [await roost.enqueue("counting", {"steps": 3, "gated": True}) for _ in "123"]
        await crew.stop()
        await given_back(roost, items, 0)
        assert [] == engine.begun


async def test_a_drain_of_no_time_strands_nothing(server):
    """With a drain timeout of 0 a claim on its way to a lane is given back anyway."""
    settings = settings_for(server, drain_timeout=0)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        worker = await crew.start(concurrency=5)
        await _at_hand_out(worker, worker.stop)
        items = [await roost.enqueue("counting", {"steps": 3, "gated": True}) for _ in "123"]
        await crew.stop()
        assert 0 == (await roost.counts())[State.RUNNING]
        for item in items:
            meta = (await roost.work(item).status()).meta
            assert (State.QUEUED, 0, 0) == (meta.state, meta.attempts, meta.recoveries)


async def _at_hand_out(worker, act):
    """Let ``act`` be called when the worker's first work items have just been handed to lanes."""

    async def lanes_of():
        return worker._ledgers[0].lanes

    lanes = await eventually(lanes_of)
    claim = lanes.claim

    async def claim_and_act(request, **how):
        batch = await claim(request, **how)
        if batch.claims:
            # What it has brought is handed out before the loop does anything else.
            asyncio.get_running_loop().call_soon(act)
        return batch

    lanes.claim = claim_and_act
