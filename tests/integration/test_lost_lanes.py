"""Workers whose lanes and threads are lost to steps that do not end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from roost_core import hookimpl
from roost_core.client.examining import of_workers
from roost_core.models import RetryPolicy, State
from roost_core.stepping import holds, lost
from tests.integration.redis_bench import (
    Counting,
    Crew,
    all_done,
    eventually,
    queue,
    settings_for,
)
from tests.servers import need, redis_binary, server_in

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture(scope="module")
def server(server_root):
    """Give a server of its own."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "lost") as found:
        yield found


@pytest.fixture(autouse=True)
def sharp(monkeypatch):
    """Let deaf steps be noticed soon."""
    for module in (holds, lost):
        monkeypatch.setattr(module, "DEAF_AFTER", 0.1)


class Deaf:
    """An engine whose steps continue until they are let go, whoever cancels them."""

    engine_id = "deaf"

    def __init__(self):
        self.begun = 0
        self.release = asyncio.Event()

    @hookimpl
    async def step(self, snapshot):
        """Go on."""
        self.begun += 1
        while not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                continue
        return snapshot.finish()


class Thread:
    """An engine of plain functions that continue until they are let go."""

    engine_id = "thread"

    def __init__(self):
        self.begun = 0
        self.release = threading.Event()

    @hookimpl
    def step(self, snapshot):
        """Go on."""
        self.begun += 1
        self.release.wait(60)
        return snapshot.finish()


async def lost_by(roost, number):
    """Wait until the register says that this many steps continue."""

    async def says():
        return [one.lost for one in await roost.workers()] == [number]

    await eventually(says)


@pytest.mark.fault(8, "a step deaf to cancelling", n=2)
async def test_deaf_steps_cost_no_lanes(server):
    """With two lanes and two deaf steps other work is done anyway; later all is as before."""
    settings = settings_for(server, lease_ttl=1.0, drain_timeout=1.0)
    deaf, counting = Deaf(), Counting()
    async with (
        queue(settings, deaf, counting) as roost,
        Crew(settings, deaf, counting) as crew,
    ):
        await crew.start(concurrency=2)
        wish = {"step_timeout_seconds": 0.1, "retry": ONCE}
        bad = [await roost.enqueue("deaf", **wish) for _ in range(2)]
        found = await all_done(roost, bad)
        assert [State.FAILED] * 2 == found
        assert {"timeout"} == {(await roost.work(one).status()).meta.error.kind for one in bad}
        assert {0} == {(await roost.work(one).status()).meta.recoveries for one in bad}
        await lost_by(roost, 2)
        assert "2 of its steps still run" in of_workers(await roost.workers())[1].message
        good = [await roost.enqueue("counting", {"steps": 5}) for _ in range(20)]
        assert [State.DONE] * 20 == await all_done(roost, good)
        assert counting.most <= 2
        deaf.release.set()
        await lost_by(roost, 0)
        counting.most = 0
        good = [await roost.enqueue("counting", {"steps": 5, "seconds": 0.01}) for _ in range(20)]
        assert [State.DONE] * 20 == await all_done(roost, good)
        assert 2 == counting.most


@pytest.mark.fault(8, "a step deaf to cancelling", n=3)
@pytest.mark.parametrize("kind", [Deaf, Thread])
async def test_there_is_a_bound(server, kind):
    """Beyond as many lost steps as lanes the worker takes no more, until some of them end."""
    settings = settings_for(server, lease_ttl=1.0, drain_timeout=1.0)
    bad, counting = kind(), Counting()
    async with (
        queue(settings, bad, counting) as roost,
        Crew(settings, bad, counting) as crew,
    ):
        wish = {"step_timeout_seconds": 0.1, "retry": ONCE}
        for _ in range(12):
            await roost.enqueue(bad.engine_id, **wish)
        await crew.start(concurrency=2)

        async def is_full():
            return [one.lost > 2 for one in await roost.workers()] == [True]

        await eventually(is_full)
        await asyncio.sleep(2.0)  # several times as long as it takes to lose one more
        assert 3 <= bad.begun <= 4
        item = await roost.enqueue("counting", {"steps": 1}, priority=10)
        assert State.QUEUED is (await roost.work(item).wait(timeout=0.5)).meta.state
        messages = [one.message for one in of_workers(await roost.workers())]
        assert any("it takes no more work: restart it" in one for one in messages)
        bad.release.set()
        assert [State.DONE] == await all_done(roost, [item])
