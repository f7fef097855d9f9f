"""What people ask of a queue, and how long the answers take beside few and many work items."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final

from benchmarks.measuring import filling
from benchmarks.measuring.bench import Bench
from benchmarks.measuring.figures import middle
from benchmarks.measuring.working import Engine
from roost_core import Roost

_Ask = Callable[[], Awaitable[object]]
#: A figure is the median of this many calls.
_CALLS: Final = 25


async def fill(bench: Bench, count: int) -> None:
    """Enqueue work: half of it ready, half of it asleep."""
    async with bench.connect() as roost:
        await filling.add_ready(roost, count // 2)
        await filling.add_sleepers(roost, count - count // 2)


async def questions(roost: Roost, count: int) -> Mapping[str, _Ask]:
    """Return what is asked, by name: also about work in the middle of the line."""
    (asleep,) = await roost.list("sleeping", limit=1)
    (ready,) = await roost.list("queued", limit=1, offset=count // 4)
    sleeper, waiter = roost.work(asleep.meta.work_id), roost.work(ready.meta.work_id)
    engine = f"engine:{Engine.engine_id}"
    return {
        "status": waiter.status,
        "why, in the middle of the line": waiter.why,
        "why, asleep": sleeper.why,
        "overview": roost.overview,
        "list, newest": lambda: roost.list(limit=50),
        "list, by state and engine": lambda: roost.find(f"state:queued {engine}", limit=50),
        "count, by state": lambda: roost.count(by="state"),
        "count, by engine": lambda: roost.count(by="engine"),
        "count, of an engine": lambda: roost.count(engine),
    }


async def ratios(few: Bench, many: Bench, sizes: tuple[int, int]) -> Mapping[str, float]:
    """Return by how much longer each answer takes on the second server, asked in turns."""
    async with AsyncExitStack() as stack:
        asked = [
            await questions(await stack.enter_async_context(bench.connect()), size)
            for bench, size in zip((few, many), sizes, strict=True)
        ]
        found = {}
        for name in asked[0]:
            took: list[list[float]] = [[], []]
            for _ in range(_CALLS + 3):
                for samples, one in zip(took, asked, strict=True):
                    began = time.perf_counter()
                    await one[name]()
                    samples.append(time.perf_counter() - began)
            # The first ones load the scripts.
            low, high = (middle(samples[3:]) for samples in took)
            beside = " and ".join(
                f"{1000 * one:.2f} ms beside {size:,}"
                for one, size in zip((low, high), sizes, strict=True)
            )
            few.say(f"{name}: {beside}")
            found[name] = high / low
    return found
