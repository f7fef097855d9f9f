"""Roost: chained, every step through the queue, and with steps that sleep."""

from __future__ import annotations

import asyncio
from functools import partial

from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.row import Row
from benchmarks.measuring.working import Engine, serve

#: How long a sleeping step sleeps. Seconds; the lanes are busy with others meanwhile.
_DELAY = 0.005


def _run(slice_steps: int, delay: float | None, job: Job, clock: Clock) -> None:
    asyncio.run(serve(job, clock, Engine(job, delay), slice_steps))


_DURABILITY = "snapshot, record, event, next place; AOF {fsync}"

ROWS = (
    Row(
        key="roost-chained",
        title="Roost, chained",
        run=partial(_run, 50, None),
        durability=_DURABILITY,
        rate=6_000,
    ),
    Row(
        key="roost-queued",
        title="Roost, each step through the queue",
        run=partial(_run, 1, None),
        durability=_DURABILITY,
        rate=3_500,
    ),
    Row(
        key="roost-sleeping",
        title="Roost, each step sleeps",
        run=partial(_run, 50, _DELAY),
        durability=_DURABILITY,
        rate=3_000,
    ),
)
