"""What a step leaves behind is gone with it: nothing waits for the garbage collector.

Objects that hold each other in a cycle are freed when the collector happens to run. With
snapshots of megabytes attached to them that costs memory, and for small ones it takes a sixth
of a worker's time to find them.
"""

from __future__ import annotations

import asyncio
import gc

import pytest

from roost_core.errors import PermanentError, RetryLater
from tests.unit.stepping.stepper_bench import Bench, engine, observer

FEW, MANY = 10, 50


async def ends(snapshot):
    """Finish at once."""
    return snapshot.finish()


async def waits(snapshot):
    """Finish a little later."""
    await asyncio.sleep(0)
    return snapshot.finish()


def blocks(snapshot):
    """Finish in a thread."""
    return snapshot.finish()


async def uses_its_context(snapshot, item, context):
    """Use everything that the context offers."""
    context.emit({"n": len(item.payload)})
    context.heartbeat(0.5)
    assert (False, False) == (context.stopping, context.cancelled)
    return snapshot.finish()


async def fails():
    """Fail for good."""
    raise PermanentError("no")


def fails_in_a_thread():
    """Fail alongside the loop."""
    raise PermanentError("no")


async def comes_later():
    """Ask for a later time."""
    raise RetryLater(1000, reason="not yet")


async def cancels_itself():
    """Cancel its own task."""
    asyncio.current_task().cancel()
    await asyncio.sleep(0)


async def brings_nothing():
    """Return something other than a snapshot."""


async def left_behind(step, count, *observers):
    """Run this many work items; return how many objects only the collector can free."""
    bench = Bench(engine(step), *observers, slice_steps=1000)
    await bench.enqueue([])
    await bench.once()
    for _ in range(count):
        await bench.enqueue([])
    gc.collect()
    gc.disable()
    try:
        for _ in range(count):
            await bench.once()
        return gc.collect()
    finally:
        gc.enable()


def least(step, count, *observers):
    """Return what is left behind each time; extras, say of a thread that ends, come only once."""
    return min(asyncio.run(left_behind(step, count, *observers)) for _ in range(3))


@pytest.mark.parametrize(
    "step",
    [
        ends,
        waits,
        blocks,
        uses_its_context,
        fails,
        fails_in_a_thread,
        comes_later,
        cancels_itself,
        brings_nothing,
    ],
    ids=lambda step: step.__name__,
)
def test_a_claim_leaves_no_circle(step):
    """Whatever its outcome: many claims leave no more behind than few."""
    few, many = (least(step, count) for count in (FEW, MANY))
    # The collector may find this or that, but nothing for each claim.
    assert many - few < MANY - FEW


def raises(snapshot):
    """Fail in a thread."""
    raise ValueError(snapshot)


async def araises(snapshot):
    """Fail on the loop."""
    raise ValueError(snapshot)


@pytest.mark.parametrize("hook", [raises, araises], ids=["def", "async"])
def test_an_observer_that_fails_leaves_no_circle(hook):
    """Whatever its error holds."""
    seen = observer(on_step_committed=hook)
    few, many = (least(ends, count, seen) for count in (FEW, MANY))
    assert many - few < MANY - FEW


def test_a_step_leaves_no_circle():
    """Nor do the steps of one claim."""

    def counting(total):
        async def step(snapshot, context):
            n = snapshot.data.get("n", 0) + 1
            context.emit({"n": n})
            return snapshot.evolve(data={"n": n}, is_finished=n >= total)

        return step

    few, many = (least(counting(steps), 1) for steps in (FEW, MANY))
    assert many - few < MANY - FEW
