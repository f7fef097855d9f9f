"""Why work does not run, on a real server: the rates that it keeps, damage, and few rights."""

from __future__ import annotations

import asyncio
import contextlib
import re

import pytest

from roost_core.backend import StepTally, Tally
from tests.contract.harnesses import RedisHarness
from tests.docs.pages import page
from tests.integration.redis_bench import Counting, Crew, all_done, eventually, queue, settings_for

pytestmark = pytest.mark.usefixtures("redis_server")


@contextlib.asynccontextmanager
async def opened(url):
    """Give an open backend in a namespace of its own."""
    kit = RedisHarness(url)
    await kit.open()
    try:
        yield kit
    finally:
        await kit.close()


def steps(*labels, engine="counter", count=1):
    """Make a tally of some labels."""
    return Tally(((engine, 1),), tuple(StepTally(engine, one, count, 10, 10) for one in labels))


async def rates(kit):
    """Return the hash of rates."""
    found = await kit.ledger.client.hgetall(kit.ledger.keys.key("rates"))
    return {field.decode(): value.decode() for field, value in found.items()}


async def test_a_minute_has_a_bounded_number_of_labels(redis_server):
    """Beyond a hundred, of all engines, they are counted together; nothing is lost of the sum."""
    async with opened(redis_server.url) as kit:
        for first in range(0, 1000, 100):
            await kit.renewed(tally=steps(*(f"page {n}" for n in range(first, first + 100))))
        found = await rates(kit)
        minutes = {field.split(" ")[0] for field in found}
        assert len(found) <= 105 * len(minutes)
        counted = [value for field, value in found.items() if field.count(" ") > 1]
        assert 1000 == sum(int(value.split(" ")[0]) for value in counted)
        assert any(field.endswith(" counter *") for field in found)


async def test_rates_are_kept_for_an_hour(redis_server):
    """Older minutes go when a new one begins, with whatever else is there."""
    async with opened(redis_server.url) as kit:
        minute = await kit.server.now_ms() // 60_000
        key = kit.ledger.keys.key("rates")
        old, kept = f"{minute - 60} counter", f"{minute - 58} counter"
        await kit.ledger.client.hset(
            key, mapping={old: "1 1", kept: "1 1", "x": "y", "99999999999 a": "1 1"}
        )
        await kit.renewed(tally=steps("read"))
        found = await rates(kit)
        assert kept in found
        assert set() == {old, "x", "99999999999 a"} & set(found)


async def test_a_hash_that_something_else_fills(redis_server):
    """It is begun anew, whatever its size."""
    async with opened(redis_server.url) as kit:
        key = kit.ledger.keys.key("rates")
        await kit.ledger.client.hset(key, mapping={f"f{n}": "" for n in range(20_001)})
        await kit.renewed(tally=steps("read"))
        assert len(await rates(kit)) < 10


async def test_damaged_rates_count_as_nothing(redis_server):
    """They are written over, and hide neither the rest nor the lease's renewal."""
    async with opened(redis_server.url) as kit:
        claim = await kit.leased("a")
        key = kit.ledger.keys.key("rates")
        await kit.renewed(claim, tally=steps("read"))
        for field in await rates(kit):
            await kit.ledger.client.hset(key, field, "damaged")
        facts = await kit.facts("a")
        assert (None, None) == (facts.pace, facts.usual)
        assert () == (await kit.renewed(claim, tally=steps("read"))).lost
        await kit.ledger.client.delete(key)
        await kit.ledger.client.set(key, "x")
        assert () == (await kit.renewed(claim, tally=steps("read"))).lost
        assert "a" == (await kit.facts("a")).work.work_id


async def test_registers_of_another_type_hide_nothing_else(redis_server):
    """What can be read is."""
    async with opened(redis_server.url) as kit:
        await kit.created("a", "b", resources=("r",))
        for name in ("halted", "offers", "seen", "workers", "newer", "rates", "lines"):
            await kit.ledger.client.delete(kit.ledger.keys.key(name))
            await kit.ledger.client.set(kit.ledger.keys.key(name), "x")
        facts = await kit.facts("b")
        assert ("b", 1, 0) == (facts.work.work_id, facts.ahead, facts.offering)


