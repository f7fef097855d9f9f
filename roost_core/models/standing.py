"""How a work item stands: what the backend knows of it, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import attrs

from roost_core.models.snapshot import Snapshot
from roost_core.models.work import State, WorkItem
from roost_core.models.worker import Heartbeat, Lease, Stuck
from roost_core.values import Json, Value

if TYPE_CHECKING:
    from roost_core.models.control import Act, Verb


@attrs.frozen(eq=False, repr=False)
class ErrorRecord(Value):
    """What went wrong, as it is kept with the work item and shown to people.

    ``kind`` is one of ``exception``, ``permanent``, ``timeout``,
    ``invalid_result``, ``hung`` (it blocked its worker), ``corrupt``, ``recoveries``
    (its worker died too often), ``steps`` (too many in a row without a delay),
    ``deadline`` and ``buried`` (by a person).
    """

    kind: str
    message: str
    error_type: str | None = None
    traceback: str | None = None
    worker_id: str | None = None
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)


@attrs.frozen(eq=False, repr=False)
class WorkMeta(Value):
    """What the backend knows about a work item besides the item and its snapshot.

    ``attempts`` counts failed attempts of the current step, ``recoveries`` the workers that died
    over it while they ran nothing else, ``suspicions`` those that died or went silent while they
    ran it and other work; an accepted step resets all to 0. ``steps_in_row`` counts steps since the
    last delay. ``leased_at`` and ``leased_version`` are when, and at which version, the newest
    lease began. ``reason`` is the reason of a ``RetryLater`` while the work sleeps because of it; a
    long one is cut. Only a handle's ``status`` looks it up. ``wish`` is what a person has asked of
    the running step that is not done yet: to be cancelled, paused or buried; ``act`` is the last
    verb that a person used on the work item, unless a replay has undone it.
    """

    work_id: str
    engine: str
    state: State
    priority: int
    version: int
    step: str | None
    attempts: int
    max_attempts: int
    recoveries: int
    max_recoveries: int
    suspicions: int
    steps_in_row: int
    max_steps: int
    fence: int
    lease: Lease | None
    leased_at: datetime | None
    leased_version: int
    due_at: datetime | None
    deadline_at: datetime | None
    blocked_on: str | None
    labels: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    error: ErrorRecord | None = None
    heartbeat: Heartbeat | None = None
    wish: Verb | None = None
    act: Act | None = None
    reason: str | None = None


@attrs.frozen(eq=False, repr=False)
class Fork(Value):
    """A work item that began with a version of another one.

    ``work_id`` is its id, ``version`` the other one's version, and ``at`` when it was begun.
    """

    work_id: str
    version: int
    at: datetime


@attrs.frozen(eq=False, repr=False)
class WorkStatus(Value):
    """Everything known about one work item: what ``roost status`` prints.

    ``snapshot`` is None if no step was accepted yet, or if it cannot be read: ``problem`` says why,
    and is None otherwise. ``stuck`` is where the worker that holds its lease hangs, if it does.
    ``forks`` are the work items that began with a version of this one, the newest first, at most
    100; some may be gone.
    """

    meta: WorkMeta
    item: WorkItem
    snapshot: Snapshot | None
    stuck: Stuck | None = None
    forks: tuple[Fork, ...] = ()
    problem: str | None = None


@attrs.frozen(eq=False, repr=False)
class WorkRow(Value):
    """One line of a listing: what the backend knows, and the title.

    ``is_readable`` is False if the stored item does not decode; the rest is still true.
    ``is_newer`` means that a newer Roost wrote it.
    """

    meta: WorkMeta
    title: str | None = None
    is_readable: bool = True
    is_newer: bool = False


@attrs.frozen(eq=False, repr=False)
class DeadLetter(Value):
    """A work item that Roost has given up on; ``error.kind`` says why."""

    item: WorkItem
    snapshot: Snapshot | None
    error: ErrorRecord
    failed_at: datetime
