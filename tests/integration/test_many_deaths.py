"""Work that may kill as many workers as a bound can express."""

from __future__ import annotations

from roost_core.backend import Alone, ClaimRequest
from roost_core.models import State
from roost_core.testing.contract.kit import new_work
from tests.integration.redis_bench import Counting, queue, settings_for
from tests.redis_pokes import age_due, age_lease
from tests.servers import Server


async def test_ten_thousand_deaths_are_counted(redis_server: Server) -> None:
    """R2: a number of five digits is no damage; after exactly this many it is buried."""
    async with queue(settings_for(redis_server), Counting()) as roost:
        ledger = roost.ledger
        await ledger.enqueue([new_work("w", engine="a", max_recoveries=10_001)])
        work = ledger.keys.key("work")
        record = await ledger.client.hget(work, "w")
        assert 1 == record.count(b" - 0 0 ")
        many = record.replace(b" - 0 0 ", b" 9998,0,0,0,0,- 0 0 ")
        await ledger.client.hset(work, "w", many)
        for number in range(3):
            request = ClaimRequest(f"dead-{number}", ("a",), 1, 60_000, Alone.ALWAYS)
            assert 1 == len((await ledger.claim(request)).claims)
            await age_lease(ledger, "w")
            await ledger.claim(ClaimRequest("finder", ("none",), 1, 60_000))
        assert State.RETRY_WAIT == (await ledger.read("w")).state
        await age_due(ledger, "w")
        await ledger.claim(ClaimRequest("finder", ("none",), 1, 60_000))
        stored = await ledger.read("w")
        assert (State.FAILED, 10_001) == (stored.state, stored.recoveries)
        assert b'"recoveries"' in stored.error
