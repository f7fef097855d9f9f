"""What decides when a work item runs, as a ledger knows it. Times as in ``messages``."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from roost_core.backend.orders import Halt
from roost_core.backend.rates import Pace, StepTally
from roost_core.backend.reports import StoredWork
from roost_core.codec.records import decode_model
from roost_core.errors import CorruptRecord
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.values import Value


@attrs.frozen(eq=False, repr=False)
class Obstacle(Value):
    """The resource that is in the way of a work item.

    :ivar is_held: whether a lease holds it; else it is reserved for one earlier in line.
    :ivar work_id: who holds it, or stands first in its line.
    :ivar worker_id: whose lease that is, and ``expires_ms`` when it ends, if it is one.
    :ivar ahead: how many stand in line for it before this work item.
    """

    resource: str
    is_held: bool
    work_id: str
    engine: str | None = None
    worker_id: str | None = None
    expires_ms: int | None = None
    ahead: int = 0


@attrs.frozen(eq=False, repr=False)
class Facts(Value):
    """What decides when a work item runs. What a backend does not know is None, or missing.

    :ivar work: without its snapshot, of which ``snapshot_bytes`` is the size; 0: there is none. Of
        one that is stored as changes it may be the size of the whole that they follow.
    :ivar now_ms: the server's clock.
    :ivar ahead: how many ready work items of its engine go first, while it is ready.
    :ivar obstacle: the resource that is in its way.
    :ivar offering: how many live workers offer its engine, at most 100; ``workers`` are up to
        twenty of them, each as :meth:`Reading.workers` returns it. ``others`` is how many live
        workers only offer other engines, at most 100.
    :ivar holder: the worker that holds its lease, in the same form; its bytes are empty if it is
        not in the register.
    :ivar set_aside: the layout that a worker has to know that can take it, if it has been set aside
        for one.
    :ivar pace: of its engine. ``usual`` is what steps took within the last hour that started from a
        snapshot with the same label.
    """

    work: StoredWork
    now_ms: int | None = None
    ahead: int | None = None
    obstacle: Obstacle | None = None
    offering: int = 0
    others: int = 0
    workers: tuple[tuple[bytes, int], ...] = ()
    holder: tuple[bytes, int] | None = None
    halt: Halt | None = None
    set_aside: int | None = None
    pace: Pace | None = None
    usual: StepTally | None = None
    snapshot_bytes: int = 0


def facts_from(
    work: StoredWork, workers: Sequence[tuple[bytes, int]], halts: Sequence[Halt]
) -> Facts:
    """Return what can be told from a work item, the live workers and the engines that are held."""
    offering, others, holder = [], 0, None
    for raw, seen_ms in workers:
        try:
            info = decode_model(WorkerInfo, raw)
        except CorruptRecord:
            continue
        if info.worker_id == work.worker_id:
            holder = (raw, seen_ms)
        if work.engine in info.engines:
            offering.append((raw, seen_ms))
        else:
            others += 1
    if holder is None and work.state is State.RUNNING:
        holder = (b"", 0)
    held = {one.engine: one for one in halts}
    return Facts(
        work=attrs.evolve(work, snapshot=None),
        offering=len(offering),
        others=others,
        workers=tuple(offering[:20]),
        holder=holder,
        halt=held.get(work.engine),
        snapshot_bytes=len(work.snapshot or b""),
    )
