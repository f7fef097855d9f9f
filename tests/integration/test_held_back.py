"""Wake-ups go to workers that can use them: not to one that suspected work holds back."""

from __future__ import annotations

import asyncio
import time

from roost_core.backend import Alone, ClaimRequest
from roost_core.testing.contract.kit import new_work
from tests.integration.redis_bench import Counting, queue, settings_for
from tests.redis_pokes import age_lease
from tests.servers import Server

ENGINES = ("a", "b")


async def _suspected(backend, work_id):
    """Make work of engine a over which two workers have died that ran other work as well."""
    await backend.enqueue([new_work(work_id, engine="a")])
    for number in range(2):
        await backend.claim(ClaimRequest(f"dead-{work_id}-{number}", ("a",), 1, 60_000))
        await age_lease(backend, work_id)
        await backend.claim(ClaimRequest("finder", ("none",), 1, 60_000))
    # It was registered as idle itself.
    await backend.retire("finder")


async def _idle(backend):
    return await backend.client.zrange(backend.keys.key("idle"), 0, -1)


async def test_who_runs_suspects_is_told_of_nothing(redis_server: Server) -> None:
    """Though it was idle before, and was woken for one of its engines only."""
    async with queue(settings_for(redis_server), Counting()) as roost:
        backend = roost.backend
        request = ClaimRequest("w-1", ENGINES, 4, 60_000, Alone.MAY)
        assert () == (await backend.claim(request)).claims
        assert [b"a w-1", b"b w-1"] == await _idle(backend)
        await _suspected(backend, "s")
        batch = await backend.claim(request, was_idle=True)
        assert [True] == [claim.is_solo for claim in batch.claims]
        found = await _idle(backend)
        assert [] == [one for one in found if one.endswith(b" w-1")]


async def test_who_drains_is_told_of_nothing(redis_server: Server) -> None:
    """It takes nothing before it runs nothing; then it looks by itself."""
    async with queue(settings_for(redis_server), Counting()) as roost:
        backend = roost.backend
        await _suspected(backend, "s")
        await asyncio.sleep(0.05)
        await backend.enqueue([new_work("other", engine="b")])
        batch = await backend.claim(ClaimRequest("w-1", ENGINES, 4, 20, Alone.NEVER))
        assert (1, True) == (len(batch.claims), batch.drain)
        found = await _idle(backend)
        assert [] == [one for one in found if one.endswith(b" w-1")]


async def test_more_suspects_than_one_may_take_wake_another(redis_server: Server) -> None:
    """Workers that are idle share them."""
    async with queue(settings_for(redis_server), Counting()) as roost:
        backend = roost.backend
        for work_id in ("s", "t"):
            await _suspected(backend, work_id)
        told: list[float] = []
        channel = backend.keys.wake_channel("w-2")
        messages = await backend.subscribe([channel], lambda *_: told.append(time.monotonic()))
        await backend.client.zadd(backend.keys.key("idle"), {"a w-2": 0})
        known = len(told)
        batch = await backend.claim(ClaimRequest("w-1", ENGINES, 2, 60_000, Alone.MAY))
        assert 1 == len(batch.claims)
        async with asyncio.timeout(5):
            while len(told) == known:  # noqa: ASYNC110 - a message comes
                await asyncio.sleep(0.01)
        await messages.close()
