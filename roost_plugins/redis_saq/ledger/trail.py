"""A work item's own history, as events; ``lua/lib/trail.lua`` has the layout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from roost_core.backend import StoredWork
from roost_core.backend.orders import burial
from roost_core.backend.trail import current_lease, lease_event, place_of
from roost_core.models import Event, Json, State, Verb
from roost_plugins.redis_saq.record.acts import StoredAct, acts_in, time_in
from roost_plugins.redis_saq.record.standing import stored_work

_DECODER: Final = json.JSONDecoder()


def events(
    row: Sequence[Any], entries: Sequence[bytes], tail: bytes | None = None
) -> Sequence[Event]:
    """Return a work item's trail, oldest first; damaged entries are left out.

    Its beginning and the current lease come from the record itself. What people did has its own
    ring, in the record's tail.
    """
    work = stored_work(row)
    told = [found for raw in entries if (found := _event(work, raw)) is not None]
    acts = [event for act in acts_in(tail and tail[1:]) for event in _act_events(work, act)]
    if acts:
        # In front of leases, which have the ids of the events that ended them.
        told = sorted([*acts, *told], key=place_of)
    if work.created_ms:
        told.insert(0, _enqueued(work))
    current = current_lease(work)
    return told if current is None else [*told, current]


def _enqueued(work: StoredWork) -> Event:
    return Event(
        event_id=f"{work.created_ms}-0",
        at=datetime.fromtimestamp(work.created_ms / 1000, UTC),
        kind="enqueued",
        work_id=work.work_id,
        engine=work.engine,
        version=0,
        state=State.QUEUED,
    )


#: The kinds of the events of each verb: when it is requested of a running step, and done.
_KINDS: Final = {
    Verb.CANCEL: ("cancel_requested", "cancelled", State.CANCELLED),
    Verb.PAUSE: ("pause_requested", "paused", State.PAUSED),
    Verb.BURY: ("bury_requested", "dead_lettered", State.FAILED),
    Verb.RESUME: ("", "resumed", None),
    Verb.RETRY: ("", "retried", None),
}


def _act_events(work: StoredWork, act: StoredAct) -> Sequence[Event]:
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


def _event(work: StoredWork, raw: bytes) -> Event | None:
    try:
        event_id, kind, version, state, data = raw.decode(errors="ignore").split(" ", 4)
        at_ms = int(event_id.partition("-")[0])
        if kind != "leased":
            return Event(
                event_id=event_id,
                at=datetime.fromtimestamp(at_ms / 1000, UTC),
                kind=kind,
                work_id=work.work_id,
                engine=work.engine,
                version=int(version),
                state=State(state),
                data=readable(data),
            )
        worker_id, lasted, first_version, ended = data.split(" ")
        return lease_event(
            event_id,
            work.work_id,
            work.engine,
            int(version),
            State(state),
            worker_id=worker_id,
            from_ms=None if lasted == "-" else at_ms - int(lasted),
            to_ms=at_ms,
            first_version=int(first_version),
            ended=ended,
        )
    except (ValueError, OverflowError, OSError):
        return None


def readable(text: str) -> Mapping[str, Json]:
    """Read a JSON object that may have been cut off, as far as it goes.

    Half a word is left out, because half a password cannot be recognized and hidden; an object that
    was cut off has ``cut`` set to true.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {**(_as_far_as_it_goes(text, 0) or {}), "cut": True}
    return data if isinstance(data, dict) else {"value": data}


def _as_far_as_it_goes(text: str, at: int) -> dict[str, Json] | None:
    """Return the complete pairs of the object at ``at``, and what can be read of the next."""
    found: dict[str, Json] = {}
    if text[at : at + 1] != "{":
        return None
    at += 1
    try:
        while at < len(text):
            key, at = _DECODER.raw_decode(text, at)
            if not isinstance(key, str) or text[at : at + 1] != ":":
                return found
            value_at = at + 1
            try:
                value, at = _DECODER.raw_decode(text, value_at)
            except ValueError:
                part = _part(text, value_at)
                return found if part is None else {**found, key: part}
            if text[at : at + 1] != ",":
                # A number at the very end may be cut off.
                return found if at >= len(text) else {**found, key: value}
            found[key] = value
            at += 1
    except (ValueError, RecursionError):
        pass
    return found


def _part(text: str, at: int) -> Json:
    """Return the readable beginning of a value that was cut off, or None."""
    if text[at : at + 1] == "{":
        return _as_far_as_it_goes(text, at)
    if text[at : at + 1] != '"' or " " not in text[at:]:
        return None
    whole_words = text[at:].rpartition(" ")[0]
    try:
        words = json.loads(f'{whole_words}"')
    except ValueError:
        return None
    return f"{words} …"
