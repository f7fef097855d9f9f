"""Roost at work in this process: an engine whose steps do nothing but store, and its worker.

A work item of *n* steps has *n* accepted versions: ``init_snapshot`` and *n* - 1
times ``step``. A gate holds the first ones back until all is enqueued.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.measuring.harness import Clock, Job
from roost_core import Roost, Settings, Snapshot, WorkItem, hookimpl
from roost_core.client.requests import EnqueueRequest
from roost_core.plugins.registry import Plugins
from roost_core.worker import Worker


class Engine:
    """Stores a text of the wanted size at each step, or what ``data`` returns for its number."""

    engine_id = "bench"

    def __init__(
        self, job: Job, delay: float | None, data: Callable[[int], Mapping[str, Any]] | None = None
    ) -> None:
        self._job = job
        self._delay = delay
        self._data = data or (lambda n: {"n": n, "text": job.text})
        self.gate = asyncio.Event()
        self.all_done = asyncio.Event()
        self.left = 0

    @hookimpl
    async def init_snapshot(self, item: WorkItem) -> Snapshot:
        """Start, once the gate is open."""
        await self.gate.wait()
        return self._made(Snapshot.start(item), 1)

    @hookimpl
    async def step(self, snapshot: Snapshot) -> Snapshot:
        """Store the state anew."""
        return self._made(snapshot, snapshot.data["n"] + 1)

    def _made(self, snapshot: Snapshot, n: int) -> Snapshot:
        is_last = n >= self._job.steps
        if is_last:
            self.left -= 1
            if self.left == 0:
                self.all_done.set()
        return snapshot.evolve(
            data=self._data(n),
            is_finished=is_last,
            next_step_delay_seconds=None if is_last else self._delay,
        )


def settings_of(job: Job, **more: Any) -> Settings:
    """Return the settings of a benchmark's process: this job's server, and defaults."""
    return Settings(extra={"redis_url": job.url}, home=Path(job.folder)).evolve(**more)


def plugins_with(*engines: Any) -> Plugins:
    """Return the installed plugins and more engines."""
    plugins = Plugins.load(explicit=(), environment=(), strict=False)
    for engine in engines:
        plugins.register(engine, engine.engine_id)
    return plugins


@asynccontextmanager
async def working(
    job: Job, settings: Settings, *engines: Any
) -> AsyncIterator[tuple[Roost, Worker]]:
    """Run a worker with these engines in this process; stop it at the end."""
    async with Roost.connect(settings, plugins=plugins_with(*engines)) as roost:
        worker = Worker(settings, roost.plugins, roost.server, roost.store, concurrency=job.lanes)
        running = asyncio.create_task(worker.run())
        yield roost, worker
        worker.stop()
        await running


async def until_idle(worker: Worker) -> None:
    """Wait until the last step in flight is committed."""
    while worker.running:  # noqa: ASYNC110 - the worker has no event for it
        await asyncio.sleep(0.0005)


async def serve(job: Job, clock: Clock, engine: Engine, slice_steps: int, **more: Any) -> None:
    """Run the job's work with an engine, timed; ``more`` are other settings."""
    settings = settings_of(job, slice_steps=slice_steps, **more)
    async with working(job, settings, engine) as (roost, worker):

        async def prepare(items: int) -> None:
            engine.gate.clear()
            engine.all_done.clear()
            engine.left = items
            await roost.enqueue_many(
                EnqueueRequest(engine="bench", payload={"task": "x" * 100}) for _ in range(items)
            )

        async def work() -> None:
            engine.gate.set()
            await engine.all_done.wait()
            await until_idle(worker)

        await prepare(job.warm_items)
        await work()
        await prepare(job.items)
        await asyncio.sleep(0.05)
        clock.start()
        await work()
        clock.stop(job.items * job.steps)
