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


async def _suspected(ledger, work_id):
    """Make work of engine a: two workers have died on it that ran other work as well."""
    await ledger.enqueue([new_work(work_id, engine="a")])
    for number in range(2):
        await ledger.claim(ClaimRequest(f"dead-{work_id}-{number}", ("a",), 1, 60_000))
        await age_lease(ledger, work_id)
        await ledger.claim(ClaimRequest("finder", ("none",), 1, 60_000))
    # The finder was registered as idle, too.
    await ledger.retire("finder")


async def _idle(ledger):
    return await ledger.client.zrange(ledger.keys.key("idle"), 0, -1)


async def test_who_runs_suspects_is_told_of_nothing(redis_server: Server) -> None:
    """Though it was idle before, and was woken for one of its engines only."""
    async with queue(settings_for(redis_server), Counting()) as roost:
        ledger = roost.ledger
        request = ClaimRequest("w-1", ENGINES, 4, 60_000, Alone.MAY)
        assert () == (await ledger.claim(request)).claims
        assert [b"a w-1", b"b w-1"] == await _idle(ledger)
        await _suspected(ledger, "s")
        batch = await ledger.claim(request, was_idle=True)
        assert [True] == [claim.is_solo for claim in batch.claims]
        found = await _idle(ledger)
        assert [] == [one for one in found if one.endswith(b" w-1")]


async def test_who_drains_is_told_of_nothing(redis_server: Server) -> None:
    """It takes nothing until it runs nothing; then it looks by itself."""
    async with queue(settings_for(redis_server), Counting()) as roost:
        ledger = roost.ledger
        await _suspected(ledger, "s")
        await asyncio.sleep(0.05)
        await ledger.enqueue([new_work("other", engine="b")])
        batch = await ledger.claim(ClaimRequest("w-1", ENGINES, 4, 20, Alone.NEVER))
        assert (1, True) == (len(batch.claims), batch.drain)
        found = await _idle(ledger)
        assert [] == [one for one in found if one.endswith(b" w-1")]


async def test_more_suspects_than_one_may_take_wake_another(redis_server: Server) -> None:
    """Workers that are idle share them."""
    async with queue(settings_for(redis_server), Counting()) as roost:
        ledger = roost.ledger
        for work_id in ("s", "t"):
            await _suspected(ledger, work_id)
        told: list[float] = []
        channel = ledger.keys.wake_channel("w-2")
        messages = await ledger.subscribe([channel], lambda *_: told.append(time.monotonic()))
        await ledger.client.zadd(ledger.keys.key("idle"), {"a w-2": 0})
        known = len(told)
        batch = await ledger.claim(ClaimRequest("w-1", ENGINES, 2, 60_000, Alone.MAY))
        assert 1 == len(batch.claims)
        async with asyncio.timeout(5):
            while len(told) == known:  # noqa: ASYNC110 - a message comes
                await asyncio.sleep(0.01)
        await messages.close()
