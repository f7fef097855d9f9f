"""A work item's own history, and how it completes the queue's events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from roost_core.backend.reports import StoredWork
from roost_core.codec.times import from_milliseconds
from roost_core.models.events import Event
from roost_core.models.work import State


def lease_event(
    event_id: str,
    work_id: str,
    engine: str,
    version: int,
    state: State,
    *,
    worker_id: str | None,
    from_ms: int | None,
    to_ms: int | None,
    first_version: int,
    ended: str | None,
) -> Event:
    """Return a lease as one event.

    :param event_id: the id of the last event under it.
    :param from_ms: when it began, in milliseconds by the server's clock, if that is known.
    :param to_ms: when it ended; None while it is current, and then ``from_ms`` is known.
    :param ended: the kind of the event that ended it; None while it is current.
    """
    at_ms = from_ms if to_ms is None else to_ms
    assert at_ms is not None
    return Event(
        event_id=event_id,
        at=from_milliseconds(at_ms),
        kind="leased",
        work_id=work_id,
        engine=engine,
        version=version,
        state=state,
        data={
            "worker_id": worker_id,
            "from": _text(from_ms),
            "to": _text(to_ms),
            "first_version": first_version,
            "last_version": version,
            "ended": ended,
        },
    )


def current_lease(work: StoredWork) -> Event | None:
    """Return the current lease as an event, or None if there is none."""
    if work.state is not State.RUNNING or work.leased_ms is None:
        return None
    return lease_event(
        f"{work.leased_ms}-0",
        work.work_id,
        work.engine,
        work.version,
        work.state,
        worker_id=work.worker_id,
        from_ms=work.leased_ms,
        to_ms=None,
        first_version=work.leased_version,
        ended=None,
    )


def _text(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return from_milliseconds(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def completed(events: Sequence[Event], trail: Sequence[Event]) -> Sequence[Event]:
    """Complete the events that the stream still has of a work item with its own history.

    A lease has no entry of its own in the result if all of its events are there.
    """
    if not events:
        return trail
    oldest = place_of(events[0])
    begin = events[0].at
    missing = [one for one in trail if place_of(one) < oldest or _began(one) < begin]
    told = {(one.event_id, one.kind) for one in events}
    missing = [one for one in missing if (one.event_id, one.kind) not in told]
    return sorted([*missing, *events], key=place_of)


#: What may stand behind the event that says why work sleeps: the lease that this has ended, and
#: what leaves it as it was: pauses meanwhile, after which it sleeps for the same reason, and forks.
_NO_REASON: Final = frozenset({"leased", "pause_requested", "paused", "resumed", "forked"})


def reason_of_sleep(trail: Sequence[Event], version: int) -> str | None:
    """Return why work that sleeps at this version was given back, or None if it was not.

    Work also sleeps for a delay, its own or its step's: that has no reason.
    """
    for event in reversed(trail):
        if event.kind in _NO_REASON:
            continue
        if (event.kind, event.version, event.state) != ("interrupted", version, State.SLEEPING):
            return None
        reason = event.data.get("reason")
        return reason if isinstance(reason, str) else None
    return None


def is_complete(events: Sequence[Event]) -> bool:
    """Whether the events of one work item, oldest first, go back to its beginning."""
    return bool(events) and events[0].kind == "enqueued"


def go_on_from(*known: Event) -> str | None:
    """Return the id of the last of these events, to follow the stream from, or None."""
    # A current lease is not in the stream: its id is only a time.
    ended = [one for one in known if one.kind != "leased" or one.data.get("to") is not None]
    return max(ended, key=place_of).event_id if ended else None


def _began(event: Event) -> datetime:
    began = event.data.get("from") if event.kind == "leased" else None
    return datetime.fromisoformat(began) if isinstance(began, str) else event.at


def place_of(event: Event) -> tuple[int, int]:
    """Return what sorts events: their ids, as numbers."""
    at, _, number = event.event_id.partition("-")
    return int(at), int(number or 0)
