"""What the server is asked: commands counted by the server itself, over 1,000 steps."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from roost_core.models import State
from tests.integration.redis_bench import (
    Counting,
    Crew,
    calls,
    eventually,
    idle,
    queue,
    settings_for,
)
from tests.servers import need, redis_binary, server_in

STEPS = 1000
#: One renewal at the start, and none while a test counts; slices end by steps only.
QUIET = {"lease_ttl": 3600.0, "slice_seconds": 3600.0}


@pytest.fixture(scope="module")
def server(server_root):
    """Give a server that nobody else talks to."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "counted") as found:
        yield found


async def counted(roost, work):
    """Count how often each command is called meanwhile."""
    before = await calls(roost)
    await work()
    return await calls(roost) - before


async def done(roost, number):
    """Wait until this many work items are done, with plain commands only."""
    key = roost.ledger.keys.key("done")

    async def all_there():
        return await roost.ledger.client.zcard(key) == number

    await eventually(all_there)


async def warm(roost):
    """Load all scripts on the server, and wait until the worker is idle."""
    await roost.enqueue("counting", {"steps": 1})
    await done(roost, 1)
    await idle(roost)


async def test_enqueue_is_one_call(server):
    """An enqueued work item is one script call, and nothing else."""
    async with queue(settings_for(server, **QUIET), Counting()) as roost:
        await roost.enqueue("counting", {"steps": 1})

        async def work():
            for _ in range(STEPS):
                await roost.enqueue("counting", {"steps": 1})

        found = await counted(roost, work)
        assert STEPS == found["evalsha"]
        # Each of these once per call, by the script.
        assert {STEPS} == {found[name] for name in ("time", "incr", "xadd")}
        assert set() == {"get", "set", "eval", "exists", "hgetall"} & set(found)


