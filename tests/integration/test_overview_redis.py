"""A queue at one glance on a real server: what workers do, much, damage, calls, few rights."""

from __future__ import annotations

import contextlib
import re

import pytest

from roost_core import hookimpl
from roost_core.backend import StepTally, Tally
from roost_core.backend.survey import MOST_ENGINES, MOST_GROUPS, MOST_RESOURCES
from roost_core.errors import PermanentError
from roost_core.models import RetryPolicy, State
from roost_core.testing.contract.kit import error_bytes, new_work
from tests.contract.harnesses import RedisHarness
from tests.docs.pages import page
from tests.integration.redis_bench import (
    Counting,
    Crew,
    all_done,
    calls,
    eventually,
    queue,
    settings_for,
)

pytestmark = pytest.mark.usefixtures("redis_server")
#: A message that no other has: fingerprints count digits as one.
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@contextlib.asynccontextmanager
async def opened(url):
    """Give an open backend in a namespace of its own."""
    kit = RedisHarness(url)
    await kit.open()
    try:
        yield kit
    finally:
        await kit.close()


async def dead(kit, work_id, message):
    """Make a dead letter."""
    claim = await kit.leased(work_id)
    await kit.fail(claim, permanent=True, error=error_bytes(message=message))


async def test_what_a_worker_does_is_there_with_its_next_renewal(redis_server):
    """What runs, on whose lanes, how many steps there were; and what failed."""
    engine = Counting()
    settings = settings_for(redis_server, lease_ttl=1.0, concurrency=2)
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await all_done(roost, [await roost.enqueue("counting", {"steps": 3}) for _ in range(4)])
        slow = await roost.enqueue("counting", {"steps": 1, "gated": True}, title="the slow one")

        async def runs():
            found = await roost.overview()
            return sum(one.steps for one in found.hour) >= 16 and found.workers[0].running

        await eventually(runs)
        found = await roost.overview()
        (worker,) = found.workers
        (running,) = worker.running
        assert (1, 2) == (worker.lanes_used, worker.info.concurrency)
        assert (slow.work_id, "the slow one") == (running.work_id, running.title)
        assert running.lease_ends_at > found.now
        assert found.is_well
        engine.gate.set()
        await all_done(roost, [slow])


class Failing:
    """Fails each step, for good or not."""

    engine_id = "failing"

    @hookimpl
    def init_snapshot(self, item):
        """Fail."""
        if item.payload == "permanent":
            raise PermanentError("never")
        raise ValueError("not yet")

    @hookimpl
    def step(self, snapshot):
        """Not reached."""
        return snapshot


async def test_failures_are_counted(redis_server):
    """Each attempt, the last ones too, and each dead letter; in the groups of their errors."""
    settings = settings_for(redis_server, lease_ttl=1.0)
    async with queue(settings, Failing()) as roost, Crew(settings, Failing()) as crew:
        await crew.start()
        retry = RetryPolicy(max_attempts=3, base_seconds=0.01)
        await roost.enqueue("failing", None, retry=retry)
        await roost.enqueue("failing", "permanent")

        async def all_dead():
            found = (await roost.overview()).hour
            return sum(one.dead_letters for one in found) == 2

        await eventually(all_dead)
        found = await roost.overview()
        assert 4 == sum(one.failed_attempts for one in found.hour)
        assert {"ValueError: not yet", "PermanentError: never"} == {
            one.text for one in found.failures
        }


async def test_failures_are_forgotten_after_an_hour(redis_server):
    """As steps are."""
    async with opened(redis_server.url) as kit:
        client, key = kit.ledger.client, kit.ledger.keys.key("rates")
        minute = await kit.server.now_ms() // 60_000
        old, kept = f"{minute - 60}!", f"{minute - 58}!"
        await client.hset(key, mapping={old: "1 1 1", kept: "7 5 3"})
        await kit.created("a")
        await kit.renewed(tally=Tally((("counter", 1),)))
        assert [False, True] == [await client.hexists(key, one) for one in (old, kept)]
        assert 5 == sum(one.failed for one in (await kit.ledger.survey()).minutes)


async def test_bounded_parts_of_much(redis_server):
    """However many engines, errors and resources there are: some of each, and how many in all."""
    async with opened(redis_server.url) as kit:
        names = [f"e{n:03}" for n in range(MOST_ENGINES + 7)]
        await kit.ledger.enqueue([new_work(f"w-{one}", engine=one) for one in names])
        await kit.ledger.enqueue([new_work("more", engine=names[-1])])
        count = MOST_RESOURCES + 5
        await kit.leased("holder", engine="x", resources=tuple(f"r{n:03}" for n in range(32)))
        for letter in LETTERS:
            await dead(kit, f"dead-{letter}", f"the {letter} one")
            await kit.pass_time(2)
        for n in range(32, count):
            await kit.leased(f"h{n}", engine="x", resources=(f"r{n:03}",))
        found = await kit.ledger.survey()
        assert (MOST_ENGINES, 8) == (len(found.lines), found.other_ready)
        assert (MOST_RESOURCES, count) == (len(found.holds), found.hold_count)
        assert (MOST_GROUPS, len(LETTERS)) == (len(found.errors), found.error_count)
        newest = [f"dead-{letter}" for letter in reversed(LETTERS)][:MOST_GROUPS]
        assert newest == [one.work_id for one in found.errors]


