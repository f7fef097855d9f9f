"""Why a work item does not run, and what would change that: facts in, sentences out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs

from roost_core.backend.facts import Facts
from roost_core.backend.trail import reason_of_sleep
from roost_core.models.control import Verb
from roost_core.models.events import Event
from roost_core.models.work import State
from roost_core.shown import causes, mending, verbs
from roost_core.shown.case import Case
from roost_core.shown.counts import counted
from roost_core.shown.mending import brief
from roost_core.shown.odd import odd
from roost_core.shown.spans import span
from roost_core.values import Value

#: A sentence, and the commands that would change what it says.
_Said = tuple[str, Sequence[str]]
#: The engine of a record that does not decode.
UNKNOWN_ENGINE: Final = "?"


@attrs.frozen(eq=False, repr=False)
class Why(Value):
    """Why a work item does not run, or how it runs, and what would change that.

    :ivar work_id: which one.
    :ivar state: its state.
    :ivar sentence: the answer, in one sentence or two.
    :ivar facts: what it rests on, and what else counts; short lines.
    :ivar commands: what to type to change it; ``PATH`` and the like are yours to fill in. Empty if
        there is nothing to mend.
    :ivar odd: what looks wrong, though no state tells; short lines.
    """

    work_id: str
    state: State
    sentence: str
    facts: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()


def explain(
    facts: Facts,
    now: datetime,
    trail: Sequence[Event] = (),
    *,
    known: Sequence[str] | None = None,
) -> Why:
    """Explain a work item.

    :param now: the server's clock.
    :param trail: the work item's own history: it has the reason of a ``RetryLater``, and warnings.
    :param known: the words that name its engine's plugin here, if that is known.
    """
    case = Case(facts, trail, now, known)
    sentence, commands = _said(case)
    return Why(
        work_id=case.id,
        state=case.meta.state,
        sentence=sentence,
        facts=tuple(_facts(case)),
        commands=tuple(commands),
        odd=tuple(odd(case)),
    )


def _said(case: Case) -> _Said:
    work = case.facts.work
    if work.newer_layout is not None:
        return _for_newer(case, work.newer_layout)
    if case.engine == UNKNOWN_ENGINE:
        broken = "Its stored record does not decode, so no worker can take it."
        return broken, [f"roost drop {case.id}", "roost doctor --repair --dry-run"]
    return _STATES[case.meta.state](case)


# -- what has not ended ----------------------------------------------------------------------


def _for_newer(case: Case, layout: int) -> _Said:
    return causes.newer(layout, "It waits"), ["roost doctor", f"roost why {case.id}"]


def _barred(case: Case, begin: str = "") -> _Said | None:
    """Say what bars all work of its engine, if something does."""
    facts = case.facts
    bar = mending.bar(case.engine, facts.halt, facts.offering, case.now, case.known)
    if bar is None:
        return None
    if facts.halt is not None:
        begin = begin or "No worker takes it: "
    said = f"{begin}{bar.words}."
    return said[0].upper() + said[1:], [bar.command]


def _more_workers(case: Case) -> str:
    return mending.worker_command(case.engine, case.known)


def _queued(case: Case) -> _Said:
    if case.facts.set_aside is not None:
        return _for_newer(case, case.facts.set_aside)
    barred = _barred(case)
    if barred is not None:
        return barred
    if case.is_late:
        assert case.meta.deadline_at is not None
        late = f"Its deadline passed {case.ago(case.meta.deadline_at)}: the next claim buries it."
        return late, [
            f"roost bury {case.id}",
            mending.retry_command(case.id, "deadline"),
        ]
    if case.facts.obstacle is not None:
        return _behind(case)
    if case.is_suspected:
        died = case.meta.suspicions + case.meta.recoveries
        alone = f"{counted(died, 'worker')} died or fell silent while they ran it"
        return f"{alone}: it {causes.ALONE}.", [f"{_more_workers(case)} --concurrency 1"]
    return _in_line(case)


def _in_line(case: Case) -> _Said:
    ahead, pace = case.facts.ahead, case.facts.pace
    if case.hung and len(case.hung) == case.facts.offering:
        ends = [causes.kill(one.pid, one.host) for one in case.hung[:3]]
        return causes.all_hang(case.engine), [*ends, _more_workers(case)]
    if ahead is None:
        return f"It is ready: a worker for engine {case.engine} takes it soon.", []
    if ahead == 0:
        return f"It is next in line of engine {case.engine}, and waits for a free lane.", []
    when = causes.at_present_rate(pace, ahead + 1, "its turn comes")
    return f"{ahead} ahead of it in line of engine {case.engine}; {when}.", [_more_workers(case)]


def _behind(case: Case) -> _Said:
    obstacle = case.facts.obstacle
    assert obstacle is not None
    return causes.behind(obstacle, case.now, "It waits"), [f"roost why {obstacle.work_id}"]


def _blocked(case: Case) -> _Said:
    barred = _barred(case)
    if barred is not None:
        return barred
    if case.facts.obstacle is None:
        return "What it waited for is free: it is made ready with the next renewal.", []
    return _behind(case)


def _sleeping(case: Case) -> _Said:
    reason = reason_of_sleep(case.trail, case.meta.version)
    asked = "its step asked for a delay" if case.meta.version else "it was enqueued with a delay"
    why = asked if reason is None else f"it was given back: {brief(reason)}"
    return _due(case, f"It sleeps, because {why}")


def _retry_wait(case: Case) -> _Said:
    meta = case.meta
    if case.error is None or not meta.attempts:
        doubt = "its worker fell silent, and may yet come back"
        return _due(case, f"It waits for certainty: {doubt}")
    attempt = f"attempt {meta.attempts + 1} of {meta.max_attempts}"
    return _due(case, f"It waits for {attempt}, after {case.error}")


def _due(case: Case, first: str) -> _Said:
    at = case.meta.due_at
    if at is None:
        return f"{first}.", []
    if at > case.now:
        return f"{first}; due {case.until(at)}.", []
    barred = _barred(case, f"It was due {case.ago(at)}, but ")
    return barred or (f"It was due {case.ago(at)}: the next claim makes it ready.", [])


def _waiting(_case: Case) -> _Said:
    return "It waits for something that this Roost does not know.", ["roost doctor"]


def _paused(case: Case) -> _Said:
    how = _by_whom(case, Verb.PAUSE) or "It is paused"
    kept = ""
    if case.meta.due_at is not None:
        kept = f" Resumed, it is due {case.until(case.meta.due_at)}."
        if case.is_due:
            kept = f" It was due {case.ago(case.meta.due_at)}."
    return f"{how}.{kept}", _next(case)


def _by_whom(case: Case, verb: Verb) -> str | None:
    act = case.meta.act
    if act is None or act.verb is not verb:
        return None
    at = act.confirmed_at or act.at
    return f"It was {brief(verbs.told(act))} ({case.ago(at)})"


# -- what runs -------------------------------------------------------------------------------


def _running(case: Case) -> _Said:
    meta, holder = case.meta, case.holder
    expires = None if meta.lease is None else meta.lease.expires_at
    if holder is not None and holder.stuck is not None:
        stuck = holder.stuck
        whose = "in its step" if stuck.work_id == case.id else f"in a step of {stuck.work_id}"
        since = span((case.now - stuck.since).total_seconds())
        hung = f"Its worker has hung for {since}, {whose}, at {brief(stuck.where)}."
        return hung, [causes.kill(holder.pid, holder.host)]
    if expires is not None and expires <= case.now:
        over = f"The lease of {case.facts.work.worker_id} ran out {case.ago(expires)}"
        barred = _barred(case, f"{over}, and ")
        return barred or (f"{over}: the next claim takes it back.", [])
    ends = "" if expires is None else f"the lease ends {case.until(expires)} unless it is renewed"
    if meta.wish is not None:
        return _wished(case, ends)
    if case.facts.holder is not None and holder is None:
        gone = f"Its worker {case.facts.work.worker_id} is not in the register"
        return f"{gone}; {ends}, and then it is taken back.", []
    seconds = case.running_for()
    since = "" if seconds is None else f"; the step has run for {span(seconds)}"
    after = "" if meta.step is None else f', after "{brief(meta.step)}"'
    return f"It runs on {case.facts.work.worker_id}: version {meta.version}{after}{since}.", []


def _wished(case: Case, ends: str) -> _Said:
    meta = case.meta
    assert meta.wish is not None
    who = ""
    if meta.act is not None and meta.act.verb is meta.wish:
        who = f" {brief(meta.act.actor.who)} asked {case.ago(meta.act.at)}."
    now = f"It is {verbs.standing(meta.state, meta.wish)}.{who}"
    if meta.wish is Verb.PAUSE:
        return now, [mending.resume_command(case.id)]
    lets_go = "Its step has been told to stop; it ends when that lets go"
    return f"{now} {lets_go}, or with its lease: {ends or 'when that ends'}.", []


# -- what has ended --------------------------------------------------------------------------


def _done(case: Case) -> _Said:
    at = case.meta.finished_at or case.meta.updated_at
    return f"It was done {case.ago(at)}, at version {case.meta.version}.", []


def _failed(case: Case) -> _Said:
    error = case.meta.error
    kind = "" if error is None else error.kind
    if error is not None and kind == "buried":
        how = f"It is a dead letter: {brief(error.message)}"
    else:
        how = f"It is a dead letter, because {case.error or 'of an error that was not stored'}"
    tried = ""
    if case.meta.attempts > 1:
        tried = f", after {case.meta.attempts} attempts"
    return f"{how}{tried} ({case.ago(case.meta.finished_at or case.meta.updated_at)}).", _next(case)


def _cancelled(case: Case) -> _Said:
    how = _by_whom(case, Verb.CANCEL) or "It was cancelled"
    return f"{how}.", _next(case)


def _next(case: Case) -> Sequence[str]:
    """Return what lets it continue, which only people can."""
    found = mending.next_command(case.meta)
    # A version that can be read has to be found first.
    first = [mending.history_command(case.id)] if mending.is_damaged(case.meta) else []
    return first if found is None else [*first, found[1]]


_STATES: Final[Mapping[State, Callable[[Case], _Said]]] = {
    State.QUEUED: _queued,
    State.SLEEPING: _sleeping,
    State.RUNNING: _running,
    State.RETRY_WAIT: _retry_wait,
    State.BLOCKED: _blocked,
    State.WAITING: _waiting,
    State.PAUSED: _paused,
    State.DONE: _done,
    State.FAILED: _failed,
    State.CANCELLED: _cancelled,
}


# -- facts -----------------------------------------------------------------------------------


def _facts(case: Case) -> Iterator[str]:
    meta = case.meta
    yield f"state {verbs.standing(meta.state, meta.wish)}, version {meta.version}"
    if case.engine == UNKNOWN_ENGINE or case.facts.work.newer_layout is not None:
        return
    if meta.state.is_terminal:
        return
    yield _workers(case)
    if case.facts.pace is not None:
        pace = case.facts.pace
        yield f"engine {case.engine}: {_short(pace.steps_a_minute)} steps a minute"
    if meta.attempts:
        yield f"{meta.attempts} of {meta.max_attempts} attempts of this step failed"
    if case.error is not None and meta.state is not State.RETRY_WAIT:
        yield f"newest error: {case.error}"
    if meta.suspicions or meta.recoveries:
        died = f"{meta.recoveries} died over it alone, {meta.suspicions} over it and others"
        yield f"workers: {died}"
    if meta.deadline_at is not None:
        yield f"deadline {case.until(meta.deadline_at)}"
    yield from _lease(case)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def _workers(case: Case) -> str:
    facts = case.facts
    count = f"{facts.offering}{'+' if facts.offering >= 100 else ''}"
    noun = f"live worker{'' if facts.offering == 1 else 's'}"
    lanes = sum(one.concurrency for one in case.live)
    stuck = len(case.hung)
    words = f"engine {case.engine}: {count} {noun}"
    if lanes and facts.offering == len(case.live):
        words += f" with {counted(lanes, 'lane')}"
    if stuck:
        words += f", {stuck} of them hung"
    return f"{words}; {facts.others} of other engines only" if facts.others else words


def _lease(case: Case) -> Iterator[str]:
    meta = case.meta
    if meta.state is not State.RUNNING:
        return
    if case.holder is not None:
        place = f"process {case.holder.pid} on {case.holder.host}"
        yield f"worker {case.holder.worker_id}, {place}"
    if meta.leased_at is not None:
        yield f"leased {case.ago(meta.leased_at)}, at version {meta.leased_version}"
    if case.facts.halt is not None:
        yield f"engine {case.engine} is held: this step is the last of its lease"
    beat = meta.heartbeat
    if beat is not None:
        done = "" if beat.progress is None else f"{beat.progress:.0%} "
        when = "" if beat.at is None else f" ({case.ago(beat.at)})"
        yield f"heartbeat: {done}{brief(beat.message)}{when}"
