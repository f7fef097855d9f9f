"""A survey of a queue, where there are only lists of its work."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from roost_core.backend.facts import facts_from
from roost_core.backend.orders import Halt
from roost_core.backend.reading import Reading
from roost_core.backend.reports import ListQuery, StoredWork
from roost_core.backend.survey import (
    MOST_ENGINES,
    MOST_GROUPS,
    MOST_RUNNING,
    MOST_WORKERS,
    EngineLine,
    ErrorGroup,
    Running,
    Survey,
    Timed,
)
from roost_core.models.work import State
from roost_core.query.fingerprints import fingerprint

#: How many of each state are looked at.
_PAGE: Final = 1000
_BY_TIME: Final = (State.SLEEPING, State.RETRY_WAIT)


async def survey_by_lists(ledger: Reading, halts: Sequence[Halt]) -> Survey:
    """Return what pages of lists tell of a queue.

    :param halts: the engines that are held.
    """

    async def page(state: State, limit: int) -> Sequence[StoredWork]:
        return await ledger.list(ListQuery(state, limit=limit))

    counts, workers = await asyncio.gather(ledger.counts(), ledger.workers())
    ready, blocked, running, dead, *next_ones = await asyncio.gather(
        page(State.QUEUED, _PAGE),
        page(State.BLOCKED, _PAGE),
        page(State.RUNNING, _PAGE),
        page(State.FAILED, _PAGE),
        *(page(state, 1) for state in _BY_TIME),
    )
    lines = _lines(ready, blocked, workers)
    errors = error_groups(dead)
    oldest = sorted(running, key=lambda work: (work.leased_ms or 0, work.work_id))
    return Survey(
        counts=counts,
        halts=tuple(halts),
        lines=tuple(lines[:MOST_ENGINES]),
        other_ready=max(0, counts[State.QUEUED] - sum(one.ready for one in lines[:MOST_ENGINES])),
        later={
            state: Timed(counts[state], next_ms=found[0].due_ms if found else None)
            for state, found in zip(_BY_TIME, next_ones, strict=True)
        },
        workers=tuple(workers[:MOST_WORKERS]),
        worker_count=len(workers),
        running=tuple(map(Running, oldest[:MOST_RUNNING])),
        looked=len(running),
        leases=Counter(work.worker_id for work in running if work.worker_id is not None),
        errors=tuple(errors[:MOST_GROUPS]),
        error_count=len(errors),
        is_indexed=counts[State.FAILED] <= len(dead),
    )


def _lines(
    ready: Sequence[StoredWork],
    blocked: Iterable[StoredWork],
    workers: Sequence[tuple[bytes, int]],
) -> list[EngineLine]:
    firsts = {work.engine: work for work in reversed(ready)}
    waits = Counter(work.engine for work in blocked)
    many = Counter(work.engine for work in ready)
    return [
        EngineLine(
            engine=engine,
            ready=many[engine],
            blocked=waits[engine],
            offering=facts_from(_nothing(engine), workers, ()).offering,
            first=firsts.get(engine),
        )
        for engine in sorted({*many, *waits})
    ]


def _nothing(engine: str) -> StoredWork:
    return StoredWork("", engine, State.QUEUED)


def error_groups(dead: Iterable[StoredWork]) -> list[ErrorGroup]:
    """Group dead letters by what their errors have in common.

    :param dead: the newest first.
    """
    found: dict[str, list[StoredWork]] = {}
    for work in dead:
        found.setdefault(fingerprint(work.error or b""), []).append(work)
    return [
        ErrorGroup(
            fingerprint=name,
            count=len(works),
            engines=tuple(sorted({work.engine for work in works})),
            newest_ms=works[0].finished_ms or works[0].updated_ms,
            work_id=works[0].work_id,
            error=works[0].error,
        )
        for name, works in found.items()
    ]
