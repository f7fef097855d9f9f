"""SAQ's worker over Roost's claims; the one module that imports ``saq``.

SAQ runs the lanes: as many tasks as the worker's concurrency, each taking a job
from a queue and awaiting its function, with upkeep beside them. Its queue here is
ours: ``dequeue`` waits for a claim, the job carries the claim and its function goes
on with the lane's next ones, and what becomes of each is already durable when its
turn is over, so the calls with which SAQ would write a job's fate to Redis do nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from saq import Job, Queue, Status, Worker

from roost_core.backend import Claim, Ledger, ListQuery, ServePlan, StoredWork
from roost_core.models import State
from roost_plugins.redis_saq.lanes.extra_lanes import ExtraLanes
from roost_plugins.redis_saq.lanes.lanes import Lanes
from roost_plugins.redis_saq.ledger.ledger import RedisLedger

if TYPE_CHECKING:
    from saq.types import CountKind, QueueInfo, WorkerInfo

_log = logging.getLogger("roost.worker")

#: How often upkeep (the purge) runs. Seconds.
_UPKEEP_EVERY = 60
#: SAQ's timers that have nothing to do here still tick; once a day will do. Seconds.
_SELDOM = 86_400
#: How long a cancelled step may take to end. Seconds.
_CANCEL_GRACE = 5.0
#: How long SAQ may take to end its tasks, which wait for nothing by then. Seconds.
_SAQ_GRACE = 2.0
#: A job of SAQ's is a lane's shift of so many claims, because SAQ's own part in a job takes
#: longer than ours in a claim.
_SHIFT = 100

_STATUS = {
    State.RUNNING: Status.ACTIVE,
    State.DONE: Status.COMPLETE,
    State.FAILED: Status.FAILED,
    State.CANCELLED: Status.ABORTED,
}


@dataclasses.dataclass(eq=False, repr=False)
class ClaimJob(Job):
    """A job that stands for a claim."""

    claim: Claim | None = None

    def info(self, full: bool = False) -> str:  # noqa: ARG002 - SAQ's signature
        """Return a short text: SAQ makes it for each job, whether it is logged or not."""
        return self.key


class RoostQueue(Queue):
    """SAQ's queue interface over the lanes of one worker."""

    def __init__(
        self, ledger: Ledger, lanes: Lanes, name: str, upkeep: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(name, None, None)
        self._ledger = ledger
        self._lanes = lanes
        self._upkeep = upkeep

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Job | None:  # noqa: ARG002 - SAQ's signature
        """Wait for a claim."""
        claim = await self._lanes.next_claim()
        return ClaimJob(
            function="run",
            key=claim.lease.work_id,
            queue=self,
            timeout=0,
            retries=1,
            claim=claim,
        )

    async def update(self, job: Job, **kwargs: Any) -> None:
        """Do nothing: the claim is on record already."""

    async def finish(self, job: Job, status: Status, **kwargs: Any) -> None:  # noqa: ARG002 - SAQ's signature
        """Count; the work item's own fate is on record already."""
        if status == Status.COMPLETE:
            self.complete += 1

    async def retry(self, job: Job, error: str | None) -> None:
        """Say what happened; a claim that is not given back comes back when its lease expires."""
        level = logging.DEBUG if error == "cancelled" else logging.ERROR
        _log.log(level, "the lane of %s ended: %s", job.key, error)
        self.retried += 1

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:  # noqa: ARG002 - SAQ's signature
        """Run the upkeep: expired leases need no sweep, each claim looks for them."""
        await self._upkeep()
        return []

    async def disconnect(self) -> None:
        """Do nothing: the connections are the server's."""

    async def info(self, jobs: bool = False, offset: int = 0, limit: int = 10) -> QueueInfo:  # noqa: ARG002 - SAQ's signature
        """Return the queue's counts."""
        return {
            "workers": {},
            "name": self.name,
            "queued": await self.count("queued"),
            "active": await self.count("active"),
            "scheduled": await self.count("incomplete"),
            "jobs": [],
        }

    async def count(self, kind: CountKind) -> int:
        """Count work items: ready ones, leased ones, or all that are not terminal."""
        counts = await self._ledger.counts()
        if kind == "queued":
            return counts[State.QUEUED]
        if kind == "active":
            return counts[State.RUNNING]
        return sum(count for state, count in counts.items() if not state.is_terminal)

    async def job(self, job_key: str) -> Job | None:
        """Return a work item as a job."""
        work = await self._ledger.read(job_key)
        return None if work is None else self._as_job(work)

    async def jobs(self, job_keys: Iterable[str]) -> list[Job | None]:
        """Return work items as jobs."""
        return [await self.job(key) for key in job_keys]

    async def iter_jobs(
        self,
        statuses: list[Status] = list(Status),  # noqa: B006 - SAQ's signature
        batch_size: int = 100,
    ) -> AsyncIterator[Job]:
        """Yield every work item that has one of the statuses, as a job."""
        offset = 0
        while page := await self._ledger.list(ListQuery(limit=batch_size, offset=offset)):
            offset += len(page)
            for work in page:
                job = self._as_job(work)
                if job.status in statuses:
                    yield job

    def _as_job(self, work: StoredWork) -> Job:
        return Job(
            function=work.engine,
            key=work.work_id,
            queue=self,
            attempts=work.attempts,
            status=_STATUS.get(work.state, Status.QUEUED),
        )

    async def write_worker_info(self, worker_id: str, info: WorkerInfo, ttl: int) -> None:
        """Do nothing: each renewal of the leases announces the worker."""

    async def abort(self, job: Job, error: str, ttl: float = 5) -> None:  # noqa: ARG002 - SAQ's signature
        """Refuse: a work item is not ended behind its record's back."""
        raise RuntimeError(f"{job.key} is a work item: SAQ cannot abort it")

    async def _update(self, job: Job, status: Status | None = None, **kwargs: Any) -> None:
        """Do nothing, as :meth:`update`."""

    async def _retry(self, job: Job, error: str | None) -> None:
        """Do nothing, as :meth:`retry`."""

    async def _finish(
        self, job: Job, status: Status, *, result: Any = None, error: str | None = None
    ) -> None:
        """Do nothing, as :meth:`finish`."""

    async def _enqueue(self, job: Job) -> Job | None:
        """Refuse: a work item needs more than a job has."""
        raise RuntimeError(f"{job.function}: enqueue work with Roost's client")


class LaneWorker(Worker[Any]):
    """SAQ's worker without its signal handlers: the process's signals are the core's."""

    SIGNALS: list[Any] = []  # noqa: RUF012 - SAQ declares it so


async def run_lanes(
    ledger: RedisLedger,
    lanes: Lanes,
    plan: ServePlan,
    handle: Callable[[Claim], Awaitable[None]],
    upkeep: Callable[[], Awaitable[None]],
) -> None:
    """Run the lanes until ``plan.stopping`` is set and those in flight have drained.

    The end of a burst is ours as well: SAQ would wait a second for its upkeep then.
    """
    in_flight: dict[asyncio.Task[Any], Claim] = {}

    async def one(claim: Claim) -> None:
        task = asyncio.current_task()
        assert task is not None
        in_flight[task] = claim
        try:
            await handle(claim)
        finally:
            del in_flight[task]
            lanes.lane_done(claim)

    async def run(context: dict[str, Any]) -> None:
        claim: Claim = context["job"].claim
        for left in reversed(range(_SHIFT)):
            await one(claim)
            if left:
                claim = await lanes.next_claim()

    worker = LaneWorker(
        RoostQueue(ledger, lanes, ledger.keys.tag, upkeep),
        [("run", run)],
        id=plan.worker_id,
        concurrency=plan.concurrency,
        timers={
            "schedule": _SELDOM,
            "worker_info": _SELDOM,
            "sweep": _UPKEEP_EVERY,
            "abort": _SELDOM,
        },
        shutdown_grace_period_s=1,
    )
    lanes.start()
    extra = ExtraLanes(lanes, plan.lost, one) if plan.lost is not None else None
    running = asyncio.create_task(worker.start())
    ends = [asyncio.create_task(one.wait()) for one in (plan.stopping, lanes.is_over)]
    try:
        await asyncio.wait({running, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if extra is not None:
            await extra.close()
        await _drain(lanes, plan.drain_timeout)
    finally:
        if extra is not None:
            await extra.close()
        for end in ends:
            end.cancel()
        for task in list(in_flight):
            task.cancel()
        if in_flight:
            # A step that does not end when it is cancelled is left behind; its lease runs out.
            await _in_time(lanes.drained(), _CANCEL_GRACE)
        worker.event.set()
        # Idle lanes and upkeep have nothing to finish; SAQ would wait for them.
        for task in list(worker.tasks):
            task.cancel()
        # Not awaited: SAQ waits without end for a step that does not end when it is cancelled.
        await asyncio.wait({running}, timeout=_SAQ_GRACE)
        if running.done() and not running.cancelled():
            running.result()
        await lanes.give_back_all_but(list(in_flight.values()))


async def _drain(lanes: Lanes, timeout: float) -> None:
    """Stop claiming, and wait for the steps in flight, so long as they may take.

    Not for the lanes' tasks: a lane whose step has ended waits for a claim that never comes.
    """
    closing = asyncio.create_task(lanes.close())
    try:
        await _in_time(lanes.drained(), timeout)
    finally:
        await closing


async def _in_time(what: Awaitable[None], seconds: float) -> None:
    """Wait for something, but not longer than so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await what
