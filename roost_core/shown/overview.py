"""A survey of a queue as people see it, by the same functions as ``roost why``. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs

from roost_core.backend.facts import Facts
from roost_core.backend.survey import ErrorGroup, ResourceHold, Running, Survey
from roost_core.codec.records import decode_model
from roost_core.codec.times import from_milliseconds
from roost_core.errors import CorruptRecord
from roost_core.models.control import HeldEngine
from roost_core.models.events import Event
from roost_core.models.overview import (
    FailureGroup,
    Minute,
    OddThing,
    Overview,
    ResourceNow,
    RunningNow,
    WorkerNow,
)
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.query.terms import Op, Query, Term, Test
from roost_core.shown import causes, views
from roost_core.shown.case import Case
from roost_core.shown.mending import brief
from roost_core.shown.odd import nothing_new_since, odd, silence, troubles
from roost_core.shown.waiting import Known, waiting

#: This many steps in a row make it worth reading whether a warning says that they change nothing.
MANY_STEPS: Final = 25
_NUMBERS: Final = re.compile(r"\d+")

_Trails = Mapping[str, Sequence[Event]]
#: A work item that was looked at, and what is odd about it.
_Looked = tuple[Case, tuple[str, ...]]


def overview_of(
    survey: Survey,
    now: datetime,
    trails: _Trails | None = None,
    *,
    known: Known = lambda _engine: None,
) -> Overview:
    """Return what people want to know of a queue.

    :param now: the server's clock.
    :param trails: the histories of :func:`suspicious` work: they have warnings.
    :param known: as for :func:`~roost_core.shown.waiting.waiting`.
    """
    workers = list(_workers(survey))
    holders = {info.worker_id: (raw, seen_ms) for info, raw, seen_ms in workers}
    infos = [info for info, _, _ in workers]
    cases = [(one, tuple(odd(one))) for one in _cases(survey, now, holders, trails or {})]
    return Overview(
        now=now,
        counts=dict(survey.counts),
        held_engines=tuple(
            HeldEngine(one.engine, one.actor, from_milliseconds(one.since_ms))
            for one in survey.halts
        ),
        failures=tuple(map(_failure, survey.errors)),
        more_failures=max(0, survey.error_count - len(survey.errors)),
        is_indexed=survey.is_indexed,
        odd=(*_odd_workers(infos, now), *_odd_work(cases)),
        looked=len(survey.running),
        waiting=tuple(waiting(survey, now, infos, known)),
        hour=tuple(
            Minute(from_milliseconds(one.at_ms), one.steps, one.failed, one.dead)
            for one in survey.minutes
        ),
        workers=tuple(_workers_now(infos, cases, survey.leases, now)),
        more_workers=max(0, survey.worker_count - len(infos)),
        resources=tuple(map(_resource, survey.holds)),
        more_resources=max(0, survey.hold_count - len(survey.holds)),
    )


def suspicious(survey: Survey, most: int) -> list[str]:
    """Return the ids of running work whose steps may change nothing, at most this many."""
    many = [one.work for one in survey.running if one.work.steps_in_row >= MANY_STEPS]
    many.sort(key=lambda work: -work.steps_in_row)
    return [work.work_id for work in many[:most]]


# -- what needs a person -----------------------------------------------------------------------


def _failure(group: ErrorGroup) -> FailureGroup:
    error = _error(group.error)
    query = Query(
        (
            Term("state", (Test(Op.IS, State.FAILED.value),)),
            Term("error", (Test(Op.ALIKE, group.fingerprint),)),
        )
    )
    kind = error.error_type or error.kind
    return FailureGroup(
        fingerprint=group.fingerprint,
        count=group.count,
        text=brief(f"{kind}{': ' if error.message else ''}{error.message}"),
        engines=group.engines,
        newest_at=from_milliseconds(group.newest_ms),
        example=group.work_id,
        query=str(query),
        command=f"roost retry {shlex.quote(str(query))}",
        error=error,
    )


def _error(raw: bytes | None) -> ErrorRecord:
    if raw is None:
        return ErrorRecord(kind="exception", message="no error was stored")
    try:
        return attrs.evolve(decode_model(ErrorRecord, raw), traceback=None)
    except CorruptRecord as error:
        return ErrorRecord(kind="corrupt", message=str(error))


# -- what is odd -------------------------------------------------------------------------------


def _cases(
    survey: Survey, now: datetime, holders: Mapping[str, tuple[bytes, int]], trails: _Trails
) -> Iterator[Case]:
    """Yield what is looked at: what runs, and the first in each line."""
    halts = {one.engine: one for one in survey.halts}
    for one in survey.running:
        facts = Facts(
            work=one.work,
            holder=_holder(one, holders, survey),
            halt=halts.get(one.work.engine),
            usual=one.usual,
        )
        yield Case(facts, trails.get(one.work.work_id, ()), now)
    for line in survey.lines:
        if line.first is not None:
            halt = halts.get(line.engine)
            facts = Facts(line.first, ahead=0, offering=line.offering, halt=halt)
            yield Case(facts, (), now)


def _holder(
    one: Running, holders: Mapping[str, tuple[bytes, int]], survey: Survey
) -> tuple[bytes, int] | None:
    known = holders.get(one.work.worker_id or "")
    if known is None and len(holders) < survey.worker_count:
        return None  # It may be one of those that were left out.
    return known or (b"", 0)


def _odd_work(cases: Sequence[_Looked]) -> Iterator[OddThing]:
    for case, texts in cases:
        if texts:
            title = views.title(case.facts.work)
            command = f"roost why {case.id}"
            yield OddThing(
                texts,
                command,
                work_id=case.id,
                engine=case.engine,
                title=title,
                since_version=nothing_new_since(case),
                version=case.meta.version,
            )


def _odd_workers(workers: Sequence[WorkerInfo], now: datetime) -> Iterator[OddThing]:
    for one in workers:
        texts = list(troubles(one, now))
        if one.stuck is not None:
            texts[0] += f", at {brief(one.stuck.where)}"
        if one.lost:
            texts.append(f"has lost {one.lost} steps: they were ended and still run")
        if texts:
            ends = causes.kill(one.pid, one.host)
            yield OddThing(tuple(texts), ends, worker_id=one.worker_id)


# -- workers and resources ---------------------------------------------------------------------


def _workers(survey: Survey) -> Iterator[tuple[WorkerInfo, bytes, int]]:
    for raw, seen_ms in survey.workers:
        try:
            yield views.worker(raw, seen_ms), raw, seen_ms
        except CorruptRecord:
            continue


def _workers_now(
    workers: Sequence[WorkerInfo],
    cases: Sequence[_Looked],
    leases: Mapping[str, int],
    now: datetime,
) -> Iterator[WorkerNow]:
    own: dict[str, list[RunningNow]] = {}
    for case, texts in cases:
        if case.facts.work.state is State.RUNNING and case.facts.work.worker_id is not None:
            own.setdefault(case.facts.work.worker_id, []).append(_running(case, texts))
    newest = max((_version(one.roost_version) for one in workers), default=())
    for one in sorted(workers, key=lambda one: (one.host, one.started_at, one.worker_id)):
        running = own.get(one.worker_id, [])
        yield WorkerNow(
            info=one,
            lanes_used=max(leases.get(one.worker_id, 0), len(running)),
            running=tuple(running),
            silent_seconds=silence(one, now),
            is_behind=_version(one.roost_version) < newest,
        )


def _running(case: Case, texts: tuple[str, ...]) -> RunningNow:
    meta = case.meta
    return RunningNow(
        work_id=case.id,
        engine=case.engine,
        title=views.title(case.facts.work),
        step=meta.step,
        version=meta.version,
        worker_id=case.facts.work.worker_id,
        leased_at=meta.leased_at,
        lease_ends_at=None if meta.lease is None else meta.lease.expires_at,
        step_seconds=case.running_for(),
        heartbeat=meta.heartbeat,
        odd=texts,
    )


def _version(text: str) -> tuple[int, ...]:
    """Return a version as numbers that sort."""
    return tuple(map(int, _NUMBERS.findall(text.partition("+")[0])))


def _resource(one: ResourceHold) -> ResourceNow:
    return ResourceNow(
        resource=one.resource,
        work_id=one.work_id,
        engine=one.engine,
        worker_id=one.worker_id,
        frees_at=None if one.expires_ms is None else from_milliseconds(one.expires_ms),
        waiting=one.waiting,
        next_id=one.next_id,
    )