async def test_a_chained_step_is_one_call(server):
    """1,000 steps back to back: a call each, and a claim for each slice of 50."""
    settings = settings_for(server, **QUIET)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await warm(roost)

        async def work():
            await roost.enqueue("counting", {"steps": STEPS})
            await done(roost, 2)

        found = await counted(roost, work)
        commits = STEPS + 1  # init_snapshot is a step, too
        claims = -(-commits // settings.slice_steps)
        enqueues = 1
        assert commits + claims + enqueues == found["evalsha"]


#: What the tests themselves ask while they wait.
ASKED_BY_TESTS = {"info", "zcard", "pubsub|channels"}


async def of_one_item(roost, number, *, before):
    """Return the commands of one work item of this many steps, from its enqueuing to idleness."""

    async def work():
        await roost.enqueue("counting", {"steps": number})
        await done(roost, before + 1)
        await idle(roost)

    found = await counted(roost, work)
    return Counter({name: calls for name, calls in found.items() if name not in ASKED_BY_TESTS})


async def of_steps(server, **more):
    """Return the commands of ``STEPS`` steps without those of their work item; none is negative."""
    settings = settings_for(server, **QUIET, **more)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start(concurrency=1)
        await warm(roost)
        # What a work item takes apart from its steps is the same for both.
        few = await of_one_item(roost, 10, before=1)
        many = await of_one_item(roost, 10 + STEPS, before=2)
        assert {} == dict(few - many)
        return many - few


async def test_a_chained_step_to_the_command(server):
    """One call, and in it the clock, one read, one write and one event: nothing else at all.

    The lease is fresh all the time, so that nothing extends it. At every 31st version those beyond
    the bounds are dropped. With history, what the step replaces is read, too.
    """
    each = dict.fromkeys(("evalsha", "time", "hget", "hset", "xadd"), STEPS)
    more = {"slice_steps": 10 * STEPS}
    for versions, reads in ((0, STEPS), (50, 2 * STEPS)):
        found = await of_steps(server, history_versions=versions, **more)
        assert STEPS // 31 - 1 <= found.pop("hdel") <= STEPS // 31 + 1
        assert {**each, "hget": reads} == dict(found)


@pytest.mark.parametrize(("versions", "most"), [(0, 23), (50, 24)])
async def test_a_step_through_the_queue(server, versions, most):
    """With slices of one step each goes back into the line: that is a commit and a claim."""
    found = await of_steps(server, slice_steps=1, history_versions=versions)
    twice = ("evalsha", "time", "xadd")
    assert dict.fromkeys(twice, 2 * STEPS) == {name: found[name] for name in twice}
    assert sum(found.values()) - found["evalsha"] <= most * STEPS


async def test_many_lanes_share_their_claims(server):
    """While more is ready than there are lanes, a claim takes work for half of them."""
    settings = settings_for(server, **QUIET, slice_steps=1)
    engine = Counting()
    items, each = 40, STEPS // 40
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:

        async def work():
            for _ in range(items):
                await roost.enqueue("counting", {"steps": each - 1})
            await crew.start(concurrency=10)
            await done(roost, items)

        found = await counted(roost, work)
        # Claims for five each, and a few more at the beginning and at the end.
        claims = found["evalsha"] - items - STEPS
        assert STEPS / 5 <= claims <= STEPS / 4


@pytest.mark.parametrize("delays", [[0.001], [0.004, 0.007], [0.02] * 10])
async def test_a_sleeping_step_is_two_calls_at_most(server, delays):
    """A call to accept the step, and one to claim the next; fewer where several are due at once."""
    settings = settings_for(server, **QUIET)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await warm(roost)
        each = STEPS // len(delays)

        async def work():
            for delay in delays:
                await roost.enqueue("counting", {"steps": each, "delay": delay})
            await done(roost, 1 + len(delays))

        found = await counted(roost, work)
        assert found["evalsha"] - len(delays) <= 2 * (STEPS + len(delays))


async def test_sleeping_beside_work_of_an_engine_that_nobody_runs(server):
    """Work that stays in the line does not make workers that cannot take it ask more often."""
    settings = settings_for(server, **QUIET)
    engine = Counting()
    other = Counting("other")
    async with queue(settings, engine, other) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await warm(roost)
        await roost.enqueue("other", {"steps": 1})

        async def work():
            await roost.enqueue("counting", {"steps": 200, "delay": 0.001})
            await done(roost, 2)

        found = await counted(roost, work)
        assert found["evalsha"] - 1 <= 2 * (200 + 1)
        assert 1 == (await roost.counts())[State.QUEUED]


async def test_an_idle_worker(server):
    """With nothing to do a worker sends less than two commands a second, at default settings."""
    settings = settings_for(server)
    engine = Counting()
    seconds = 4
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await warm(roost)
        await roost.enqueue("counting", {"steps": 1}, delay_seconds=3600)

        async def work():
            await asyncio.sleep(seconds)

        found = await counted(roost, work)
        sent = found["evalsha"] + sum(found[name] for name in ("zcard", "ping", "subscribe"))
        assert sent < 2 * seconds


async def test_an_idle_worker_is_woken_without_asking(server):
    """Work enqueued elsewhere is claimed at once, by one claim: no worker has polled for it."""
    settings = settings_for(server, **QUIET)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await warm(roost)

        async def work():
            for number in range(50):
                await roost.enqueue("counting", {"steps": 1})
                await done(roost, 2 + number)
                await idle(roost)

        found = await counted(roost, work)
        # Enqueue, claim, init, step: and no claim in vain, except what the register costs.
        assert 4 * 50 <= found["evalsha"] <= 5 * 50
        assert 50 <= found["publish"]


async def test_following_where_nothing_ever_happened_is_a_wait(server):
    """The first event of a new queue is waited for, not asked for again and again."""
    async with queue(settings_for(server)) as roost:
        events = roost.follow()

        async def work():
            first = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.2)
            item = await roost.enqueue("counting", {"steps": 1}, any_engine=True)
            assert item.work_id == (await first).work_id

        found = await counted(roost, work)
        assert found["xrange"] + found["xrevrange"] <= 5
        await events.aclose()
