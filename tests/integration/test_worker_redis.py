"""Workers over a real server: bursts, waking and stopping."""

from __future__ import annotations

import asyncio
import random

import pytest

from roost_core.models import State
from tests.integration.redis_bench import (
    Counting,
    Crew,
    all_done,
    burst,
    calls,
    eventually,
    idle,
    kinds,
    queue,
    same,
    settings_for,
    versions,
)
from tests.servers import need, redis_binary, server_in


@pytest.fixture(scope="module")
def server(server_root):
    """Give a server that nobody else talks to, because these tests cut everybody off."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "worker") as found:
        yield found


async def client_kill(roost, kind="normal"):
    """Cut all connections of a kind, except the one that asks."""
    await roost.ledger.client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


# -- bursts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 2, 10])
async def test_a_burst_ends_when_nothing_is_in_flight(server, concurrency):
    """Even work that goes back into the line many times is done when the burst is over."""
    settings = settings_for(server, slice_steps=7)
    engine = Counting()
    async with queue(settings, engine) as roost:
        items = [await roost.enqueue("counting", {"steps": 40}) for _ in range(5)]
        await burst(settings, roost, concurrency=concurrency)
        assert [State.DONE] * 5 == [(await roost.work(one).status()).meta.state for one in items]
        assert {one.work_id: list(range(1, 42)) for one in items} == await versions(roost)
        assert engine.most <= concurrency


async def test_a_burst_leaves_what_is_due_later(server):
    """Nothing is ready: a burst does not wait for sleepers, and none is lost."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost:
        await burst(settings, roost)
        assert [] == engine.begun
        item = await roost.enqueue("counting", {"steps": 2, "delay": 3600})
        await burst(settings, roost)
        assert State.SLEEPING is (await roost.work(item).status()).meta.state
        assert [] == await roost.workers()


# -- waking ----------------------------------------------------------------------------------


async def test_due_work_wakes_a_worker_whose_lanes_were_busy(server):
    """Work that became due later, while nobody could be told, starts when it is due."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start(concurrency=1)
        first = await roost.enqueue("counting", {"steps": 1, "gated": True})
        await eventually(lambda: same(engine.begun))
        later = await roost.enqueue("counting", {"steps": 1}, delay_seconds=1.0)
        engine.gate.set()
        await all_done(roost, [first])
        before = await calls(roost)
        await all_done(roost, [later])
        found = await calls(roost) - before
        status = (await roost.work(later).status()).meta
        claimed = next(one for one in await roost.work(later).events() if one.kind == "claimed")
        late = (claimed.at - status.created_at).total_seconds() - 1.0
        assert late >= 0
        # By one claim, or a few: not by polling, nor by chance.
        assert found["evalsha"] < 12
        # Five seconds or more if nobody had told it; no tighter, as machines can be slow.
        assert late < 3


async def test_a_wait_asks_for_nothing_that_is_refused(server):
    """It listens with one request, and nothing that it asks for is refused by the server."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await all_done(roost, [await roost.enqueue("counting", {"steps": 1})])
        await roost.ledger.client.config_resetstat()
        item = await roost.enqueue("counting", {"steps": 1}, delay_seconds=0.2)
        assert [State.DONE] == await all_done(roost, [item])
        errors = await roost.ledger.client.info("errorstats")
        assert set() == errors.keys() - {"errorstat_NOSCRIPT"}


