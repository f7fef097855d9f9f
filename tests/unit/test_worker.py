"""A worker over a backend in memory: choosing engines, ending cleanly, upkeep, observers."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from roost_core import hookimpl
from roost_core import upkeep as upkeep_module
from roost_core import worker as worker_module
from roost_core.backend import Order, OrderOutcome
from roost_core.client.requests import EnqueueRequest
from roost_core.codec.records import decode_model
from roost_core.errors import BackendError, BackendUnavailable, PluginError, UnknownEngine
from roost_core.models import Actor, State, Verb, WorkerInfo
from roost_core.plugins.registry import Plugins
from roost_core.settings import Settings
from roost_core.testing import ManualClock, MemoryArtifactStore, MemoryLedger, MemoryServer
from roost_core.worker import Worker, new_worker_id
from roost_core.workspaces import Workspaces
from tests.unit.stepping.stepper_bench import engine, observer


async def one_step(snapshot):
    """Finish at once."""
    return snapshot.finish()


def plugins_of(*found):
    """Make a set of plugins."""
    plugins = Plugins.empty()
    for number, plugin in enumerate(found):
        plugins.register(plugin, f"plugin{number}")
    return plugins


def worker_of(*found, ledger=None, settings=None, **how):
    """Make a worker over a backend in memory."""
    ledger = ledger or MemoryLedger(ManualClock())
    server = getattr(ledger, "server", None) or MemoryServer(ledger.clock, [ledger])
    settings = settings or Settings(lease_ttl=30.0, drain_timeout=5.0)
    return Worker(settings, plugins_of(*found), server, MemoryArtifactStore(), **how)


async def enqueue(ledger, name="demo", **fields):
    """Store a work item."""
    _, new = EnqueueRequest(engine=name, **fields).build(await ledger.now_ms())
    await ledger.enqueue([new])
    return new.work_id


async def test_engines_are_chosen():
    """All that are offered, or those named; in order, each once."""
    both = (engine(one_step, engine_id="b"), engine(one_step, engine_id="a"))
    assert ("a", "b") == worker_of(*both).info.engines
    assert ("b",) == worker_of(*both, engines=["b", "b"]).info.engines
    with pytest.raises(UnknownEngine, match="no plugin offers engine c, d; there are: a, b"):
        worker_of(*both, engines=["d", "a", "c"])
    with pytest.raises(PluginError, match="no plugin offers an engine: name one with --plugin"):
        worker_of()


async def test_people_reach_a_running_step():
    """Their wish is pushed: long before the next renewal of its lease the step is ended."""
    began, told = asyncio.Event(), []

    async def step(context):
        began.set()
        try:
            await asyncio.sleep(1000)
        finally:
            told.append(context.cancelled)

    ledger = MemoryLedger()
    worker = worker_of(engine(step), ledger=ledger, settings=Settings(lease_ttl=600.0))
    work_id = await enqueue(ledger)
    running = asyncio.create_task(worker.run())
    # Only a hang takes this long; a renewal would come after 200 s.
    async with asyncio.timeout(60):
        await began.wait()
        order = Order("r1", Verb.CANCEL, Actor("somebody", "test"))
        assert OrderOutcome.REQUESTED is (await ledger.order(work_id, order)).outcome
        await ledger.wait_terminal(work_id, None)
        worker.stop()
        await running
    work = await ledger.read(work_id)
    assert (State.CANCELLED, 0, [True]) == (work.state, work.attempts, told)


async def test_its_word_about_itself():
    """Host, process, concurrency and TTL are announced; the number of lanes can be chosen."""
    worker = worker_of(engine(one_step), concurrency=3)
    info = worker.info
    assert (3, 30.0, worker.worker_id) == (
        info.concurrency,
        info.lease_ttl_seconds,
        info.worker_id,
    )
    assert Settings().concurrency == worker_of(engine(one_step)).info.concurrency


def test_ids_are_new_at_every_start(monkeypatch):
    """Even where host and process id are the same; and they are plain whatever the host's name."""
    monkeypatch.setattr(worker_module.socket, "gethostname", lambda: "bad host/näme:" + "x" * 100)
    ids = {new_worker_id() for _ in range(100)}
    assert 100 == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", one) for one in ids)


async def test_a_burst_from_start_to_end():
    """Observers see start, steps and stop; the worker is announced, and retired at the end."""
    seen = []

    async def on_worker_start(worker):
        seen.append("start")

    async def on_step_committed(snapshot):
        seen.append(snapshot.version)

    async def on_worker_stop(worker):
        seen.append("stop")
        seen.append(len(await ledger.workers()))

    hooks = observer(
        on_worker_start=on_worker_start,
        on_step_committed=on_step_committed,
        on_worker_stop=on_worker_stop,
    )
    ledger = MemoryLedger(ManualClock())
    work_id = await enqueue(ledger)
    worker = worker_of(engine(one_step), hooks, ledger=ledger, burst=True)
    await worker.run()
    assert State.DONE is (await ledger.read(work_id)).state
    assert [] == worker.running
    assert ["start", 1, 2, "stop", 0] == seen


