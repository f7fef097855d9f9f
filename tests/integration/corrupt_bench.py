"""A queue on a real server whose keys a test damages."""

from __future__ import annotations

import contextlib

from roost_core.backend import ClaimRequest
from roost_plugins.redis_saq.keys import PLACES
from tests.integration.redis_bench import Counting, Crew, queue, settings_for

DIGITS = b"9" * 4300


class Poked:
    """A queue, and what a test does to its keys."""

    def __init__(self, roost):
        self.roost = roost
        self.client = roost.ledger.client
        self.name = roost.ledger.keys.key

    async def enqueue(self, **how):
        """Enqueue work of one step; return its id."""
        return (await self.roost.enqueue("counting", {"steps": 1}, **how)).work_id

    async def add(self, place, member, score=0):
        """Put a member into a sorted set."""
        await self.client.zadd(self.name(place), {member: score})

    async def record(self, work_id):
        """Return a record."""
        return await self.client.hget(self.name("work"), work_id)

    async def set_record(self, work_id, raw):
        """Store a record."""
        await self.client.hset(self.name("work"), work_id, raw)

    async def places(self, work_id):
        """Return the sets in which a work item is listed."""
        wanted = work_id.encode()
        return [
            state.value
            for state, place in PLACES.items()
            for member in await self.client.zrange(self.name(place), 0, -1)
            if member.split(b" ")[-1] == wanted
        ]

    async def commands(self):
        """Return how many commands the server has run."""
        stats = await self.client.info("commandstats")
        return sum(one["calls"] for one in stats.values())


@contextlib.asynccontextmanager
async def running(server, engine=None, **how):
    """Give a queue, and what starts a worker."""
    settings = settings_for(server, **how)
    engine = engine or Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        yield Poked(roost), crew.start


def claim_of(limit=10, ttl=60_000):
    """Make a request."""
    return ClaimRequest("worker-1", ("counting", "led"), limit, ttl)
