"""Why the work of a queue waits, grouped by cause, in the words of ``roost why``. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from roost_core.backend.facts import Obstacle
from roost_core.backend.orders import Halt
from roost_core.backend.survey import EngineLine, ResourceHold, Survey, Timed
from roost_core.codec.times import from_milliseconds
from roost_core.models.overview import WaitingGroup
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.query.terms import Op, Query, Term, Test
from roost_core.shown import causes, mending
from roost_core.shown.counts import counted
from roost_core.shown.spans import span

#: All causes, in the order in which they are told: first what a person has to change.
CAUSES: Final = (
    "no_worker",
    "held",
    "hung",
    "newer",
    "overdue",
    "unknown",
    "suspected",
    "resource",
    "line",
    "attempt",
    "due",
    "paused",
)
#: Work is overdue if its time came longer ago than this, with nobody to take it. Milliseconds.
_OVERDUE_MS: Final = 2_000
_THEY: Final = "They wait"
#: Returns the words that name an engine's plugin where this runs; None if they are not known.
Known = Callable[[str], Sequence[str] | None]


def waiting(
    survey: Survey, now: datetime, workers: Sequence[WorkerInfo], known: Known
) -> list[WaitingGroup]:
    """Return why work waits.

    :param now: the server's clock.
    :param workers: the live ones.
    :param known: returns the words that name an engine's plugin here, None if they are not known.
    """
    halts = {one.engine: one for one in survey.halts}
    found: list[WaitingGroup] = []
    for line in survey.lines:
        known_words = known(line.engine)
        found += _in_line(line, halts.get(line.engine), now, workers, known_words)
    if survey.other_ready:
        more = f"{survey.other_ready} more of other engines are ready."
        found.append(WaitingGroup("line", survey.other_ready, more, query="state:queued"))
    found += _for_newer(survey.newer)
    behind = [_behind(one, now) for one in survey.holds if one.waiting]
    found += behind or _blocked(survey.counts.get(State.BLOCKED, 0))
    for state, later in survey.later.items():
        found += _until(state, later, now, survey.worker_count)
    found += _at_rest(survey.counts)
    return sorted(found, key=lambda one: (CAUSES.index(one.cause), -one.count))


def _query(*states: State, engine: str | None = None) -> str:
    terms = [Term("state", tuple(Test(Op.IS, one.value) for one in states))]
    if engine is not None:
        terms.append(Term("engine", (Test(Op.IS, engine),)))
    return str(Query(tuple(terms)))


def _in_line(
    line: EngineLine,
    halt: Halt | None,
    now: datetime,
    workers: Iterable[WorkerInfo],
    known: Sequence[str] | None,
) -> Iterator[WaitingGroup]:
    engine, ready = line.engine, line.ready + line.suspected
    bar = mending.bar(engine, halt, line.offering, now, known)
    more = mending.worker_command(engine, known)
    if bar is not None:
        yield WaitingGroup(
            cause="no_worker" if halt is None else "held",
            count=ready + line.blocked,
            sentence=f"{bar.words[0].upper()}{bar.words[1:]}.",
            commands=(bar.command,),
            query=_query(State.QUEUED, State.BLOCKED, engine=engine),
            engine=engine,
        )
        return
    query = _query(State.QUEUED, engine=engine)
    hung = [one for one in workers if one.stuck is not None and engine in one.engines]
    if ready and len(hung) >= line.offering:
        ends = (causes.kill(one.pid, one.host) for one in hung[:3])
        commands = (*ends, more)
        yield WaitingGroup("hung", ready, causes.all_hang(engine), commands, query, engine)
        return
    if line.ready:
        when = causes.at_present_rate(line.pace, line.ready, "it is empty")
        wait_ms = None if line.pace is None else line.pace.wait_ms(line.ready)
        yield WaitingGroup(
            cause="line",
            count=line.ready,
            sentence=f"{line.ready} in line of engine {engine}; {when}.",
            commands=(more,),
            query=query,
            engine=engine,
            seconds=None if wait_ms is None else wait_ms / 1000,
        )
    if line.suspected:
        died = "Several workers died or fell silent while they ran them"
        sentence = f"{died}: each {causes.ALONE}."
        commands = (f"{more} --concurrency 1",)
        yield WaitingGroup("suspected", line.suspected, sentence, commands, query, engine)


def _for_newer(newer: Mapping[int, int]) -> Iterator[WaitingGroup]:
    for layout, count in newer.items():
        sentence = causes.newer(layout, "It waits" if count == 1 else _THEY)
        yield WaitingGroup("newer", count, sentence, ("roost doctor",))


def _behind(one: ResourceHold, now: datetime) -> WaitingGroup:
    subject = "It waits" if one.waiting == 1 else _THEY
    holder = one.work_id or one.next_id or "?"
    obstacle = Obstacle(
        resource=one.resource,
        is_held=one.work_id is not None,
        work_id=holder,
        engine=one.engine,
        worker_id=one.worker_id,
        expires_ms=one.expires_ms,
    )
    return WaitingGroup(
        cause="resource",
        count=one.waiting,
        sentence=causes.behind(obstacle, now, subject),
        commands=(f"roost why {holder}",),
        query=_query(State.BLOCKED),
        resource=one.resource,
    )


def _blocked(count: int) -> Iterator[WaitingGroup]:
    if count:
        sentence = f"{'It waits' if count == 1 else _THEY} for resources that others hold."
        yield WaitingGroup("resource", count, sentence, query=_query(State.BLOCKED))


def _until(state: State, later: Timed, now: datetime, worker_count: int) -> Iterator[WaitingGroup]:
    late_ms = 0.0
    if later.oldest_ms is not None:
        late_ms = now.timestamp() * 1000 - later.oldest_ms
    overdue = later.overdue if late_ms > _OVERDUE_MS else 0
    if overdue:
        since = f"{_was(overdue)} due {span(late_ms / 1000)} ago"
        sentence = f"{since}: the next claim makes {'it' if overdue == 1 else 'them'} ready."
        commands: tuple[str, ...] = ()
        if not worker_count:
            sentence = f"{since}, but there is no live worker."
            commands = ("roost worker",)
        yield WaitingGroup("overdue", overdue, sentence, commands, _query(state))
    count = later.count - overdue
    if count <= 0:
        return
    next_at = None if later.next_ms is None else from_milliseconds(later.next_ms)
    when = "now"
    if next_at is not None and next_at > now:
        when = f"in {span((next_at - now).total_seconds())}"
    what = "sleeps" if state is State.SLEEPING else "waits for another attempt"
    if count > 1:
        what = "sleep" if state is State.SLEEPING else "wait for another attempt"
    due = "due" if count == 1 else "the next is due"
    yield WaitingGroup(
        cause="due" if state is State.SLEEPING else "attempt",
        count=count,
        sentence=f"{count} {what}; {due} {when}.",
        query=_query(state),
        next_at=next_at,
    )


def _was(count: int) -> str:
    return "It was" if count == 1 else "The first of them was"


def _at_rest(counts: Mapping[State, int]) -> Iterator[WaitingGroup]:
    paused, unknown = counts.get(State.PAUSED, 0), counts.get(State.WAITING, 0)
    if paused:
        query = _query(State.PAUSED)
        sentence = f"{counted(paused, 'work item')} {'is' if paused == 1 else 'are'} paused."
        yield WaitingGroup("paused", paused, sentence, (f"roost resume {query}",), query)
    if unknown:
        for_what = "something that this Roost does not know."
        sentence = f"{'It waits' if unknown == 1 else _THEY} for {for_what}"
        yield WaitingGroup("unknown", unknown, sentence, ("roost doctor",), _query(State.WAITING))
