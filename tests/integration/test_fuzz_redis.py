"""Random damage to everything that a queue keeps: innocent work is done, and readers continue.

A run is determined by its seed. Damage is to what belongs to victims, or to nobody: also holds,
and places in lines, of what innocent work needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from roost_core.backend import Order, OrderOutcome
from roost_core.errors import RoostError
from roost_core.models import State, Verb
from roost_core.shown.plain import row_json
from roost_core.testing.contract.kit import ACTOR, unique
from roost_plugins.redis_saq.keys import PLACES, TYPES
from tests.integration.redis_bench import Counting, Crew, all_done, queue, settings_for
from tests.integration.test_repair_redis import in_all_states

#: How many runs, and pieces of damage in each.
RUNS = 24
PIECES = 40
INNOCENT = 12
SCORES = ["inf", "-inf", 1e18, -1e18, -1, 0, 1, 1.5, 1.7e12, 2**53]
TEXTS = [
    *(b"", b" ", b"-", b"?", b"\n", b"\xff\xfe", b"nan", b"inf", b"-1", b"0", b"1e400", b"x" * 300),
    *(b"9" * 4300, b"9" * 15, b"0x10", b"a b", b"counting", b"queued", b"done", b"{", b"[" * 5000),
    b'{"schema":1}',
]
RUNS_OF_WORDS = [
    *(b"resource", b"engine", b"deadline", b"worker", b"r0", b"r1", b""),
    *(b"led", b"counting", b"printer", b"0123", b"099900000000000001", b"x", b"ready"),
]


@pytest.fixture
def server(redis_server):
    """Return the operating system's redis-server."""
    return redis_server


class Vandal:
    """Damages the keys of a queue, at random."""

    def __init__(self, roost, victims, seed):
        self.client = roost.ledger.client
        self.key = roost.ledger.keys.key
        self.victims = [one.encode() for one in victims]
        self.random = random.Random(seed)

    def one(self, choices):
        """Choose."""
        return self.random.choice(list(choices))

    def name(self):
        """Return an id: of a victim, of nobody, or none."""
        return self.one([*self.victims * 2, b"nobody", *TEXTS])

    def words(self):
        """Return some words, as members of the sets by name have them."""
        found = [self.one(RUNS_OF_WORDS) for _ in range(self.random.randint(0, 4))]
        return b" ".join([*found, self.name()])

    def spoiled(self, raw):
        """Return bytes with damage."""
        at, to = sorted(self.random.randint(0, len(raw)) for _ in range(2))
        words = raw.split(b" ")
        words[self.random.randrange(len(words))] = self.one(TEXTS)
        lines = raw.split(b"\n")
        lines[self.random.randrange(len(lines))] = self.one(TEXTS)
        return self.one(
            [raw[:at], raw[:at] + raw[to:], raw + raw, b" ".join(words), b"\n".join(lines)]
        )

    async def strike(self):
        """Do one piece of damage."""
        await self.one(
            [
                *[self.add_member] * 4,
                *[self.change_member] * 4,
                *[self.spoil_field] * 5,
                self.add_field,
                self.add_event,
                self.set_counter,
            ]
        )()

    async def add_member(self):
        """Put something into a sorted set."""
        place = self.one(name for name, kind in TYPES.items() if kind == "zset")
        member = self.one([self.name, self.words])()
        await self.client.zadd(self.key(place), {member: self.one(SCORES)})

    async def change_member(self):
        """Remove a victim's member, or give it another score."""
        place = self.key(self.one([*PLACES.values(), "created"]))
        members = [
            one
            for one in await self.client.zrange(place, 0, -1)
            if one.split(b" ")[-1] in self.victims
        ]
        if members and self.random.random() < 0.5:
            await self.client.zrem(place, self.one(members))
        elif members:
            await self.client.zadd(place, {self.one(members): self.one(SCORES)})

    async def spoil_field(self):
        """Damage a victim's record or bytes."""
        field = self.one(self.victims) + self.one([b"", b"", b" item", b" snapshot", b" error"])
        raw = await self.client.hget(self.key("work"), field)
        await self.client.hset(self.key("work"), field, self.spoiled(raw or b"{}"))

    async def add_field(self):
        """Put something into a hash; a hold of what innocent work needs, too."""
        if self.random.random() < 0.3:
            name = self.one(["r0", "r1", "r2", "printer"])
            await self.client.hset(self.key("held"), name, self.one([self.name(), self.words()]))
            return
        place, value = (
            self.one(["work", "held", "key", "workers"]),
            self.one([*TEXTS, self.words()]),
        )
        await self.client.hset(self.key(place), self.one([self.words(), self.name()]), value)

    async def add_event(self):
        """Put an invalid entry into the stream."""
        field = self.one([b"event", b"\xff", b"other"])
        await self.client.xadd(self.key("events"), {field: self.one([self.words(), *TEXTS])})

    async def set_counter(self):
        """Set a counter to something else."""
        await self.client.set(self.key(self.one(["seq", "turn"])), self.one(TEXTS))


