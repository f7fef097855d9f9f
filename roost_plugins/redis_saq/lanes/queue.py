"""SAQ's worker over Roost's claims; the only module that imports ``saq``.

SAQ runs the lanes: as many tasks as the worker's concurrency, each taking a job from a queue and
awaiting its function, with upkeep beside them. Its queue here is ours: ``dequeue`` waits for a
claim, the job carries the claim, and its function continues with the lane's next ones. The outcome
of each is already durable when it ends, so the calls with which SAQ would store a job's outcome in
Redis do nothing.
"""

from __future__ import annotations

import abc
import dataclasses
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from saq import Job, Queue, Status, Worker

from roost_core.backend import Claim
from roost_plugins.redis_saq.lanes.lanes import Lanes

_log = logging.getLogger("roost.worker")

#: How often upkeep (the purge) runs. Seconds.
_UPKEEP_EVERY = 60
#: SAQ's timers that have nothing to do here still tick; once a day will do. Seconds.
_SELDOM = 86_400
#: One of SAQ's jobs is a lane's shift of this many claims, because SAQ's own part in a job takes
#: longer than ours in a claim.
_SHIFT = 100

_Q = TypeVar("_Q", bound=Queue)


def _refusing_the_rest(cls: type[_Q]) -> type[_Q]:
    """Make a queue refuse what its worker never does: enqueue, read, count, end or list jobs.

    A work item needs more than a job has, and only Roost reads and ends it.
    """
    for name in cls.__abstractmethods__:

        async def refuse(_self: Queue, *_: object, _name: str = name, **__: object) -> None:
            raise RuntimeError(f"SAQ's {_name} does not know work items: use Roost's client")

        setattr(cls, name, refuse)
    return abc.update_abstractmethods(cls)


@dataclasses.dataclass(eq=False, repr=False)
class ClaimJob(Job):
    """A job that carries a claim."""

    claim: Claim | None = None

    def info(self, full: bool = False) -> str:  # noqa: ARG002 - SAQ's signature
        """Return a short text: SAQ makes it for each job, whether or not it is logged."""
        return self.key


@_refusing_the_rest
class RoostQueue(Queue):
    """What SAQ's worker needs from a queue, over the lanes of one worker."""

    def __init__(self, lanes: Lanes, name: str, upkeep: Callable[[], Awaitable[None]]) -> None:
        super().__init__(name, None, None)
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
        """Do nothing: the claim is already stored."""

    async def finish(self, job: Job, status: Status, **kwargs: Any) -> None:
        """Do nothing, as :meth:`update`."""

    async def retry(self, job: Job, error: str | None) -> None:
        """Log what happened; a claim that was not given back returns when its lease expires."""
        level = logging.DEBUG if error == "cancelled" else logging.ERROR
        _log.log(level, "the lane of %s ended: %s", job.key, error)

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:  # noqa: ARG002 - SAQ's signature
        """Run the upkeep: expired leases need no sweep, each claim looks for them."""
        await self._upkeep()
        return []


class LaneWorker(Worker[Any]):
    """SAQ's worker without its signal handlers: the core handles the process's signals."""

    SIGNALS: list[Any] = []  # noqa: RUF012 - as SAQ declares it

    async def abort(self, abort_threshold: float) -> None:
        """Do nothing: nobody can ask for a claim's job to be aborted."""

    async def worker_info(self, ttl: int = 60) -> Any:
        """Do nothing: each renewal of the leases announces the worker."""


def lane_worker(
    lanes: Lanes,
    worker_id: str,
    concurrency: int,
    run: Callable[[Claim], Awaitable[None]],
    upkeep: Callable[[], Awaitable[None]],
) -> LaneWorker:
    """Make SAQ's worker: its tasks take claims from the lanes and run them.

    :param run: runs one claim.
    """

    async def shift(context: dict[str, Any]) -> None:
        claim: Claim = context["job"].claim
        for left in reversed(range(_SHIFT)):
            await run(claim)
            if left:
                claim = await lanes.next_claim()

    name = " ".join(one.ledger.keys.tag for one in lanes.served)
    return LaneWorker(
        RoostQueue(lanes, name, upkeep),  # type: ignore[abstract] # the decorator adds the rest
        [("run", shift)],
        id=worker_id,
        concurrency=concurrency,
        timers={
            "schedule": _SELDOM,
            "worker_info": _SELDOM,
            "sweep": _UPKEEP_EVERY,
            "abort": _SELDOM,
        },
        shutdown_grace_period_s=1,
    )
