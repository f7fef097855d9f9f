"""A stepper over a backend in memory, on an event loop whose time leaps instead of passing."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.backend import ClaimRequest
from roost_core.client.requests import EnqueueRequest
from roost_core.codec.records import decode_model
from roost_core.codec.snapshots import decode_snapshot
from roost_core.errors import BackendUnavailable
from roost_core.markers import hookimpl
from roost_core.models import ErrorRecord
from roost_core.plugins.registry import Plugins
from roost_core.settings import Settings
from roost_core.stepping import delivery, holds, leases, stepper
from roost_core.stepping.holds import Hold
from roost_core.stepping.stepper import Stepper
from roost_core.testing import Clock, MemoryArtifactStore, MemoryLedger
from roost_core.testing.clock import START_MS
from roost_core.testing.model import ledger as memory
from roost_core.workspaces import NoWorkspaces
from tests import event_loops

TTL = 15.0

#: The mark of tests whose time leaps, and with it the core's.
leaping = event_loops.leaping(stepper, delivery, holds, leases, memory)


class LoopClock(Clock):
    """The server's clock, which follows the loop's."""

    def now_ms(self):
        """Return the loop's time as a date."""
        return START_MS + int(asyncio.get_running_loop().time() * 1000)

    async def sleep_until(self, when_ms):
        """Sleep on the loop."""
        await asyncio.sleep(max(0, when_ms - self.now_ms()) / 1000)


class FakeKeeper:
    """Makes holds, renews nothing, and records heartbeats."""

    def __init__(self):
        self.holds = []
        self.kept = set()
        self.beats = []

    def hold(self, lease, asked_at, source=0):
        """Begin to keep a lease."""
        hold = Hold(lease, asked_at, TTL)
        self.holds.append(hold)
        self.kept.add(hold)
        return hold

    def let_go(self, hold):
        """Stop keeping it."""
        hold.close()
        self.kept.discard(hold)

    def beat(self, hold, heartbeat):
        """Take a heartbeat."""
        self.beats.append(heartbeat)


def engine(step, init_snapshot=None, engine_id="demo"):
    """Make a plugin out of functions."""

    class Plugin:
        pass

    plugin = Plugin()
    plugin.engine_id = engine_id
    plugin.step = hookimpl(step)
    if init_snapshot is not None:
        plugin.init_snapshot = hookimpl(init_snapshot)
    return plugin


def observer(**hooks):
    """Make a plugin of observers and the like."""

    class Plugin:
        pass

    plugin = Plugin()
    for name, function in hooks.items():
        setattr(plugin, name, hookimpl(function))
    return plugin


class Bench:
    """A stepper, and the backend that it works with. Use it on a running loop."""

    def __init__(self, *plugins, ledger=None, slice_steps=50, slice_seconds=5.0):
        self.ledger = ledger or MemoryLedger(LoopClock())
        self.store = MemoryArtifactStore()
        self.keeper = FakeKeeper()
        self.stopping = False
        self.settings = Settings(
            lease_ttl=TTL, slice_steps=slice_steps, slice_seconds=slice_seconds
        )
        found = Plugins.empty()
        for number, plugin in enumerate(plugins):
            found.register(plugin, f"plugin{number}")
        self.stepper = Stepper(
            settings=self.settings,
            engines=found.engines(),
            observers=found.observers(timeout=1.0),
            around_step=found.around_step(),
            ledger=self.ledger,
            store=self.store,
            workspaces=NoWorkspaces(),
            keeper=self.keeper,
            is_stopping=lambda: self.stopping,
        )

    async def enqueue(self, payload=None, **fields):
        """Store a work item of the demo engine; return its id."""
        fields.setdefault("engine", "demo")
        _, new = EnqueueRequest(payload=payload, **fields).build(await self.ledger.now_ms())
        await self.ledger.enqueue([new])
        return new.work_id

    async def claim(self):
        """Claim one work item, or none."""
        engines = tuple(self.stepper.engines)
        request = ClaimRequest("worker-1", engines, 1, round(TTL * 1000))
        batch = await self.ledger.claim(request)
        return batch.claims[0] if batch.claims else None

    async def once(self):
        """Claim one work item and run its slice."""
        await self.stepper.run(await self.claim())

    async def through(self):
        """Run everything until only terminal work is left; return the number of claims."""
        claims = 0
        while True:
            claim = await self.claim()
            if claim is not None:
                claims += 1
                await self.stepper.run(claim)
                continue
            counts = await self.ledger.counts()
            if not any(number for state, number in counts.items() if not state.is_terminal):
                return claims
            await asyncio.sleep(0.5)

    async def kinds(self, work_id=None):
        """Return the kinds of all events so far."""
        return [one.kind for one in await self.ledger.events(work_id=work_id, limit=10_000)]

    async def state(self, work_id):
        """Return a work item's state."""
        return (await self.ledger.read(work_id)).state


def counting(total, **fields):
    """Make a step that counts to ``total``."""

    async def step(snapshot):
        n = snapshot.data.get("n", 0) + 1
        return snapshot.evolve(data={"n": n}, is_finished=n >= total, **fields)

    return step


async def error_of(bench, work_id):
    """Return the stored error of a work item."""
    return decode_model(ErrorRecord, (await bench.ledger.read(work_id)).error)


def noting_losses(found):
    """Make an observer that notes lost leases, with their item and snapshot."""

    async def on_lease_lost(lease, item, snapshot):
        found.append((lease, item, snapshot))

    return on_lease_lost


class Flaky(MemoryLedger):
    """A backend whose answers get lost, or that does not answer.

    :ivar lost: how many of the next answers get lost, per method, after the call was applied.
    :ivar away_until: the loop's time until which nothing is answered, nor applied.
    """

    def __init__(self):
        super().__init__(LoopClock())
        self.lost = {}
        self.away_until = 0.0
        self.calls = []

    async def _flaky(self, name, answer):
        self.calls.append(name)
        if asyncio.get_running_loop().time() < self.away_until:
            answer.close()
            raise BackendUnavailable("away")
        result = await answer
        if self.lost.get(name, 0) > 0:
            self.lost[name] -= 1
            raise BackendUnavailable("the reply was lost")
        return result

    async def commit(self, lease, commit):
        """Accept a step, perhaps without an answer."""
        return await self._flaky("commit", super().commit(lease, commit))

    async def fail(self, lease, failure):
        """Give up an attempt, perhaps without an answer."""
        return await self._flaky("fail", super().fail(lease, failure))

    async def interrupt(self, lease, commit_id, reason, delay_ms):
        """Give work back, perhaps without an answer."""
        answer = super().interrupt(lease, commit_id, reason, delay_ms)
        return await self._flaky("interrupt", answer)


async def started(bench, true):
    """Run a slice until something is true; return its task."""
    task = asyncio.create_task(bench.stepper.run(await bench.claim()))
    while not true():  # noqa: ASYNC110 - the loop leaps, and anything can be asked
        await asyncio.sleep(0.001)
    return task


async def cancel_when(bench, true):
    """Run a slice, and cancel it once something is true."""
    task = await started(bench, true)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert set() == bench.keeper.kept


async def snapshot_of(bench, work_id):
    """Return the stored snapshot."""
    return decode_snapshot((await bench.ledger.read(work_id)).snapshot)
