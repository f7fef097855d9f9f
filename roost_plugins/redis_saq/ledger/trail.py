"""A work item's own history, as events; ``lua/lib/trail.lua`` has the layout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from roost_core.backend import StoredWork
from roost_core.backend.trail import current_lease, lease_event, place_of
from roost_core.codec.strict_json import check_depth, parse
from roost_core.models import Event, Json, State
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
    # Behind the line of labels.
    if tail and b"\n" in tail[1:]:
        from roost_plugins.redis_saq.ledger.act_events import act_events

        # In front of leases, which have the ids of the events that ended them.
        told = sorted([*act_events(work, tail[1:]), *told], key=place_of)
    # Only a fork has an entry for it, because it begins with a version.
    if work.created_ms and not any(one.kind == "enqueued" for one in told[:1]):
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
        data = parse(text)
    except ValueError:
        return {**(_as_far_as_it_goes(text, 0) or {}), "cut": True}
    return data if isinstance(data, dict) else {"value": data}


def _as_far_as_it_goes(text: str, at: int) -> dict[str, Json] | None:
    """Return the complete pairs of the object at ``at``, and what can be read of the next."""
    found: dict[str, Json] = {}
    if text[at : at + 1] != "{":
        return None
    at += 1
    try:
        check_depth(text[at:])
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
    except ValueError:
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
        words = parse(f'{whole_words}"')
    except ValueError:
        return None
    return f"{words} …"