async def read_all(roost, victims):
    """Read whatever can be read; only work that is itself damaged may be refused."""
    for state in (None, *State):
        for row in await roost.list(state):
            row_json(row)
    for work_id in victims:
        with contextlib.suppress(RoostError):
            await roost.work(work_id).status()
        await roost.work(work_id).events()
    await roost.events(limit=1000)
    async with contextlib.aclosing(roost.follow(after="0-0")) as events:
        for _ in range(10):
            await anext(events)
    await roost.counts()
    await roost.workers()
    await roost.dead_letters()
    await roost.ledger.diagnose()


async def use_verbs(vandal, roost):
    """Use a verb on each victim: whatever it has become, there is an answer."""
    for victim in vandal.victims:
        order = Order(unique("request"), vandal.one(Verb), ACTOR)
        answer = await roost.ledger.order(victim.decode(), order)
        assert isinstance(answer.outcome, OrderOutcome)


async def innocent_work(roost):
    """Enqueue work that nobody damages."""
    return [
        await roost.enqueue(
            "counting",
            {"steps": 3, "delay": 0.01 if number % 3 else None},
            delay_seconds=0.05 * (number % 2),
            idempotency_key=f"k{number}" if number % 4 == 0 else None,
            resources=[f"r{number % 2}", "r2"][: number % 5],
        )
        for number in range(INNOCENT)
    ]


@pytest.mark.fault(11, "random damage to any key", n=PIECES + PIECES // 2)
@pytest.mark.parametrize("seed", range(RUNS))
async def test_damage_hurts_nobody_else(server, seed):
    """The innocent are done; lists, events and counts are read; a repair leaves nothing to fix."""
    settings = settings_for(server, lease_ttl=1.0)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        victims = list((await in_all_states(roost)).values())
        items = await innocent_work(roost)
        vandal = Vandal(roost, victims, seed)
        for _ in range(PIECES):
            await vandal.strike()
        await use_verbs(vandal, roost)
        await read_all(roost, victims)
        await crew.start(concurrency=3)
        await crew.start(concurrency=3)
        for _ in range(PIECES // 2):
            await vandal.strike()
            await asyncio.sleep(0.002)
        await use_verbs(vandal, roost)
        assert [State.DONE] * INNOCENT == await all_done(roost, items)
        for item in items:
            meta = (await roost.work(item).status()).meta
            assert (0, 0, None) == (meta.attempts, meta.recoveries, meta.error)
        await read_all(roost, victims)
        for one in range(2):
            await crew.stop(one)
        await roost.repair(dry_run=True)
        await roost.repair()
        assert {"left"} >= {one.outcome for one in await roost.repair()}
        await read_all(roost, victims)
        await use_verbs(vandal, roost)
        await roost.ledger.purge(0, 0, 1000)
        await read_all(roost, victims)
        assert [] == await roost.list(State.DONE)
