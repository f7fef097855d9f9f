"""Workers that hold what they have, or have nothing."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.row import Row
from benchmarks.measuring.working import settings_of, working
from roost_core import Snapshot, WorkItem, hookimpl


class HoldEngine:
    """Records who begins a step, and holds it for a minute."""

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
    async with working(job, settings, engine) as (_, worker):
        await asyncio.sleep(0.3)
        await asyncio.to_thread(clock.start)
        worker.abort()


async def _idle(job: Job, clock: Clock) -> None:
    engine = HoldEngine(Path(job.folder) / "begun")
    async with working(job, settings_of(job), engine):
        await asyncio.sleep(1)
        clock.start()
        await asyncio.sleep(job.extra["seconds"])
        clock.stop(1)


HOLD = Row("hold", "held steps", lambda job, clock: asyncio.run(_hold(job, clock)), "", 1)
IDLE = Row("idle", "an idle worker", lambda job, clock: asyncio.run(_idle(job, clock)), "", 1)
