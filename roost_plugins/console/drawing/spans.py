"""A work item's life as spans of time: leases, steps, waits, and what people did. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import attrs

from roost_core.models import Event, State

#: Events that a lease ends with when its worker has died or has gone silent.
_DEATHS: Final = frozenset({"recovered"})
#: How an error says that a worker died once too often.
_RECOVERIES: Final = "recoveries"
#: Errors that are not a step's own.
_NO_STEP: Final = frozenset({"steps", "deadline", "buried"})
#: What becomes of a step by the event that ends its lease, where it was not accepted.
_FATES: Final = {"attempt_failed": "failed", "recovered": "lost", "interrupted": "given back"}


@attrs.frozen
class Lease:
    """One lease.

    :ivar end: None while it is current.
    :ivar ended: the kind of the event that ended it.
    :ivar is_death: whether that was because its worker was silent for too long.
    :ivar first: the version that it began at, and ``last`` the one that it ended at.
    """

    worker: str
    start: datetime
    end: datetime | None
    first: int
    last: int
    ended: str | None = None
    is_death: bool = False


@attrs.frozen
class Step:
    """One step, or several of which nothing more is known than that they were accepted.

    :ivar version: which version it made, or tried to make; of several, the last.
    :ivar count: how many they are.
    :ivar fate: what became of it: empty if it was accepted or still runs, else ``failed``, ``lost``
        (with its worker) or ``given back``.
    :ivar label: the step's name, or why it failed or was given back.
    :ivar is_rough: when it began and ended is not known, only under which lease.
    """

    start: datetime
    end: datetime | None
    version: int
    count: int = 1
    label: str = ""
    fate: str = ""
    is_rough: bool = False


@attrs.frozen
class Wait:
    """A time in which it did not run.

    :ivar state: what it was meanwhile, also ended if it was put back later; None if what happened
        then is not kept any more.
    """

    start: datetime
    end: datetime | None
    state: State | None


@attrs.frozen
class Life:
    """All of it.

    :ivar begin: when it was enqueued, or the first thing that is known of it.
    :ivar end: when it ended, or now.
    :ivar acts: what people did.
    :ivar said: what its engine has emitted.
    :ivar last: the event that ended it, if it has ended.
    :ivar missing: up to which version nothing is known any more but that it was reached; or 0.
    """

    begin: datetime
    end: datetime
    leases: Sequence[Lease]
    steps: Sequence[Step]
    waits: Sequence[Wait]
    acts: Sequence[Event]
    said: Sequence[Event]
    last: Event | None
    missing: int = 0


def life_of(story: Sequence[Event], now: datetime) -> Life:
    """Return the spans of a work item's life.

    :param story: its events, oldest first, as a client's ``inspect`` returns them.
    :param now: the server's clock.
    """
    story = _own(story)
    leases = _leases(story)
    ending = story[-1] if story and story[-1].state.is_terminal else None
    begin = min([one.at for one in story] + [one.start for one in leases], default=now)
    end = max([now if ending is None else ending.at, *(one.at for one in story)])
    steps = _steps(story, leases, end)
    accepted = [one.version - one.count for one in steps if one.end and not one.fate]
    missing = min([*accepted, *(one.first for one in leases)], default=_version(story))
    if missing <= _begun_at(story):
        missing = 0
    return Life(
        begin=begin,
        end=end,
        leases=leases,
        steps=steps,
        waits=_waits(_points(story, leases), begin, end, is_whole=missing == 0),
        acts=[one for one in story if "who" in one.data],
        said=[one for one in story if one.kind == "emitted"],
        last=ending,
        missing=missing,
    )


def _own(story: Sequence[Event]) -> Sequence[Event]:
    """Return what belongs to its life: it does not last longer because it is forked afterwards."""
    own = len(story)
    while own and story[own - 1].kind == "forked":
        own -= 1
    return story[:own] if own and story[own - 1].state.is_terminal else story


def _version(story: Sequence[Event]) -> int:
    return story[-1].version if story else 0


def _begun_at(story: Sequence[Event]) -> int:
    """Return the version that it began with: a fork's others are its origin's."""
    return story[0].version if story and story[0].kind == "enqueued" else 0


def _leases(story: Sequence[Event]) -> list[Lease]:
    found: list[Lease] = []
    running: Event | None = None
    deaths = {event.event_id for event in story if _is_death(event)}
    for event in story:
        if event.kind == "leased":
            found.append(_told(event, deaths))
        elif event.kind == "claimed":
            running = event
        elif running is not None and event.state is not State.RUNNING:
            worker = str(running.data.get("worker_id") or "?")
            found.append(
                Lease(
                    worker,
                    running.at,
                    event.at,
                    running.version,
                    event.version,
                    event.kind,
                    _is_death(event),
                )
            )
            running = None
    if running is not None:
        worker = str(running.data.get("worker_id") or "?")
        found.append(Lease(worker, running.at, None, running.version, story[-1].version))
    return sorted(found, key=lambda one: one.start)


def _told(event: Event, deaths: set[str]) -> Lease:
    """Return a lease that is told as one event: it has the id of the one that ended it."""
    data = event.data
    begin, end, ended = (data.get(name) for name in ("from", "to", "ended"))
    first = data.get("first_version")
    return Lease(
        worker=str(data.get("worker_id") or "?"),
        start=datetime.fromisoformat(begin) if isinstance(begin, str) else event.at,
        end=datetime.fromisoformat(end) if isinstance(end, str) else None,
        first=first if isinstance(first, int) else event.version,
        last=event.version,
        ended=None if ended is None else str(ended),
        is_death=ended in _DEATHS or (ended == "dead_lettered" and event.event_id in deaths),
    )


def _is_death(event: Event) -> bool:
    error = event.data.get("error")
    died = isinstance(error, dict) and error.get("kind") == _RECOVERIES
    return event.kind in _DEATHS or (event.kind == "dead_lettered" and died)


def _points(story: Sequence[Event], leases: Sequence[Lease]) -> Iterator[tuple[datetime, State]]:
    """Yield when it came into which state."""
    for event in story:
        if event.kind == "leased":
            if event.data.get("to") is not None:
                yield event.at, event.state
        elif event.kind != "claimed":
            yield event.at, event.state
    for lease in leases:
        yield lease.start, State.RUNNING


def _waits(
    points: Iterable[tuple[datetime, State]], begin: datetime, end: datetime, *, is_whole: bool
) -> list[Wait]:
    """Return when it did not run.

    :param is_whole: whether all that has happened is known; if not, nothing is said of the time
        before the first lease that is.
    """
    states = sorted(points, key=lambda point: point[0])
    found: list[Wait] = []
    if not is_whole:
        known = next((at for at, state in states if state is State.RUNNING), end)
        states = [(at, state) for at, state in states if at >= known]
        found.append(Wait(begin, known, None))
    ends = [at for at, _ in states[1:]] + [end]
    for (at, state), until in zip(states, ends, strict=False):
        # What has ended may be put back later; until then it waits for people.
        is_over = state.is_terminal and at == states[-1][0]
        if state is State.RUNNING or is_over or until <= at:
            continue
        last = found[-1] if found else None
        if last is not None and (last.state, last.end) == (state, at):
            found[-1] = attrs.evolve(last, end=until)
        else:
            found.append(Wait(at, until, state))
    return found


def _steps(story: Sequence[Event], leases: Sequence[Lease], now: datetime) -> list[Step]:
    found: list[Step] = []
    known: list[int] = []
    starts = [one.start for one in leases]
    began: datetime | None = None
    for event in story:
        if event.kind == "claimed":
            began = event.at
        fate = _fate(event)
        if event.kind != "committed" and not fate:
            continue
        # What ends a lease may come in the millisecond in which the next one begins.
        place = bisect_left(starts, event.at)
        lease = leases[place - 1] if place else None
        start = event.at if lease is None else lease.start
        if began is not None and began > start:
            start = began
        elif lease is not None and event.version - (not fate) > lease.first:
            start = event.at  # Nobody knows when the step before it ended.
        found.append(Step(start, event.at, event.version + bool(fate), 1, _label(event), fate))
        if not fate:
            known.append(event.version)
        began = event.at
    found += _unknown(leases, known, [one.start for one in found], now)
    if leases and leases[-1].end is None:
        start = max([leases[-1].start] + [one.end for one in found if one.end is not None])
        found.append(Step(start, None, leases[-1].last + 1))
    return sorted(found, key=lambda one: (one.start, one.version))


def _fate(event: Event) -> str:
    """Return what became of a step by an event, unless it was accepted."""
    if event.kind in _FATES:
        return _FATES[event.kind]
    error = event.data.get("error")
    if event.kind != "dead_lettered" or not isinstance(error, dict):
        return ""
    if error.get("kind") == _RECOVERIES:
        return _FATES["recovered"]
    return "" if error.get("kind") in _NO_STEP else _FATES["attempt_failed"]


def _unknown(
    leases: Sequence[Lease], known: Sequence[int], starts: Sequence[datetime], now: datetime
) -> Iterator[Step]:
    """Yield what only the leases tell of: steps that were accepted, without their times.

    :param known: versions whose steps are told one by one, in order; ``starts`` is when these and
        failed ones began, in order.
    """
    for lease in leases:
        place = bisect_right(known, lease.first)
        last = known[place] - 1 if place < len(known) else lease.last
        count = min(last, lease.last) - lease.first
        if count <= 0:
            continue
        end = lease.end or now
        place = bisect_right(starts, lease.start)
        until = min(end, starts[place]) if place < len(starts) else end
        yield Step(lease.start, until, lease.first + count, count, is_rough=True)


def _label(event: Event) -> str:
    if event.kind == "committed":
        return str(event.data.get("step") or "")
    if event.kind == "interrupted":
        return str(event.data.get("reason") or "")
    error = event.data.get("error")
    if not isinstance(error, dict):
        return ""
    name = error.get("error_type") or error.get("kind") or "error"
    return f"{name}: {error.get('message') or ''}".rstrip(": ")
