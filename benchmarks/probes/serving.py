"""Workers that only work: processes side by side, each on a queue that is filled beforehand.

The ``serve`` child warms up on a queue of its own, takes its first work items, holds
them until the signal, and works until nothing is left. All begin at the same signal;
the time ends with the last step of any of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import attrs

from benchmarks.measuring import filling
from benchmarks.measuring.bench import Bench
from benchmarks.measuring.harness import Clock, Job, child
from benchmarks.measuring.machine import machine_cpu_seconds
from benchmarks.measuring.row import Row
from benchmarks.measuring.server import Counters, Server
from benchmarks.measuring.working import Engine, plugins_with, settings_of, working
from roost_core import Roost, Settings, Snapshot
from roost_core.models import State
from roost_core.worker import Worker

#: A worker without work for this long assumes that there is none left. Seconds.
_QUIET = 0.3


class CountingEngine(Engine):
    """Stores a text at each step, counts, and remembers the last one's time."""

    def __init__(self, job: Job) -> None:
        super().__init__(job, None)
        self.steps = 0
        self.last = 0.0

    def _made(self, snapshot: Snapshot, n: int) -> Snapshot:
        self.steps += 1
        # This clock is the same in all processes of a machine.
        self.last = time.monotonic()
        return super()._made(snapshot, n)


async def _warm_up(job: Job, settings: Settings) -> None:
    engine = CountingEngine(job)
    engine.gate.set()
    async with Roost.connect(settings, plugins=plugins_with(engine)) as roost:
        await filling.add_ready(roost, job.warm_items)
        await Worker(
            settings,
            roost.plugins,
            roost.server,
            roost.store,
            concurrency=job.lanes,
            burst=True,
        ).run()


async def _serve(job: Job, clock: Clock) -> None:
    slices = {"slice_steps": job.extra["slice_steps"]}
    await _warm_up(job, settings_of(job, queue=job.extra["warm_queue"], **slices))
    engine = CountingEngine(job)
    settings = settings_of(job, queue=job.extra["queue"], **slices)
    async with working(job, settings, engine) as (_, worker):
        while not worker.running:  # noqa: ASYNC110 - the worker has no event for it
            await asyncio.sleep(0.01)
        await asyncio.to_thread(clock.start)
        engine.gate.set()
        busy, seen = time.monotonic(), 0
        while time.monotonic() - busy < _QUIET:
            # Between two claims all lanes may be free, and each look may happen just then.
            if worker.running or engine.steps != seen:
                busy, seen = time.monotonic(), engine.steps
            await asyncio.sleep(0.02)
        clock.stop(engine.steps, last=engine.last)


SERVE = Row("serve", "a worker", lambda job, clock: asyncio.run(_serve(job, clock)), "", 1)


def serve_job(bench: Bench, *, queue: str, warm_queue: str, slice_steps: int = 50) -> Job:
    """Return the job of a worker on a queue; what it is to do is in the queue."""
    extra = {"queue": queue, "warm_queue": warm_queue, "slice_steps": slice_steps}
    return bench.job(SERVE.key, 0, extra=extra)


async def fill(job: Job, items: int) -> None:
    """Put work into the job's queue."""
    async with Roost.connect(settings_of(job, queue=job.extra["queue"])) as roost:
        await filling.add_ready(roost, items)


async def check_done(job: Job, items: int) -> None:
    """Make sure that the queue holds this much work, all of it done.

    :raises RuntimeError: it does not.
    """
    async with Roost.connect(settings_of(job, queue=job.extra["queue"])) as roost:
        counts = {state: count for state, count in (await roost.counts()).items() if count}
    if counts != {State.DONE: items}:
        raise RuntimeError(f"{items} work items were enqueued, and now there are {counts}")


@attrs.frozen
class Run:
    """What workers and servers showed together; times in seconds.

    :ivar seconds: from the signal to the last step of all.
    :ivar steps: of each worker.
    :ivar own_seconds: from the signal to each worker's own last step.
    :ivar client_cpu: of each worker.
    :ivar servers: what each server spent.
    :ivar others: cores that other processes and the kernel kept busy meanwhile.
    """

    seconds: float
    steps: Sequence[int]
    own_seconds: Sequence[float]
    client_cpu: Sequence[float]
    servers: Sequence[Counters]
    others: float

    @property
    def rate(self) -> float:
        """Steps a second of all workers together."""
        return sum(self.steps) / self.seconds

    @property
    def client_cpu_us(self) -> float:
        """CPU of the workers for each step, in microseconds."""
        return sum(self.client_cpu) / sum(self.steps) * 1e6

    @property
    def server_cpu_us(self) -> float:
        """CPU of the servers for each step, in microseconds."""
        return sum(one.cpu for one in self.servers) / sum(self.steps) * 1e6

    @property
    def cores_used(self) -> float:
        """How many cores workers and servers kept busy."""
        return (sum(self.client_cpu) + sum(one.cpu for one in self.servers)) / self.seconds


def run_together(jobs: Sequence[Job], servers: Sequence[Server]) -> Run:
    """Let one worker for each job work until nothing is left."""
    with ExitStack() as stack:
        children = [stack.enter_context(child(job)) for job in jobs]
        for one in children:
            one.hear()
        before = [server.counters() for server in servers]
        machine = machine_cpu_seconds()
        went = time.monotonic()
        for one in children:
            one.tell("go")
        reports: list[dict[str, Any]] = [one.hear() for one in children]
        ended = time.monotonic()
        machine = machine_cpu_seconds() - machine
        spent = [server.counters() - was for server, was in zip(servers, before, strict=True)]
        for one in children:
            one.tell("seen")
    client_cpu = [report["cpu"] for report in reports]
    own = sum(client_cpu) + sum(one.cpu for one in spent)
    return Run(
        seconds=max(report["last"] for report in reports) - went,
        steps=[report["steps"] for report in reports],
        own_seconds=[report["last"] - went for report in reports],
        client_cpu=client_cpu,
        servers=spent,
        # The kernel counts in hundredths of a second, so a small value may come out negative.
        others=max(machine - own, 0.0) / (ended - went),
    )