async def test_a_lost_message_is_made_up_for(server):
    """The connection that listens is cut: the work that came meanwhile is done anyway."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await idle(roost)
        for _ in range(10):
            await client_kill(roost, "pubsub")
            item = await roost.enqueue("counting", {"steps": 2})
            assert [State.DONE] == await all_done(roost, [item])


async def test_work_of_another_engine_is_left(server):
    """A worker without the engine leaves the work as it is; one that has it takes it."""
    settings = settings_for(server)
    mine, other = Counting("mine"), Counting("other")
    async with queue(settings, mine, other) as roost, Crew(settings, mine, other) as crew:
        await crew.start(mine)
        foreign = await roost.enqueue("other", {"steps": 2})
        own = [await roost.enqueue("mine", {"steps": 2}) for _ in range(5)]
        assert [State.DONE] * 5 == await all_done(roost, own)
        meta = (await roost.work(foreign).status()).meta
        assert (State.QUEUED, 0, 0, 0) == (
            meta.state,
            meta.fence,
            meta.attempts,
            meta.recoveries,
        )
        await crew.start(other)
        assert [State.DONE] == await all_done(roost, [foreign])


async def test_two_workers_and_one_resource(server):
    """However many lanes there are, one at a time holds it, and all get their turn."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await crew.start()
        wish = {"steps": 3, "seconds": 0.002, "delay": 0.001}
        items = [
            await roost.enqueue("counting", wish, resources=["domain:a", f"d{number % 3}"])
            for number in range(12)
        ]
        assert [State.DONE] * 12 == await all_done(roost, items)
        assert 1 == engine.most
        assert {one.work_id: [1, 2, 3, 4] for one in items} == await versions(roost)
        assert 0 == await roost.ledger.client.hlen(roost.ledger.keys.key("held"))


# -- stopping --------------------------------------------------------------------------------


async def test_stop_drains(server):
    """The steps in flight end and are accepted; the rest goes back into the line."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        worker = await crew.start()
        item = await roost.enqueue("counting", {"steps": 3, "gated": True})
        await engine.began.wait()
        assert [item.work_id] == worker.running
        worker.stop()
        later = await roost.enqueue("counting", {"steps": 1})
        engine.gate.set()
        await crew.stop()
        meta = (await roost.work(item).status()).meta
        assert (State.QUEUED, 2, 0, 0) == (
            meta.state,
            meta.version,
            meta.attempts,
            meta.recoveries,
        )
        assert State.QUEUED is (await roost.work(later).status()).meta.state
        assert [] == await roost.workers()


async def test_abort_gives_back(server):
    """A second signal cancels the steps: given back at once, with an event, and no attempt."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        worker = await crew.start()
        items = [await roost.enqueue("counting", {"steps": 3, "gated": True}) for _ in range(5)]
        await eventually(lambda: same(len(engine.begun) == 5))
        worker.stop()
        worker.abort()
        await crew.stop()
        for item in items:
            meta = (await roost.work(item).status()).meta
            assert (State.QUEUED, 1, 0, 0) == (
                meta.state,
                meta.version,
                meta.attempts,
                meta.recoveries,
            )
            assert "interrupted" == (await kinds(roost, item))[-1]


async def test_the_drain_has_an_end(server):
    """Steps that take longer than the drain timeout are cancelled and given back."""
    settings = settings_for(server, drain_timeout=0.05)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        item = await roost.enqueue("counting", {"steps": 3, "gated": True})
        await engine.began.wait()
        await crew.stop()
        meta = (await roost.work(item).status()).meta
        assert (State.QUEUED, 0, 0) == (meta.state, meta.attempts, meta.recoveries)


async def test_a_worker_that_is_cancelled(server):
    """A program that cancels the worker's task has its work given back, too."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        item = await roost.enqueue("counting", {"steps": 3, "gated": True})
        await engine.began.wait()
        crew.tasks[0].cancel()
        await asyncio.wait(crew.tasks)
        assert State.QUEUED is (await roost.work(item).status()).meta.state
        assert "interrupted" == (await kinds(roost, item))[-1]


async def test_workers_that_come_and_go(server):
    """Thirty workers stopped at random moments: nothing is lost, blamed, or left leased."""
    settings = settings_for(server)
    engine = Counting()
    seed = 7
    dice = random.Random(seed)
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        wish = {"steps": 400, "delay": 0.001}
        items = [await roost.enqueue("counting", wish) for _ in range(8)]
        for number in range(30):
            await crew.start(concurrency=dice.choice([1, 3, 10]))
            await asyncio.sleep(dice.uniform(0, 0.05))
            if number % 2:
                crew.workers[-1].abort()
            await crew.stop()
            counts = await roost.counts()
            assert 0 == counts[State.RUNNING], f"worker {number}, seed {seed}"
        metas = [(await roost.work(one).status()).meta for one in items]
        assert {(0, 0)} == {(one.attempts, one.recoveries) for one in metas}
        found = await versions(roost)
        for one in metas:
            assert list(range(1, one.version + 1)) == found.get(one.work_id, [])