async def test_it_announces_itself():
    """A running worker is in the register, with its announcement."""
    ledger = MemoryLedger(ManualClock())
    listed = asyncio.Event()

    async def step(snapshot):
        listed.set()
        await asyncio.Event().wait()

    await enqueue(ledger)
    worker = worker_of(engine(step), ledger=ledger)
    task = asyncio.create_task(worker.run())
    await listed.wait()
    assert 1 == len(worker.running)
    while not (found := await ledger.workers()):  # noqa: ASYNC110 - a thread does it
        await asyncio.sleep(0)
    assert worker.info == decode_model(WorkerInfo, found[0][0])
    worker.abort()
    await task
    assert [] == await ledger.workers()


async def test_stopped_before_it_began():
    """A worker that is told to stop first takes nothing."""
    ledger = MemoryLedger(ManualClock())
    work_id = await enqueue(ledger)
    worker = worker_of(engine(one_step), ledger=ledger)
    worker.stop()
    await worker.run()
    assert State.QUEUED is (await ledger.read(work_id)).state


async def test_abort_gives_back_without_blame():
    """Whatever runs is cancelled and given back, each once, however often abort is called."""
    ledger = MemoryLedger(ManualClock())
    begun = asyncio.Event()

    async def step(snapshot):
        if len(worker.running) == 3:
            begun.set()
        await asyncio.Event().wait()

    ids = [await enqueue(ledger) for _ in range(3)]
    worker = worker_of(engine(step), ledger=ledger)
    task = asyncio.create_task(worker.run())
    await begun.wait()
    assert sorted(ids) == sorted(worker.running)
    worker.abort()
    worker.abort()
    await task
    for work_id in ids:
        work = await ledger.read(work_id)
        assert (State.QUEUED, 0, 0) == (work.state, work.attempts, work.recoveries)
    ledger.check()


class TidyServer(MemoryServer):
    """A server whose upkeep runs first."""

    async def serve(self, plan, handle, on_dead_letters, upkeep):
        """Do the upkeep and serve."""
        await upkeep()
        await super().serve(plan, handle, on_dead_letters, upkeep)


class FailingServer(TidyServer):
    """A server that may not serve."""

    async def serve(self, plan, handle, on_dead_letters, upkeep):
        """Fail, or serve."""
        if self.ledger("default").what == "serve":
            raise BackendError("the server evicts")
        await super().serve(plan, handle, on_dead_letters, upkeep)


class Failing(MemoryLedger):
    """A ledger of a server that cannot do one thing."""

    def __init__(self, what, clock=None):
        super().__init__(clock or ManualClock())
        self.server = FailingServer(self.clock, [self])
        self.what = what

    async def retire(self, worker_id):
        """Fail, or retire."""
        if self.what == "retire":
            raise BackendUnavailable("away")
        await super().retire(worker_id)

    async def purge(self, *args):
        """Fail, or purge."""
        if self.what == "purge":
            raise BackendUnavailable("away")
        return await super().purge(*args)


@pytest.mark.parametrize("what", ["serve", "retire", "purge"])
async def test_a_backend_that_cannot(what, caplog):
    """The caller gets the error of serving; errors of upkeep and of retiring are only logged."""
    ledger = Failing(what)
    work_id = await enqueue(ledger)
    worker = worker_of(engine(one_step), ledger=ledger, burst=True)
    if what == "serve":
        with pytest.raises(BackendError, match="the server evicts"):
            await worker.run()
    else:
        await worker.run()
        assert State.DONE is (await ledger.read(work_id)).state
    assert (what != "serve") == any("away" in one.getMessage() for one in caplog.records)


async def test_the_keepers_thread_ends_with_the_worker():
    """However a worker ends, nothing is renewed any more."""
    import threading

    worker = worker_of(engine(one_step), ledger=Failing("serve"))
    with pytest.raises(BackendError):
        await worker.run()
    assert "roost-leases" not in {one.name for one in threading.enumerate()}


async def test_upkeep_forgets_what_is_purged(caplog):
    """Artifacts of purged work go, in pages; failures to remove are logged, and stop nothing."""
    clock = ManualClock()
    ledger = Failing("nothing", clock)
    settings = Settings(lease_ttl=30.0, retention=60.0)
    forgotten = []

    async def step(snapshot, context):
        return snapshot.finish()

    ids = [await enqueue(ledger, work_id=f"w{number}") for number in range(5)]
    await worker_of(engine(step), ledger=ledger, settings=settings, burst=True).run()
    clock.advance(61_000)
    keep = await enqueue(ledger)
    worker = worker_of(engine(step), ledger=ledger, settings=settings, burst=True)

    def forget(work_id, life):
        forgotten.append(work_id)
        if work_id == "w2":
            raise OSError("a busy disk")

    worker._store.forget = forget
    await worker.run()
    assert ids == forgotten
    assert [None] * 5 == [await ledger.read(one) for one in ids]
    assert State.DONE is (await ledger.read(keep)).state
    assert any("trying again later: a busy disk" in one.getMessage() for one in caplog.records)


