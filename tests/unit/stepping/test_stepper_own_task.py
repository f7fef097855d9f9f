"""Steps that cancel the task that they run in affect nothing beyond it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from roost_core.models import RetryPolicy, State
from roost_core.testing import MemoryLedger
from tests.unit.stepping.stepper_bench import Bench, LoopClock, engine, error_of, leaping

pytestmark = leaping


def next_of(snapshot, total):
    """Count to ``total``."""
    n = snapshot.data.get("n", 0) + 1
    return snapshot.evolve(data={"n": n}, is_finished=n >= total)


async def cancel_and_wait(snapshot):
    """Cancel the task that it runs in."""
    asyncio.current_task().cancel()
    await asyncio.sleep(1)


async def cancel_and_return(snapshot):
    """Cancel the task that it runs in, and end before that is noticed."""
    asyncio.current_task().cancel()
    raise ValueError("and more")


async def cancelled_by_a_child(snapshot):
    """Have a library cancel the task that it runs in, from elsewhere."""
    host = asyncio.current_task()
    asyncio.get_running_loop().call_later(1, host.cancel)
    await asyncio.sleep(5)


async def cancelled_many_times(snapshot):
    """Cancel again and again, and ignore it."""
    for _ in range(5):
        asyncio.current_task().cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
    raise ValueError("tired")


@pytest.mark.parametrize(
    "step", [cancel_and_wait, cancel_and_return, cancelled_by_a_child, cancelled_many_times]
)
async def test_a_step_that_cancels_its_own_task(step):
    """It is the engine's attempt: counted, paced, at last a dead letter; the lane continues."""
    bench = Bench(engine(step))
    work_id = await bench.enqueue(retry=RetryPolicy(max_attempts=3))
    assert 3 == await bench.through()
    work = await bench.ledger.read(work_id)
    assert (State.FAILED, 3) == (work.state, work.attempts)
    assert 0 == asyncio.current_task().cancelling()
    assert "interrupted" not in await bench.kinds()


async def test_its_own_cancellation_is_told():
    """The error on record says what has happened, not just how it is called."""
    bench = Bench(engine(cancel_and_wait))
    work_id = await bench.enqueue()
    await bench.once()
    error = await error_of(bench, work_id)
    assert ("exception", "EngineError") == (error.kind, error.error_type)
    assert "the step's own task was cancelled" in error.message


async def test_a_cancellation_that_comes_too_late():
    """What is left of a step cannot cancel the one after it, nor the lane."""

    async def step(snapshot):
        host = asyncio.current_task()
        for delay in (0, 0.1, 0.5):
            asyncio.get_running_loop().call_later(delay, host.cancel)
        asyncio.get_running_loop().call_soon(host.cancel)
        if snapshot.version > 1:
            await asyncio.sleep(0)
        return next_of(snapshot, 1)

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.once()
    assert State.DONE is await bench.state(work_id)
    await asyncio.sleep(1)


class RemoteBackend(MemoryLedger):
    """Answers a little later, as a server does."""

    async def fail(self, *args):
        """Wait before the answer."""
        await asyncio.sleep(0.01)
        return await super().fail(*args)

    async def commit(self, *args):
        """Wait before the answer."""
        await asyncio.sleep(0.01)
        return await super().commit(*args)

    async def interrupt(self, *args):
        """Wait before the answer."""
        await asyncio.sleep(0.01)
        return await super().interrupt(*args)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("end", ["raise", "return nothing", "return"])
async def test_a_step_that_cancels_its_lane(waits, end):
    """Whether it waits or not, and whatever its outcome: the lane leaves nothing undone."""

    async def step(snapshot):
        if waits:
            await asyncio.sleep(0)
        lane.cancel()
        if end == "raise":
            raise ValueError("and more")
        return None if end == "return nothing" else snapshot.finish()

    lane = None
    bench = Bench(engine(step), ledger=RemoteBackend(LoopClock()))
    work_id = await bench.enqueue()
    lane = asyncio.create_task(bench.once())
    await asyncio.wait([lane])
    work = await bench.ledger.read(work_id)
    assert work.state is not State.RUNNING
    assert 0 == work.attempts


async def test_a_lane_that_is_cancelled_again_and_again():
    """Given back without blame by a worker that does not stop: with longer and longer pauses."""

    async def step(snapshot):
        begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.01)
        lane.cancel()
        await asyncio.sleep(100)

    begun = []
    lane = None
    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    while asyncio.get_running_loop().time() < 60 and len(begun) < 1000:
        claim = await bench.claim()
        if claim is None:
            await asyncio.sleep(0.05)
            continue
        lane = asyncio.create_task(bench.stepper.run(claim))
        await asyncio.wait([lane])
        assert lane.cancelled()
    assert 0 == (await bench.ledger.read(work_id)).attempts
    assert begun[1] - begun[0] < 0.1
    assert 5 < len(begun) < 20
