"""The live workers of a recovery storm, in processes: victims come back, bystanders continue."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.row import Row
from benchmarks.measuring.working import settings_of, working
from roost_core import Snapshot, WorkItem, hookimpl
from roost_core.client.requests import EnqueueRequest

#: Versions that each victim ends with.
VICTIM_VERSIONS: Final = (1, 2)
#: The time to live of all leases. Seconds: from the dead workers' last renewal to the storm.
LEASE_TTL: Final = 3.0
#: The settings that all processes of a storm share. Everything is judged by its events,
#: so none may be trimmed.
SETTINGS: Final[Mapping[str, Any]] = {"lease_ttl": LEASE_TTL, "events_kept": 2_000_000}
#: How long a bystander sleeps between two steps. Seconds.
_DELAY: Final = 0.02
#: For every bystander to take its next step after the storm. Seconds.
_PATIENCE: Final = 60.0


class Victim:
    """Finishes at its second step, and counts how often each step is begun."""

    engine_id = "victim"

    def __init__(self) -> None:
        self.begun: Counter[tuple[str, int]] = Counter()

    @hookimpl
    async def init_snapshot(self, item: WorkItem) -> Snapshot:
        """Take the first step."""
        self.begun[item.work_id, 1] += 1
        return Snapshot.start(item)

    @hookimpl
    async def step(self, snapshot: Snapshot) -> Snapshot:
        """Finish."""
        self.begun[snapshot.work_id, snapshot.version + 1] += 1
        return snapshot.finish()


class Bystander:
    """Steps every few milliseconds, and notes when each step was due, begun and accepted.

    Due and accepted are whole milliseconds of the server's clock, which this process shares.
    """

    engine_id = "bystander"

    def __init__(self) -> None:
        self.steps: list[tuple[float, float, float]] = []
        #: Of each work item's last step, which is not yet known to be accepted.
        self._last: dict[str, tuple[float, float]] = {}

    @hookimpl
    async def init_snapshot(self, item: WorkItem) -> Snapshot:
        """Begin to sleep."""
        return Snapshot.start(item, next_step_delay_seconds=_DELAY)

    @hookimpl
    async def step(self, snapshot: Snapshot) -> Snapshot:
        """Note, and sleep again."""
        began = time.time()
        assert snapshot.updated_at is not None
        accepted = snapshot.updated_at.timestamp()
        if snapshot.work_id in self._last:
            self.steps.append((*self._last[snapshot.work_id], accepted))
        self._last[snapshot.work_id] = (accepted + _DELAY, began)
        return snapshot.evolve(next_step_delay_seconds=_DELAY)

    async def all_past(self, moment: float) -> None:
        """Wait until the notes hold all that was due before this moment."""
        async with asyncio.timeout(_PATIENCE):
            while any(due < moment for due, _ in self._last.values()):  # noqa: ASYNC110 - no event
                await asyncio.sleep(_DELAY)


async def _serve(job: Job, clock: Clock) -> None:
    """Serve the engines that the job names until the signal, then report what they recorded."""
    victim, bystander = Victim(), Bystander()
    engines: list[Any] = [
        one for one in (victim, bystander) if one.engine_id in job.extra["engines"]
    ]
    settings = settings_of(job, **SETTINGS)
    async with working(job, settings, *engines) as (roost, worker):
        if bystander in engines:
            # Spread over their delay, so that they do not all step at once.
            await roost.enqueue_many(
                EnqueueRequest(
                    engine=Bystander.engine_id,
                    priority=job.extra["priority"],
                    delay_seconds=number * _DELAY / job.items,
                )
                for number in range(job.items)
            )
        await asyncio.sleep(0.5)
        await asyncio.to_thread(clock.start)
        await bystander.all_past(time.time())
        clock.stop(
            max(1, len(bystander.steps)),
            bystander=bystander.steps,
            begun_twice=sum(count > 1 for count in victim.begun.values()),
        )
        worker.abort()


STORM = Row("storm", "a storm", lambda job, clock: asyncio.run(_serve(job, clock)), "", 1)
