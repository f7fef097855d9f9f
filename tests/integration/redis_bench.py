"""Workers over a real server, in this process: engines, queues and what the server counted."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter

from roost_core import Roost, Settings, hookimpl
from roost_core.plugins.registry import Plugins
from roost_core.testing import MemoryArtifactStore
from roost_core.worker import Worker
from roost_plugins import redis_saq

#: A wait that lasts this long has failed. Seconds.
PATIENCE = 60.0


def settings_for(server, **fields):
    """Make the settings of a queue of its own."""
    return Settings(extra={"redis_url": server.url}, namespace=f"t-{uuid.uuid4().hex}", **fields)


class Counting:
    """An engine that counts to ``steps``, as its payload says: slowly, with delays, in tune.

    It notes each step that it begins, as (work id, version).
    """

    engine_id = "counting"

    def __init__(self, engine_id="counting"):
        self.engine_id = engine_id
        self.begun = []
        self.running = 0
        self.most = 0
        self.gate = asyncio.Event()
        self.began = asyncio.Event()

    @hookimpl
    async def step(self, snapshot, item):
        """Count one."""
        wish = item.payload
        self.begun.append((item.work_id, snapshot.version))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            self.began.set()
            if wish.get("gated"):
                await self.gate.wait()
            if wish.get("seconds"):
                await asyncio.sleep(wish["seconds"])
        finally:
            self.running -= 1
        n = snapshot.data.get("n", 0) + 1
        finished = n >= wish["steps"]
        delay = None if finished else wish.get("delay")
        return snapshot.evolve(data={"n": n}, is_finished=finished, next_step_delay_seconds=delay)


@contextlib.asynccontextmanager
async def queue(settings, *engines):
    """Connect to a queue, with engines as plugins."""
    plugins = Plugins.empty()
    plugins.register(redis_saq, "redis_saq")
    for one in engines:
        plugins.register(one, one.engine_id)
    async with Roost.connect(settings, plugins=plugins) as roost:
        yield roost


class Crew:
    """Workers of this process; each has a connection of its own."""

    def __init__(self, settings, *engines):
        self.settings = settings
        self.engines = engines
        self.workers = []
        self.tasks = []
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        for worker in self.workers:
            worker.abort()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self._stack.aclose()

    async def start(self, *engines, **how):
        """Start a worker; return it once it waits for work or has taken some."""
        offered = engines or self.engines
        roost = await self._stack.enter_async_context(queue(self.settings, *offered))
        worker = Worker(self.settings, roost.plugins, roost.server, MemoryArtifactStore(), **how)
        self.workers.append(worker)
        self.tasks.append(asyncio.create_task(worker.run()))
        return worker

    async def stop(self, index=-1):
        """Let a worker drain, and wait for its end."""
        self.workers[index].stop()
        async with asyncio.timeout(PATIENCE):
            await self.tasks[index]


async def all_done(roost, items):
    """Wait until all items are terminal; return their states."""
    async with asyncio.timeout(PATIENCE):
        return [(await roost.work(item).wait()).meta.state for item in items]


async def eventually(true):
    """Wait until an async question is answered with something true, and return that."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await true()):  # noqa: ASYNC110 - the server can only be asked
            await asyncio.sleep(0.01)
        return found


async def versions(roost):
    """Return each work item's accepted versions, in the order of their events."""
    found = {}
    for event in await roost.events(limit=100_000):
        if event.kind == "committed":
            found.setdefault(event.work_id, []).append(event.version)
    return found


async def kinds(roost, work_id):
    """Return the kinds of a work item's events."""
    return [one.kind for one in await roost.work(work_id).events(limit=10_000)]


async def idle(roost):
    """Wait until a worker is in the register of idle ones, and hears its messages."""

    async def stands():
        client = roost.ledger.client
        channels = await client.pubsub_channels(roost.ledger.keys.wake_channel("*"))
        return channels and await client.zcard(roost.ledger.keys.key("idle"))

    await eventually(stands)


async def calls(roost):
    """Return how often each command, and each kind of the queue's scripts, was called so far."""
    stats = await roost.ledger.client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): found["calls"] for name, found in stats.items()})


async def burst(settings, roost, **how):
    """Run one worker until nothing is ready."""
    worker = Worker(settings, roost.plugins, roost.server, MemoryArtifactStore(), burst=True, **how)
    async with asyncio.timeout(PATIENCE):
        await worker.run()


async def same(value):
    """Return it: an answer that needs no server."""
    return value
