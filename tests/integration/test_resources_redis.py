"""Resources on the real server: damage, earlier Roosts, workers that are gone, many who wait."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest

from roost_core import State
from roost_core.backend import Finish
from roost_core.testing.contract.kit import HOUR_MS, new_work, worker_bytes
from tests.contract.harnesses import RedisHarness
from tests.integration.redis_bench import Counting, Crew, all_done, queue, settings_for
from tests.integration.test_newer_redis import made_newer


@pytest.fixture
def server(redis_server):
    """Return the operating system's redis-server."""
    return redis_server


@contextlib.asynccontextmanager
async def over(server):
    """Give a queue of its own, its client, and what names its keys."""
    kit = RedisHarness(server.url)
    await kit.open()
    try:
        yield kit, kit.ledger.client, kit.ledger.keys.key
    finally:
        await kit.close()


PLACE = "0000" + "0" * 14
#: Members of `lines` that belong to nobody, in front of everybody.
NOBODIES = [
    f"resource r {PLACE} counter gone",
    f"resource r {PLACE} counter other",
    "resource r ",
    "resource r x",
    "resource r x y",
    "resource r  ",
    f"resource r {PLACE}",
    f"resource r {PLACE} counter ",
    "resource ",
    "resource",
    "engine ",
    "engine",
    "engine x y z",
    "deadline ",
    "deadline 0000000000000001 gone",
    "deadline 0000000000000001",
    "",
    " ",
    "x",
    "\x00\x01",
]


@pytest.mark.parametrize("many", [1, 120])
async def test_damaged_lines(server, many):
    """Members that no record agrees with are dropped, and keep nobody from a resource."""
    async with over(server) as (kit, client, key):
        await kit.created("other", resources=("s",), priority=-1)
        holder = await kit.leased("a", resources=("r",))
        await kit.created("b", resources=("r",))
        assert ["other"] == await kit.claimed_ids()
        for _ in range(many):
            members = [f"{one}{'' if many == 1 else next(NUMBERS)}" for one in NOBODIES]
            await client.zadd(key("lines"), dict.fromkeys(members, 0))
        await kit.renew(holder)
        await kit.commit(holder, Finish())
        for _ in range(40):
            if State.BLOCKED is not (await kit.read("b")).state:
                break
            await kit.renew()
        claim = await kit.claim_one("b")
        await kit.commit(claim, Finish())
        assert "c" == (await kit.leased("c", resources=("r",))).lease.work_id


NUMBERS = itertools.count(1)


