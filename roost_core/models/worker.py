"""What a worker announces and holds: itself, its leases, where it hangs, heartbeats."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from roost_core.values import Json, Value


@attrs.frozen(eq=False, repr=False)
class Lease(Value):
    """One worker's time-bound right to a work item.

    The server decides by ``token``; ``fence`` only grows, per work item, and is
    for systems outside Roost. ``expires_at`` is by the server's clock.
    """

    work_id: str
    worker_id: str
    token: str = attrs.field(repr=False)
    fence: int
    expires_at: datetime


@attrs.frozen(eq=False, repr=False)
class Heartbeat(Value):
    """An engine's live message to people: its progress, from 0 to 1, and what it is doing.

    ``at`` is when it was sent, by the clock of the worker's machine, in UTC; all other times of a
    work item are the server's. None if an older Roost stored it without the time.
    """

    progress: float | None = None
    message: str = ""
    at: datetime | None = None
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)


@attrs.frozen(eq=False, repr=False)
class Stuck(Value):
    """Where a worker hangs: since when, at which file, line and function, in whose step.

    ``since`` is by the worker's clock; ``work_id`` is None outside of any step.
    """

    since: datetime
    where: str
    work_id: str | None = None
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)


@attrs.frozen(eq=False, repr=False)
class WorkerInfo(Value):
    """A worker process as it announces itself; its id is new at every start.

    ``stuck`` says where its event loop hangs, if it has not moved for one lease TTL. ``lost``
    counts steps that still run although they were ended. ``queues`` are those that it serves; there
    are none if an older Roost announced itself.
    """

    worker_id: str
    host: str
    pid: int
    engines: tuple[str, ...]
    concurrency: int
    lease_ttl_seconds: float
    roost_version: str
    started_at: datetime
    stuck: Stuck | None = None
    lost: int = 0
    seen_at: datetime | None = None
    queues: tuple[str, ...] = ()
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)
