"""All that a page shows of one work item but its snapshot, in a few requests at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs

from roost_core.backend.facts import Facts
from roost_core.backend.ledger import Ledger
from roost_core.backend.trail import completed, reason_of_sleep
from roost_core.codec.times import from_milliseconds
from roost_core.errors import CorruptRecord, WrittenByNewer
from roost_core.models.events import Event
from roost_core.models.standing import Fork, WorkMeta
from roost_core.models.work import State, WorkItem
from roost_core.models.worker import WorkerInfo
from roost_core.shown import views
from roost_core.shown.why import UNKNOWN_ENGINE, Why, explain
from roost_core.values import Value

#: Steps are told one by one as long as they are among this many newest events of the work item,
#: and those among this many newest of the queue; earlier ones by lease.
_STEPS: Final = 150
_LOOK: Final = 3_000


@attrs.frozen(eq=False, repr=False)
class Inspection(Value):
    """One work item but for its snapshot. Its bytes need not be readable.

    :ivar item: None if it does not decode.
    :ivar problem: why that does not, or the record of how it stands; None if both do.
    :ivar is_newer: whether it does not because a newer Roost wrote it.
    :ivar why: why it does not run, or how it does.
    :ivar now: the server's clock at that moment.
    :ivar snapshot_bytes: the size of its snapshot; 0: there is none.
    :ivar holder: the worker that holds its lease, if that is in the register.
    :ivar story: its life so far, oldest first: each event that is neither a claim nor a commit, and
        one ``leased`` for each lease, as far back as it keeps them; and, as far as they were found
        without looking far, the claims and commits of its newest leases instead.
    :ivar forks: the work items that began with a version of it, newest first.
    """

    meta: WorkMeta
    item: WorkItem | None
    problem: str | None
    is_newer: bool
    why: Why
    now: datetime
    snapshot_bytes: int
    holder: WorkerInfo | None
    story: Sequence[Event]
    forks: Sequence[Fork] = ()


async def inspect(ledger: Ledger, work_id: str) -> Inspection | None:
    """Read it, in the same number of requests whatever the size of the queue; None: no such id."""
    facts, trail, newest = await asyncio.gather(
        ledger.facts(work_id),
        ledger.trail(work_id),
        ledger.newest_of(work_id, limit=_STEPS, look=_LOOK),
    )
    if facts is None:
        return None
    story = completed(newest, trail or ())
    meta = views.meta(facts.work)
    if meta.state is State.SLEEPING:
        meta = attrs.evolve(meta, reason=reason_of_sleep(trail or (), meta.version))
    now = meta.updated_at if facts.now_ms is None else from_milliseconds(facts.now_ms)
    item, problem, is_newer = _item(facts)
    return Inspection(
        meta=meta,
        item=item,
        problem=problem,
        is_newer=is_newer,
        why=explain(facts, now, trail or ()),
        now=now,
        snapshot_bytes=facts.snapshot_bytes,
        holder=_holder(facts),
        story=story,
        forks=views.forks(facts.work),
    )


def _item(facts: Facts) -> tuple[WorkItem | None, str | None, bool]:
    try:
        item = views.item(facts.work)
        if facts.work.engine == UNKNOWN_ENGINE:
            return item, f"{facts.work.work_id}: the stored record does not decode", False
        return item, None, False
    except CorruptRecord as error:
        return None, str(error), isinstance(error, WrittenByNewer)


def _holder(facts: Facts) -> WorkerInfo | None:
    if facts.holder is None or not facts.holder[0]:
        return None
    try:
        return views.worker(*facts.holder)
    except CorruptRecord:
        return None