async def test_a_broken_one_in_line(server):
    """It goes to the dead letters; who comes after it runs."""
    async with over(server) as (kit, client, key):
        holder = await kit.leased("a", resources=("r",))
        await kit.created("b", "c", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        await client.hset(key("work"), "b", b"{")
        await kit.commit(holder, Finish())
        assert ["c"] == await kit.claimed_ids(limit=5)
        counts = await kit.ledger.counts()
        assert (1, 0) == (counts[State.FAILED], counts[State.BLOCKED])
        assert b"{" == await client.hget(key("work"), "b")


async def test_a_newer_one_in_line(server):
    """It is set aside and in nobody's way; a worker that knows its layout looks at it again."""
    async with over(server) as (kit, client, key):
        holder = await kit.leased("a", resources=("r",))
        await kit.created("b", "c", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        known = await client.hget(key("work"), "b")
        await client.hset(key("work"), "b", made_newer(known))
        await kit.commit(holder, Finish())
        claim = await kit.claim_one("c", limit=5)
        assert made_newer(known) == await client.hget(key("work"), "b")
        # A worker that knows the layout: for it, it is not newer.
        await client.hset(key("work"), "b", known)
        (kept,) = await client.zrange(key("newer"), 0, -1)
        await client.zadd(key("newer"), {kept: 1})
        assert [] == await kit.claimed_ids(limit=5)
        assert [] == await kit.claimed_ids(limit=5)
        assert "r" == (await kit.read("b")).blocked_on
        await kit.commit(claim, Finish())
        assert ["b"] == await kit.claimed_ids(limit=5)


async def test_what_an_earlier_roost_has_parked(server):
    """A renewal has it looked at again: it runs if it can, or stands in line."""
    async with over(server) as (kit, client, key):
        holder = await kit.leased("a", resources=("r",))
        await kit.created("b", "c", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        # As it was written before there were lines.
        before = await client.zrange(key("blocked"), 0, -1)
        await client.delete(key("blocked"), key("lines"))
        await client.zadd(key("blocked"), {b"r" + member: 0 for member in before})
        await kit.renew(holder)
        assert [] == await kit.claimed_ids(limit=5)
        assert before == await client.zrange(key("blocked"), 0, -1)
        await kit.commit(holder, Finish())
        assert ["b"] == await kit.claimed_ids(limit=5)


async def test_a_lease_that_an_earlier_roost_has_ended(server):
    """It wakes nobody in the lines: a renewal does."""
    async with over(server) as (kit, client, key):
        await kit.leased("a", resources=("r",))
        await kit.created("b", resources=("r",))
        assert [] == await kit.claimed_ids()
        await client.hdel(key("held"), "r")
        assert [] == await kit.claimed_ids()
        await kit.renew()
        assert ["b"] == await kit.claimed_ids()


async def test_a_worker_that_died(server):
    """What only it ran reserves nothing once it has been silent for three of its lease times."""
    async with over(server) as (kit, client, key):
        renewer = kit.ledger.renewer()
        await asyncio.to_thread(renewer.renew, worker_bytes("dead", ["b"]), [], HOUR_MS)
        await kit.leased("a", resources=("s",))
        await kit.created("b", engine="b", resources=("r", "s"))
        assert [] == await kit.claimed_ids(engines=["b"], worker_id="dead")
        await kit.created("c", resources=("r",))
        assert [] == await kit.claimed_ids()
        now = await kit.server.now_ms()
        await client.zadd(key("seen"), {"dead": now - 170_000})
        await kit.renew()
        assert State.BLOCKED == (await kit.read("b")).state
        await client.zadd(key("seen"), {"dead": now - 181_000})
        await kit.renew()
        assert ["c"] == await kit.claimed_ids()
        assert State.QUEUED == (await kit.read("b")).state
        assert 0 == await client.zcard(key("lines"))
        members = await client.zrange(key("offers"), 0, -1)
        assert [] == [one for one in members if b"dead" in one]
        renewer.close()


async def test_many_void_reservations(server):
    """They are dropped in batches, so that no renewal holds the server up."""
    many = 1100
    async with over(server) as (kit, client, key):
        await kit.leased("a", resources=("s",))
        works = [new_work(f"b-{n:04}", engine="b", resources=("r", "s")) for n in range(many)]
        await kit.ledger.enqueue(works)
        while await client.zcard(key("blocked")) < many:
            await kit.claim(engines=["b"], worker_id="worker-b", limit=100)
        await kit.created("c", resources=("r",))
        assert [] == await kit.claimed_ids()
        await kit.ledger.retire("worker-b")
        assert many - 500 + 1 == await client.zcard(key("blocked"))
        await kit.renew()
        assert [] == await kit.claimed_ids()
        await kit.renew()
        assert ["c"] == await kit.claimed_ids()
        assert (0, 0) == (await client.zcard(key("blocked")), await client.zcard(key("lines")))


async def test_nothing_is_left(server):
    """When all work has ended, no line, hold or offer is left behind."""
    async with over(server) as (kit, client, key):
        names = ["r", "s", "t", "u"]
        works = [
            new_work(f"w-{n}", resources=tuple(pair), deadline_ms=9_000_000_000_000)
            for n, pair in enumerate(itertools.islice(itertools.cycle(sets_of(names)), 40))
        ]
        await kit.ledger.enqueue(works)
        ended = 0
        while ended < len(works):
            for claim in (await kit.claim(limit=7)).claims:
                await kit.commit(claim, Finish())
                ended += 1
        await kit.ledger.retire("worker-1")
        assert 0 == await client.exists(*map(key, ("lines", "held", "blocked", "ready", "offers")))


def sets_of(names):
    """Return all single ones, pairs and triples."""
    return [set_ for size in (2, 3, 1) for set_ in itertools.combinations(names, size)]


async def test_the_number_of_events_does_not_grow_with_who_waits(server):
    """Five for each: enqueued, blocked, unblocked, claimed, committed."""
    async with over(server) as (kit, client, key):
        number = 300
        triples = itertools.islice(itertools.cycle(sets_of(["r", "s", "t"])[:3]), number)
        await kit.ledger.enqueue(
            [new_work(f"w-{n:03}", resources=pair) for n, pair in enumerate(triples)]
        )
        held = []
        for _ in range(number):
            held += (await kit.claim(limit=10)).claims
            await kit.commit(held.pop(0), Finish())
        assert 0 == await client.hlen(key("held"))
        assert await client.xlen(key("events")) <= 5 * number


async def test_workers_are_woken_for_sets(server):
    """Idle workers of two engines are told what they can run, and no two share a resource."""
    settings = settings_for(server)
    engines = [Counting("one"), Counting("two")]
    async with queue(settings, *engines) as roost:
        crews = [Crew(settings, engine) for engine in engines]
        async with crews[0], crews[1]:
            for crew in crews:
                await crew.start(concurrency=4)
            items = [
                await roost.enqueue(
                    ("one", "two")[n % 2],
                    {"steps": 3, "delay": 0.001 if n % 5 == 0 else None},
                    resources=sorted({"all", f"r{n % 3}"}),
                )
                for n in range(60)
            ]
            assert {State.DONE} == set(await all_done(roost, items))
        # All share one resource.
        assert {1} == {engine.most for engine in engines}
