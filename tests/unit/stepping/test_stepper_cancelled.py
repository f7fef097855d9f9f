"""Steps that are cancelled: in the step, in the commit, in the failure."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from roost_core.models import State
from tests.event_loops import real_time
from tests.unit.stepping.stepper_bench import (
    TTL,
    Bench,
    Flaky,
    cancel_when,
    counting,
    engine,
    error_of,
    leaping,
    started,
)

pytestmark = leaping


@pytest.mark.parametrize("manner", ["lets it pass", "raises another", "takes its time"])
async def test_cancelled_in_the_step(manner):
    """The work is given back to its place; it counts as no attempt, whatever the engine does."""

    async def step(snapshot):
        begun.append(1)
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            if manner == "raises another":
                raise RuntimeError("interrupted") from None
            if manner == "takes its time":
                await asyncio.sleep(1)
            raise

    begun = []
    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await cancel_when(bench, lambda: begun)
    work = await bench.ledger.read(work_id)
    assert (State.QUEUED, 0, 0, 1) == (
        work.state,
        work.attempts,
        work.recoveries,
        work.version,
    )
    assert "interrupted" == (await bench.kinds())[-1]


async def test_cancelled_step_that_finishes_all_the_same():
    """If an engine returns its snapshot despite the cancellation, it is committed."""

    async def step(snapshot):
        begun.append(1)
        bench.stopping = True
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(100)
        return snapshot.evolve(data={"kept": True})

    begun = []
    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    task = await started(bench, lambda: begun)
    task.cancel()
    await task
    work = await bench.ledger.read(work_id)
    assert (State.QUEUED, 2) == (work.state, work.version)


@pytest.mark.parametrize("empty", ["nothing", "the same snapshot"])
@pytest.mark.parametrize("kind", ["async", "def", "init"])
@real_time
async def test_an_early_end_in_a_drain(empty, kind):
    """If an engine returns nothing because it was asked to end, the work is given back unblamed."""

    def step(snapshot, context):
        assert (False, False) == (context.stopping, context.cancelled)
        bench.stopping = True
        assert (True, False) == (context.stopping, context.cancelled)
        return None if empty == "nothing" else snapshot

    async def astep(snapshot, context):
        return step(snapshot, context)

    async def init_snapshot(item, context):
        return step(None, context)

    hooks = {"async": [astep], "def": [step], "init": [step, init_snapshot]}[kind]
    bench = Bench(engine(*hooks))
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.QUEUED, 0, 0 if kind == "init" else 1) == (
        work.state,
        work.attempts,
        work.version,
    )
    assert "interrupted" == (await bench.kinds())[-1]


@pytest.mark.parametrize("empty", ["nothing", "the same snapshot"])
async def test_an_early_end_unasked(empty):
    """If nobody has asked, it is a failed attempt, like a step without progress."""

    async def step(snapshot):
        return None if empty == "nothing" else snapshot

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.RETRY_WAIT, 1, 1) == (work.state, work.attempts, work.version)
    assert "invalid_result" == (await error_of(bench, work_id)).kind


async def test_what_is_told_to_a_cancelled_step():
    """A cancelled step is void; one whose worker is only draining is not."""
    told = []

    async def step(context):
        begun.append(1)
        bench.stopping = True
        try:
            await asyncio.sleep(100)
        finally:
            told.append((context.stopping, context.cancelled))

    begun = []
    bench = Bench(engine(step))
    await bench.enqueue()
    await cancel_when(bench, lambda: begun)
    assert [(True, True)] == told


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("total", [1, 5])
async def test_cancelled_in_the_commit(applied, total):
    """A commit under way is settled, and what is left is given back."""
    ledger = Flaky()
    bench = Bench(engine(counting(total)), ledger=ledger)
    work_id = await bench.enqueue()
    if applied:
        ledger.lost["commit"] = 3
    else:
        ledger.away_until = 0.1
    task_calls = ledger.calls
    await cancel_when(bench, lambda: len(task_calls) == 2)
    work = await ledger.read(work_id)
    assert (State.QUEUED, 1, 0) == (work.state, work.version, work.attempts)
    ledger.lost.clear()
    await bench.through()
    committed = [one.version for one in await ledger.events(limit=100) if one.kind == "committed"]
    assert list(range(1, total + 2)) == committed


async def test_cancelled_in_the_failure():
    """A failure under way is settled: the attempt counts once."""

    async def step(snapshot):
        ledger.lost["fail"] = 2
        raise ValueError("no")

    ledger = Flaky()
    bench = Bench(engine(step), ledger=ledger)
    work_id = await bench.enqueue()
    await cancel_when(bench, lambda: ledger.calls.count("fail") == 1)
    work = await ledger.read(work_id)
    assert (State.RETRY_WAIT, 1) == (work.state, work.attempts)


async def test_cancelled_while_the_server_is_away():
    """Giving back is tried for a moment, and then left to the end of the lease."""

    async def step(snapshot):
        begun.append(asyncio.get_running_loop().time())
        ledger.away_until = 1000.0
        await asyncio.sleep(100)

    begun = []
    ledger = Flaky()
    bench = Bench(engine(step), ledger=ledger)
    await bench.enqueue()
    await cancel_when(bench, lambda: begun)
    assert asyncio.get_running_loop().time() - begun[0] < TTL / 2
