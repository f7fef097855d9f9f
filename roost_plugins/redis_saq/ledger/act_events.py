"""What people did to a work item, as events of its trail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roost_core.backend import StoredWork
from roost_core.backend.orders import burial
from roost_core.models import Event, Json, State, Verb
from roost_plugins.redis_saq.record.acts import StoredAct, acts_in, time_in

#: The kinds of the events of each verb: when it is requested of a running step, and done.
_KINDS: Final = {
    Verb.CANCEL: ("cancel_requested", "cancelled", State.CANCELLED),
    Verb.PAUSE: ("pause_requested", "paused", State.PAUSED),
    Verb.BURY: ("bury_requested", "dead_lettered", State.FAILED),
    Verb.RESUME: ("", "resumed", None),
    Verb.RETRY: ("", "retried", None),
}


def act_events(work: StoredWork, tail: bytes) -> Sequence[Event]:
    """Return what the stream had of the acts in a record's tail, newest act first."""
    return [event for act in acts_in(tail) for event in _events_of(work, act)]


def _events_of(work: StoredWork, act: StoredAct) -> Sequence[Event]:
    """Return what the stream had of an act: that it was requested, and that it was done."""
    requested, done, state = _KINDS[act.verb]
    found = []
    if act.event_id != act.confirmed_id:
        found.append(_act_event(work, act, act.event_id, requested, act.state, act.version))
    if act.confirmed_id is not None:
        version = act.confirmed_version
        found.append(_act_event(work, act, act.confirmed_id, done, state or act.state, version))
    return found


def _act_event(
    work: StoredWork, act: StoredAct, event_id: str, kind: str, state: State, version: int
) -> Event:
    is_requested = kind.endswith("_requested")
    data: dict[str, Json] = {
        "from": State.RUNNING.value if is_requested else act.was.value,
        "who": act.actor.who,
        "tool": act.actor.tool,
    }
    if act.actor.reason is not None:
        data["reason"] = act.actor.reason
    if kind == "dead_lettered":
        data = {"error": {"kind": "buried", "message": burial(act.actor)}, **data}
    return Event(
        event_id=event_id,
        at=time_in(event_id),
        kind=kind,
        work_id=work.work_id,
        engine=work.engine,
        version=version,
        state=state,
        data=data,
    )