async def test_upkeep_forgets_what_a_lost_answer_told_of(caplog):
    """A purge whose answer gets lost leaves nothing behind: the next one names the work again."""
    ledger = Failing("nothing")
    settings = Settings(lease_ttl=30.0, retention=0.0)
    work_id = await enqueue(ledger)
    await worker_of(engine(one_step), ledger=ledger, settings=settings, burst=True).run()
    # Nobody reads this answer.
    (lost,) = await ledger.purge(0, None, 100)
    forgotten = []
    for is_failing in (True, False, False):
        worker = worker_of(engine(one_step), ledger=ledger, settings=settings, burst=True)

        def forget(work_id, life, is_failing=is_failing):
            forgotten.append((work_id, life))
            if is_failing:
                raise OSError("a busy disk")

        worker._store.forget = forget
        await worker.run()
    # Once it failed, then it was done, and then there was nothing to do.
    assert [(work_id, lost.life)] * 2 == forgotten


async def test_upkeep_removes_workspaces_of_what_is_purged(caplog):
    """A plugin's too, each under its life; whatever it raises stops nothing."""
    ledger = Failing("nothing")
    settings = Settings(lease_ttl=30.0, retention=60.0)
    removed = []

    class Folders(Workspaces):
        description = "nowhere"

        def ensure(self, work_id, life=None):
            raise AssertionError("asked for")

        def remove(self, work_id, life=None):
            removed.append((work_id, life))
            if work_id == "w1":
                raise ValueError("not mine")

    class Provider:
        @hookimpl
        def workspace(self, settings):
            return Folders()

    plugins = (engine(one_step), Provider())
    began = await ledger.now_ms()
    for number in range(3):
        await enqueue(ledger, work_id=f"w{number}")
    await worker_of(*plugins, ledger=ledger, settings=settings, burst=True).run()
    ledger.clock.advance(61_000)
    await worker_of(*plugins, ledger=ledger, settings=settings, burst=True).run()
    assert [("w0", began), ("w1", began), ("w2", began)] == removed
    assert any("trying again later: not mine" in one.getMessage() for one in caplog.records)


async def test_each_queue_has_workspaces_of_its_own():
    """One id in two queues is two folders, for steps and for the purge."""
    clock = ManualClock()
    server = TidyServer(clock)
    settings = Settings(lease_ttl=30.0, retention=60.0)
    seen = []

    class Folders(Workspaces):
        description = "nowhere"

        def __init__(self, queue):
            self.queue = queue

        def ensure(self, work_id, life=None):
            seen.append(("ensured", self.queue, work_id))
            return Path(self.queue)

        def remove(self, work_id, life=None):
            seen.append(("removed", self.queue, work_id))

    class Provider:
        @hookimpl
        def workspace(self, settings):
            return Folders(settings.queue)

    async def step(snapshot, context):
        return snapshot.finish(data={"path": str(await context.aworkspace())})

    def worker():
        found = plugins_of(engine(step), Provider())
        how = {"queues": ("a", "b"), "burst": True}
        return Worker(settings, found, server, MemoryArtifactStore(), **how)

    for queue in ("a", "b"):
        await enqueue(server.ledger(queue), work_id="w")
    await worker().run()
    assert {("ensured", "a", "w"), ("ensured", "b", "w")} == set(seen)
    seen.clear()
    clock.advance(61_000)
    await worker().run()
    assert [("removed", "a", "w"), ("removed", "b", "w")] == seen


async def test_each_queue_has_artifacts_of_its_own():
    """What a step stores, and what the purge forgets, is of the work item's own queue."""
    clock = ManualClock()
    server = TidyServer(clock)
    settings = Settings(lease_ttl=30.0, retention=60.0)
    seen = []

    class Store(MemoryArtifactStore):
        def __init__(self, place=None):
            super().__init__()
            self.place = place

        def of_queue(self, namespace, queue):
            return Store((namespace, queue))

        def put(self, data, **fields):
            seen.append(("put", self.place, fields["work_id"]))
            return super().put(data, **fields)

        def forget(self, work_id, life=None):
            seen.append(("forgotten", self.place, work_id))

    async def step(snapshot, context):
        await context.artifacts.aput_bytes(b"same")
        return snapshot.finish()

    def worker():
        how = {"queues": ("a", "b"), "burst": True}
        return Worker(settings, plugins_of(engine(step)), server, Store(), **how)

    for queue in ("a", "b"):
        await enqueue(server.ledger(queue), work_id="w")
    await worker().run()
    places = (("default", "a"), ("default", "b"))
    assert {("put", place, "w") for place in places} == set(seen)
    seen.clear()
    clock.advance(61_000)
    await worker().run()
    assert [("forgotten", place, "w") for place in places] == seen


async def test_upkeep_goes_on_while_pages_are_full(monkeypatch):
    """More than one page is purged in one call."""
    monkeypatch.setattr(upkeep_module, "PURGE_AT_ONCE", 2)
    ledger = Failing("nothing")
    settings = Settings(lease_ttl=30.0, retention=0.0)
    for _ in range(5):
        await enqueue(ledger)
    for _ in range(2):
        await worker_of(engine(one_step), ledger=ledger, settings=settings, burst=True).run()
    assert 0 == sum((await ledger.counts()).values())