async def test_work_that_is_set_aside_for_a_newer_worker(redis_server):
    """The layout that it waits for is known."""
    async with opened(redis_server.url) as kit:
        claim = await kit.leased("a")
        await kit.ledger.leave(claim.lease, "l0", 7)
        facts = await kit.facts("a")
        assert (7, None) == (facts.set_aside, facts.ahead)


async def test_a_record_that_does_not_decode(redis_server):
    """There are still facts about it."""
    async with opened(redis_server.url) as kit:
        await kit.created("a")
        await kit.ledger.client.hset(kit.ledger.keys.key("work"), "a", "rubbish")
        facts = await kit.facts("a")
        assert ("?", None, None) == (facts.work.engine, facts.ahead, facts.obstacle)


async def test_the_documented_login_suffices(redis_server):
    """A login with no more rights than the page about operations gives may ask and count."""
    (rule,) = re.findall(r"^ACL SETUSER roost (on .+)$", page("operations"), re.MULTILINE)
    async with opened(redis_server.url) as kit:
        words = rule.replace(">password", "nopass").replace("{roost", "{*").split()
        admin = kit.ledger.client
        await admin.execute_command("ACL", "SETUSER", "few", *words)
        try:
            url = redis_server.url.replace("unix://", "unix://few:x@")
            limited = RedisHarness(url)
            await limited.open()
            try:
                await limited.created("a")
                await limited.renewed(tally=steps("read"))
                facts = await limited.facts("a")
                assert (1, 1) == (facts.offering, facts.pace.steps)
            finally:
                await limited.close()
        finally:
            await admin.execute_command("ACL", "DELUSER", "few")


async def test_what_a_worker_does_is_known_with_its_next_renewal(redis_server):
    """Its steps and leases, under the labels that they started from; and what each waits for."""
    engine = Counting()
    settings = settings_for(redis_server, lease_ttl=1.0, concurrency=1)
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await all_done(roost, [await roost.enqueue("counting", {"steps": 3}) for _ in range(4)])
        slow = await roost.enqueue("counting", {"steps": 1, "gated": True})
        behind = [await roost.enqueue("counting", {"steps": 1}) for _ in range(3)]

        async def counted():
            facts = await roost.ledger.facts(slow.work_id)
            return facts.pace is not None and facts.pace.steps >= 17

        await eventually(counted)
        facts = await roost.ledger.facts(slow.work_id)
        # The first step of each has no snapshot to start from, and counts as well.
        assert (17, 5) == (facts.pace.steps, facts.pace.leases)
        assert 4 == facts.usual.count
        why = await roost.work(behind[2]).why()
        assert why.sentence.startswith("2 ahead of it in line of engine counting; at the present")
        assert (await roost.work(slow).why()).sentence.startswith("It runs on ")
        engine.gate.set()
        await all_done(roost, [slow, *behind])
        assert (await roost.work(slow).why()).sentence.startswith("It was done")


async def test_what_a_burst_has_done_is_known_after_it(redis_server):
    """It is over long before its second renewal."""
    settings = settings_for(redis_server, lease_ttl=600.0)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        items = [await roost.enqueue("counting", {"steps": 3}) for _ in range(4)]
        await crew.start(burst=True)
        await asyncio.wait_for(crew.tasks[0], 60)
        assert ["done"] * 4 == await all_done(roost, items)
        found = await roost.ledger.client.hgetall(roost.ledger.keys.key("rates"))
        counted = {tuple(field.decode().split(" ")[1:]): value for field, value in found.items()}
        # Steps and leases; the first step of each has no snapshot to start from.
        assert b"16 4" == counted[("counting",)]
        assert 0 == len(await roost.workers())