async def test_a_group_behind_very_many_newer_dead_letters(redis_server):
    """It is there with its exact size, although none of the newest has its error."""
    async with opened(redis_server.url) as kit:
        await dead(kit, "old-1", "the rare one")
        await dead(kit, "old-2", "the rare one")
        await kit.ledger.enqueue([new_work(f"w{n}") for n in range(400)])
        for claim in (await kit.claim(limit=400)).claims:
            await kit.fail(claim, permanent=True)
        many, rare = (await kit.ledger.survey()).errors
        assert (400, 2) == (many.count, rare.count)
        assert rare.work_id.startswith("old-")
        assert 0 < rare.newest_ms <= many.newest_ms


async def test_an_index_that_lacks_some(redis_server):
    """Then dead letters are looked at, and it says that there are more."""
    async with opened(redis_server.url) as kit:
        await dead(kit, "a", "one")
        before = await kit.server.now_ms()
        while await kit.server.now_ms() == before:
            pass  # one of two that die in the same millisecond is not the newer one
        await dead(kit, "b", "two")
        client, key = kit.ledger.client, kit.ledger.keys.key("index")
        for member in await client.zrange(key, 0, -1):
            if member.startswith(b"f ") and member.endswith(b" a"):
                await client.zrem(key, member)
        found = await kit.ledger.survey()
        assert not found.is_indexed
        assert ["b", "a"] == [one.work_id for one in found.errors]


async def test_work_that_is_set_aside_for_a_newer_worker(redis_server):
    """By the layout that it waits for."""
    async with opened(redis_server.url) as kit:
        for work_id, layout in (("a", 7), ("b", 7), ("c", 9)):
            claim = await kit.leased(work_id)
            await kit.ledger.leave(claim.lease, "l0", layout)
        assert {7: 2, 9: 1} == (await kit.ledger.survey()).newer


async def test_damage_hides_nothing_of_the_rest(redis_server):
    """Registers and indexes of another type, and records that do not decode."""
    async with opened(redis_server.url) as kit:
        await kit.created("a", "b")
        await kit.leased("c", engine="other", resources=("r",))
        await kit.ledger.client.hset(kit.ledger.keys.key("work"), "a", "rubbish")
        before = await kit.ledger.survey()
        assert (2, ["c"]) == (before.lines[0].ready, [one.work.work_id for one in before.running])
        for name in (
            "halted",
            "offers",
            "seen",
            "workers",
            "newer",
            "rates",
            "lines",
            "held",
            "index",
            "sleeping",
            "blocked",
            "failed",
        ):
            await kit.ledger.client.delete(kit.ledger.keys.key(name))
            await kit.ledger.client.set(kit.ledger.keys.key(name), "x")
        found = await kit.ledger.survey()
        assert (2, 0) == (found.counts[State.QUEUED], found.counts[State.SLEEPING])
        assert 2 == found.lines[0].ready
        assert ["c"] == [one.work.work_id for one in found.running]
        for name in ("ready", "running"):
            await kit.ledger.client.delete(kit.ledger.keys.key(name))
            await kit.ledger.client.set(kit.ledger.keys.key(name), "x")
        assert ((), ()) == ((await kit.ledger.survey()).lines, (await kit.ledger.survey()).running)


async def test_a_damaged_record_that_is_leased(redis_server):
    """It is told as what it is, among what runs."""
    async with opened(redis_server.url) as kit:
        await kit.leased("a")
        await kit.ledger.client.hset(kit.ledger.keys.key("work"), "a", b"rubbish")
        survey = await kit.ledger.survey()
        assert ["a"] == [one.work.work_id for one in survey.running]
        assert survey.running[0].usual is None


async def test_a_large_payload_is_not_brought_along(redis_server):
    """What runs has its title, whatever the size of its payload."""
    async with opened(redis_server.url) as kit:
        await kit.leased("a", title="large", payload="x" * 500_000)
        (one,) = (await kit.ledger.survey()).running
        assert len(one.work.item) < 1000
        assert b'"large"' in one.work.item


async def test_four_calls_whatever_there_is(redis_server):
    """They are sent together, and change nothing."""
    async with queue(settings_for(redis_server), Counting()) as roost:
        for n in range(50):
            await roost.enqueue("counting", {"steps": 1}, resources=[f"r{n % 7}"])
        await roost.overview()
        before = await calls(roost)
        await roost.overview()
        found = await calls(roost) - before
        assert 4 == found["evalsha"]
        assert [] == [one for one in ("zadd", "hset", "zrem", "hdel", "xadd") if found[one]]


async def test_the_documented_login_suffices(redis_server):
    """A login with no more rights than the page about operations gives sees all of it."""
    (rule,) = re.findall(r"^ACL SETUSER roost (on .+)$", page("operations"), re.MULTILINE)
    async with opened(redis_server.url) as kit:
        words = rule.replace(">password", "nopass").replace("{roost", "{*").split()
        admin = kit.ledger.client
        await admin.execute_command("ACL", "SETUSER", "few", *words)
        try:
            limited = RedisHarness(redis_server.url.replace("unix://", "unix://few:x@"))
            await limited.open()
            try:
                await dead(limited, "x", "no")
                await limited.leased("holder", resources=("r",), engine="other")
                await limited.created("a", resources=("r",))
                assert [] == await limited.claimed_ids()
                await limited.created("b", delay_ms=60_000)
                tally = Tally((), (StepTally("counter", "", 3, 1, 1),))
                await limited.renewed(tally=tally)
                found = await limited.ledger.survey()
                assert (1, 1, 1, 1) == (
                    len(found.errors),
                    found.worker_count,
                    found.holds[0].waiting,
                    len(found.running),
                )
                assert 3 == sum(one.steps for one in found.minutes)
            finally:
                await limited.close()
        finally:
            await admin.execute_command("ACL", "DELUSER", "few")
