"""A whole queue at one glance, as a ledger knows it. Times as in ``messages``.

However much there is, a survey has a bounded part of it, and says how much there is in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from roost_core.backend.orders import Halt
from roost_core.backend.rates import Pace, StepTally
from roost_core.backend.reports import StoredWork
from roost_core.models.work import State
from roost_core.values import Value

#: A survey has at most this many groups of dead letters, engines, resources, workers and leases.
MOST_GROUPS: Final = 20
MOST_ENGINES: Final = 100
MOST_RESOURCES: Final = 100
MOST_WORKERS: Final = 200
MOST_RUNNING: Final = 200
#: Of this many minutes it tells what was done.
MINUTES: Final = 60


@attrs.frozen(eq=False, repr=False)
class EngineLine(Value):
    """The work of one engine that nobody runs yet, though it waits for no time.

    :ivar ready: how many are ready; ``suspected``, besides, how many are ready where nothing else
        runs; ``blocked`` how many wait for a resource.
    :ivar offering: how many live workers offer the engine, at most 100.
    :ivar first: the first of the ready ones, unless it is suspected or has resources; without its
        item.
    """

    engine: str
    ready: int = 0
    suspected: int = 0
    blocked: int = 0
    offering: int = 0
    pace: Pace | None = None
    first: StoredWork | None = None


@attrs.frozen(eq=False, repr=False)
class Timed(Value):
    """Work that waits for a time.

    :ivar overdue: for how many of them that has come; ``oldest_ms`` is when it came for the first.
    :ivar next_ms: when it comes for the next.
    """

    count: int = 0
    overdue: int = 0
    oldest_ms: int | None = None
    next_ms: int | None = None


@attrs.frozen(eq=False, repr=False)
class Running(Value):
    """A lease, and what is known of its step.

    :ivar work: without its snapshot; its item and error may lack payload and traceback.
    :ivar usual: as in :class:`~roost_core.backend.Facts`.
    """

    work: StoredWork
    usual: StepTally | None = None


@attrs.frozen(eq=False, repr=False)
class ResourceHold(Value):
    """A resource that a lease holds, or that work waits for.

    :ivar work_id: who holds it, with ``engine``, ``worker_id`` and ``expires_ms`` of that lease;
        None if it is free, and reserved for the first in its line.
    :ivar waiting: how many stand in its line; ``next_id`` is the first.
    """

    resource: str
    work_id: str | None = None
    engine: str | None = None
    worker_id: str | None = None
    expires_ms: int | None = None
    waiting: int = 0
    next_id: str | None = None


@attrs.frozen(eq=False, repr=False)
class ErrorGroup(Value):
    """Dead letters whose errors are alike.

    :ivar fingerprint: what they have in common.
    :ivar engines: theirs, by name, as far as these were looked at.
    :ivar newest_ms: when the newest of those that were looked at became one; ``work_id`` and
        ``error`` are its own. The error may lack its traceback.
    """

    fingerprint: str
    count: int
    engines: tuple[str, ...]
    newest_ms: int
    work_id: str
    error: bytes | None = attrs.field(default=None, repr=False)


@attrs.frozen(eq=False, repr=False)
class MinuteTally(Value):
    """What workers have done in a minute, as far as they have said so.

    :ivar at_ms: when it began.
    :ivar failed: how many attempts failed; ``dead`` how much work was given up.
    """

    at_ms: int
    steps: int = 0
    failed: int = 0
    dead: int = 0


@attrs.frozen(eq=False, repr=False)
class Survey(Value):
    """What is known of a queue, read within a moment.

    :ivar now_ms: the server's clock; None if the ledger does not know it.
    :ivar lines: of engines with work that is ready or blocked; ``other_ready`` is how much is ready
        of engines beyond them.
    :ivar later: of states whose work waits for a time.
    :ivar newer: how much was set aside for workers that know a layout, by layout.
    :ivar workers: live ones, as :meth:`Reading.workers` returns them; ``worker_count`` is how many
        there are in all.
    :ivar running: the oldest leases of those that were looked at, ``looked`` many.
    :ivar leases: by worker, how many of the leases that were looked at are its own.
    :ivar holds: those with the longest lines first; ``hold_count`` is how many there are.
    :ivar errors: dead letters, the newest first; ``error_count`` is how many groups there are.
    :ivar is_indexed: False if dead letters were only looked at: then counts of them are too low.
    :ivar minutes: of the last hour, oldest first, each there; empty if nobody counts.
    """

    now_ms: int | None = None
    counts: Mapping[State, int] = attrs.field(factory=dict)
    halts: tuple[Halt, ...] = ()
    lines: tuple[EngineLine, ...] = ()
    other_ready: int = 0
    later: Mapping[State, Timed] = attrs.field(factory=dict)
    newer: Mapping[int, int] = attrs.field(factory=dict)
    workers: tuple[tuple[bytes, int], ...] = ()
    worker_count: int = 0
    running: tuple[Running, ...] = ()
    looked: int = 0
    leases: Mapping[str, int] = attrs.field(factory=dict)
    holds: tuple[ResourceHold, ...] = ()
    hold_count: int = 0
    errors: tuple[ErrorGroup, ...] = ()
    error_count: int = 0
    is_indexed: bool = True
    minutes: tuple[MinuteTally, ...] = ()
