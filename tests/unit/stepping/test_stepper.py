"""The stepper: from a claim to durable steps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from roost_core.models import Snapshot, State
from roost_core.stepping.recent import StoredItem
from tests.unit.stepping.stepper_bench import (
    Bench,
    counting,
    engine,
    leaping,
    snapshot_of,
)

pytestmark = leaping


# -- steps and slices ------------------------------------------------------------------------


async def test_three_steps():
    """Init is version 1, each step adds 1, and one claim is enough."""
    seen = []

    async def init_snapshot(item, context):
        seen.append((context.version, context.idempotency_key))
        return Snapshot.start(item, data={"n": 0})

    async def step(snapshot, context):
        seen.append((context.version, context.idempotency_key))
        return await counting(3)(snapshot)

    bench = Bench(engine(step, init_snapshot))
    work_id = await bench.enqueue(work_id="w")
    assert 1 == await bench.through()
    work = await bench.ledger.read(work_id)
    assert (State.DONE, 4, "done") == (work.state, work.version, work.step)
    assert [(v, f"default/default/w/{v + 1}") for v in range(4)] == seen
    assert ["enqueued", "claimed", *["committed"] * 4] == await bench.kinds()
    assert set() == bench.keeper.kept
    bench.ledger.check()


async def test_init_may_finish():
    """Work that is done at once is done at version 1."""

    async def init_snapshot(item):
        return Snapshot.start(item, is_finished=True)

    bench = Bench(engine(counting(1), init_snapshot))
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.DONE, 1) == (work.state, work.version)


async def test_slice_by_steps():
    """After this many steps the work goes back into the line, and others have their turn."""
    bench = Bench(engine(counting(10)), slice_steps=4)
    first, second = await bench.enqueue(), await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(first)
    assert (State.QUEUED, 4) == (work.state, work.version)
    assert second == (await bench.claim()).lease.work_id
    assert 0 == (await bench.ledger.read(first)).recoveries


async def test_slice_by_seconds():
    """After this much time, too; a slow step is not cut short for it."""

    async def step(snapshot):
        await asyncio.sleep(2)
        return await counting(9)(snapshot)

    bench = Bench(engine(step), slice_seconds=5)
    work_id = await bench.enqueue()
    await bench.once()
    # init at 0 s, then steps that end after 2, 4 and 6 s
    assert 4 == (await bench.ledger.read(work_id)).version
    assert State.QUEUED is await bench.state(work_id)


async def test_stopping_yields():
    """A worker that stops lets the step end, and starts no other."""

    async def step(snapshot):
        bench.stopping = True
        return await counting(9)(snapshot)

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.QUEUED, 2, 0) == (work.state, work.version, work.attempts)


@pytest.mark.parametrize(("delay", "expected_ms"), [(0.9, 900), (0.0001, 1), (3600, 3_600_000)])
async def test_delays(delay, expected_ms):
    """A delay is kept to the millisecond, rounded up."""
    bench = Bench(engine(counting(2, next_step_delay_seconds=delay)))
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.SLEEPING, 2, expected_ms) == (
        work.state,
        work.version,
        work.due_ms - work.committed_ms,
    )


async def test_engine_sees_what_json_leaves():
    """Tuples come back as lists: within a slice just as after a crash."""
    seen = []

    async def step(snapshot):
        seen.append(snapshot.data)
        return snapshot.evolve(data={"t": (1, 2), "5": None}, is_finished=len(seen) == 3)

    bench = Bench(engine(step))
    await bench.enqueue({"a": 1})
    await bench.through()
    assert [{"a": 1}, {"t": [1, 2], "5": None}, {"t": [1, 2], "5": None}] == seen


async def test_mutating_in_place_changes_nothing_durable():
    """An engine that changes the snapshot it was given, and then fails, has changed nothing."""
    runs = []

    async def step(snapshot):
        runs.append(dict(snapshot.data))
        snapshot.data["n"] = 100
        snapshot.data.setdefault("deep", []).append(1)
        if len(runs) in (1, 3):
            raise ValueError("no")
        return snapshot.evolve(data={"n": 1}, is_finished=len(runs) == 4)

    bench = Bench(engine(step))
    work_id = await bench.enqueue({"n": 0})
    await bench.through()
    assert [{"n": 0}, {"n": 0}, {"n": 1}, {"n": 1}] == runs
    assert {"n": 1} == (await snapshot_of(bench, work_id)).data


async def test_events_only_if_accepted():
    """What a failed run of a step emitted is not in the stream; an accepted one's is, once."""
    runs = []

    async def step(snapshot, context):
        runs.append(1)
        context.emit({"run": len(runs)})
        if len(runs) == 1:
            raise ValueError("no")
        return snapshot.finish()

    bench = Bench(engine(step))
    await bench.enqueue()
    await bench.through()
    events = await bench.ledger.events(limit=100)
    assert [{"run": 2}] == [one.data for one in events if one.kind == "emitted"]


async def test_heartbeats_only_during_the_step():
    """A step's heartbeat is passed on; one from a step that is over is not."""
    contexts = []
    began = datetime.now(UTC)

    async def step(snapshot, context):
        contexts.append(context)
        contexts[0].heartbeat(0.1 * len(contexts), f"run {len(contexts)}")
        return await counting(2)(snapshot)

    bench = Bench(engine(step))
    await bench.enqueue()
    await bench.through()
    contexts[1].heartbeat(1.0, "too late")
    assert ["run 1"] == [one.message for one in bench.keeper.beats]
    # By the worker's clock, complete: with its zone.
    at = bench.keeper.beats[0].at
    assert began <= at <= datetime.now(UTC)
    assert [True, True] == [one.cancelled for one in contexts]


# -- what engines raise ----------------------------------------------------------------------


@pytest.mark.parametrize("names", ["init", "step", "both", "neither"])
async def test_a_work_item_is_copied_for_hooks_that_name_it(monkeypatch, names):
    """Otherwise each step of an engine that does not use it would pay for the copy."""
    copied = []
    fresh = StoredItem.fresh
    monkeypatch.setattr(StoredItem, "fresh", lambda self: copied.append(1) or fresh(self))

    async def step(snapshot):
        return snapshot.evolve(data={"n": snapshot.version}, is_finished=snapshot.version >= 5)

    async def step_item(snapshot, item):
        assert "w" == item.work_id
        return await step(snapshot)

    async def init():
        return Snapshot("w", "demo")

    async def init_item(item):
        return Snapshot.start(item)

    bench = Bench(
        engine(
            step_item if names in ("step", "both") else step,
            init_item if names in ("init", "both") else init,
        )
    )
    await bench.enqueue(work_id="w")
    await bench.through()
    assert State.DONE is await bench.state("w")
    assert {"init": 1, "step": 5, "both": 6, "neither": 0}[names] == len(copied)
