"""Children that are no rows of the table: what checks and scales need beside throughput."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.growing import state_of
from benchmarks.harness import Clock, Job, percentile
from benchmarks.rows import Row
from benchmarks.rows.roost import Engine, plugins_with, serve, settings_of, until_idle
from benchmarks.storming import serve as serve_storm
from roost_core import Roost, Snapshot, WorkItem, hookimpl
from roost_core.client import EnqueueRequest
from roost_core.worker import Worker

#: From the first enqueue to the first wake-up. Seconds.
_LEAD = 4.0


class LatenessEngine:
    """Notes how late each work item begins, by the clock that the server shares with us."""

    engine_id = "late"

    def __init__(self, count: int) -> None:
        self._left = count
        self.lateness: list[float] = []
        self.all_done = asyncio.Event()

    @hookimpl
    async def init_snapshot(self, item: WorkItem) -> Snapshot:
        """Note and finish."""
        assert item.created_at is not None
        due = item.created_at.timestamp() + item.payload["delay"]
        self.lateness.append(time.time() - due)
        self._left -= 1
        if self._left == 0:
            self.all_done.set()
        return Snapshot.start(item).finish()

    @hookimpl
    async def step(self, snapshot: Snapshot) -> Snapshot:
        """Never called."""
        return snapshot.finish()


async def _wake(job: Job, clock: Clock) -> None:
    per_second = job.extra["per_second"]
    engine = LatenessEngine(job.items)
    settings = settings_of(job)
    async with Roost.connect(settings, plugins=plugins_with(engine)) as roost:
        worker = Worker(settings, roost.plugins, roost.backend, roost.store, concurrency=job.lanes)
        running = asyncio.create_task(worker.run())
        first = time.monotonic() + _LEAD

        def requests() -> Iterator[EnqueueRequest]:
            for number in range(job.items):
                delay = first + number / per_second - time.monotonic()
                if delay <= 0:
                    raise RuntimeError("the machine is too busy: enqueueing fell behind")
                # The server counts whole milliseconds.
                delay = round(delay, 3)
                yield EnqueueRequest(engine="late", payload={"delay": delay}, delay_seconds=delay)

        await roost.enqueue_many(requests())
        clock.start()
        await engine.all_done.wait()
        await until_idle(worker)
        milliseconds = [1000 * one for one in engine.lateness]
        clock.stop(
            job.items,
            p50=percentile(milliseconds, 0.5),
            p99=percentile(milliseconds, 0.99),
            worst=max(milliseconds),
            earliest=min(milliseconds),
        )
        worker.stop()
        await running


class HoldEngine:
    """Writes down who begins a step, and holds it for a minute."""

    engine_id = "hold"

    def __init__(self, path: Path) -> None:
        self._path = path

    @hookimpl
    async def init_snapshot(self, item: WorkItem) -> Snapshot:
        """Write a line, then hold."""
        with self._path.open("a") as file:
            file.write(f"{os.getpid()} {time.time()} {item.work_id}\n")
        await asyncio.sleep(60)
        return Snapshot.start(item).finish()

    @hookimpl
    async def step(self, snapshot: Snapshot) -> Snapshot:
        """Never called."""
        return snapshot.finish()


async def _hold(job: Job, clock: Clock) -> None:
    """Serve until the input closes; what happens is in the file ``begun``."""
    engine = HoldEngine(Path(job.folder) / "begun")
    settings = settings_of(job, lease_ttl=job.extra["lease_ttl"], drain_timeout=0.0)
    async with Roost.connect(settings, plugins=plugins_with(engine)) as roost:
        worker = Worker(settings, roost.plugins, roost.backend, roost.store, concurrency=job.lanes)
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(0.3)
        await asyncio.to_thread(clock.start)
        worker.abort()
        await running


async def _idle(job: Job, clock: Clock) -> None:
    engine = HoldEngine(Path(job.folder) / "begun")
    settings = settings_of(job)
    async with Roost.connect(settings, plugins=plugins_with(engine)) as roost:
        worker = Worker(settings, roost.plugins, roost.backend, roost.store, concurrency=job.lanes)
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(1)
        clock.start()
        await asyncio.sleep(job.extra["seconds"])
        clock.stop(1)
        worker.stop()
        await running


async def _state(job: Job, clock: Clock) -> None:
    """Store states of a kind, chained."""
    state = state_of(job.extra["kind"], job.size, job.steps)
    await serve(job, clock, Engine(job, None, state.at), 50)


PROBES = (
    Row("wake", "wake-ups", lambda job, clock: asyncio.run(_wake(job, clock)), "", 1),
    Row("hold", "held steps", lambda job, clock: asyncio.run(_hold(job, clock)), "", 1),
    Row("idle", "an idle worker", lambda job, clock: asyncio.run(_idle(job, clock)), "", 1),
    Row("state", "large state", lambda job, clock: asyncio.run(_state(job, clock)), "", 1),
    Row("storm", "a storm", lambda job, clock: asyncio.run(serve_storm(job, clock)), "", 1),
)
