"""A whole queue at one glance: the scripts ``survey``, ``crew``, ``letters`` and ``holds``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

from roost_core.backend import (
    EngineLine,
    ErrorGroup,
    MinuteTally,
    ResourceHold,
    Running,
    StepTally,
    Survey,
    Timed,
)
from roost_core.backend.survey import (
    MINUTES,
    MOST_ENGINES,
    MOST_GROUPS,
    MOST_RESOURCES,
    MOST_RUNNING,
    MOST_WORKERS,
)
from roost_core.models import State
from roost_plugins.redis_saq.keys import PLACES
from roost_plugins.redis_saq.ledger.control import halt_of
from roost_plugins.redis_saq.ledger.one_queue import Part
from roost_plugins.redis_saq.record import rates
from roost_plugins.redis_saq.record.answers import text, time_of
from roost_plugins.redis_saq.record.standing import stored_work

#: Of this many leases it is looked at since when they are there, and whose.
_LEASES: Final = 500
#: Of this many of the newest dead letters it is looked at which errors they have.
_LETTERS: Final = 200
#: This many resources are put in the order of their lines.
_RESOURCES: Final = 200
_MINUTE_MS: Final = 60_000


class RedisSurveying(Part):
    """Reads how one queue stands."""

    async def survey(self) -> Survey:
        """Return what is known of the queue, at most a few milliseconds apart."""
        # Each by itself is short, so that others get their turn in between.
        stands, crew, letters, holds = await asyncio.gather(
            self._call("survey", MOST_ENGINES),
            self._call("crew", MOST_WORKERS, MOST_RUNNING, _LEASES),
            self._call("letters", MOST_GROUPS, _LETTERS),
            self._call("holds", MOST_RESOURCES, _RESOURCES),
        )
        now, sizes, halts, lines, other_ready, later, newer, minutes = stands
        workers, worker_count, looked, leases, running = crew
        is_indexed, error_count, errors = letters
        hold_count, held = holds
        now_ms = int(now)
        return Survey(
            now_ms=now_ms,
            counts=dict(zip(PLACES, sizes, strict=True)),
            halts=tuple(
                sorted(
                    (halt_of(engine, raw) for engine, raw in _pairs(halts)),
                    key=lambda one: one.engine,
                )
            ),
            lines=tuple(_line(one, now_ms) for one in lines),
            other_ready=other_ready,
            later={
                state: _timed(one)
                for state, one in zip((State.SLEEPING, State.RETRY_WAIT), later, strict=True)
            },
            newer={int(layout): count for layout, count in _pairs(newer)},
            workers=tuple((info, time_of(float(seen))) for info, seen in workers),
            worker_count=worker_count,
            running=tuple(_running(row, usual) for row, usual in running),
            looked=looked,
            leases={text(worker): count for worker, count in _pairs(leases)},
            holds=tuple(map(_hold, held)),
            hold_count=hold_count,
            errors=tuple(map(_errors, errors)),
            error_count=error_count,
            is_indexed=bool(is_indexed),
            minutes=tuple(_minutes(minutes, now_ms)),
        )


def _pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _line(found: Sequence[Any], now_ms: int) -> EngineLine:
    engine, ready, suspected, blocked, offering, first, buckets = found
    return EngineLine(
        engine=text(engine),
        ready=ready,
        suspected=suspected,
        blocked=blocked,
        offering=offering,
        pace=rates.pace_in(buckets, now_ms),
        first=None if first is None else stored_work(first),
    )


def _timed(found: Sequence[Any]) -> Timed:
    count, overdue, first, following = found
    return Timed(
        count=count,
        overdue=overdue,
        oldest_ms=_time(first) if overdue else None,
        next_ms=_time(following),
    )


def _time(raw: bytes) -> int | None:
    return time_of(float(raw)) if raw else None


def _running(row: Sequence[Any], usual: bytes | None) -> Running:
    work = stored_work(row)
    if usual is None:
        return Running(work)
    count, total, longest = map(int, usual.split())
    return Running(work, StepTally(work.engine, work.step or "", count, total, longest))


def _hold(found: Sequence[Any]) -> ResourceHold:
    resource, holder, engine, worker, expires, waiting, first = found
    return ResourceHold(
        resource=text(resource),
        work_id=text(holder) or None,
        engine=text(engine) or None,
        worker_id=None if worker in (b"", b"-") else text(worker),
        expires_ms=_time(expires),
        waiting=waiting,
        next_id=text(first) or None,
    )


def _errors(found: Sequence[Any]) -> ErrorGroup:
    fingerprint, count, newest, work_id, error, *engines = found
    return ErrorGroup(
        fingerprint=text(fingerprint),
        count=count,
        engines=tuple(map(text, engines)),
        newest_ms=time_of(float(newest)),
        work_id=text(work_id),
        error=error,
    )


def _minutes(found: Sequence[bytes], now_ms: int) -> Iterator[MinuteTally]:
    """Yield the last minutes, the oldest first; what is missing has nothing in it."""
    newest = now_ms // _MINUTE_MS
    counts = [tuple(map(int, one.split())) for one in found]
    counts += [(0, 0, 0)] * (MINUTES - len(counts))
    for back in reversed(range(MINUTES)):
        yield MinuteTally((newest - back) * _MINUTE_MS, *counts[back])
