"""What happened, as sentences for people. Pure; secrets are hidden, control characters are not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from roost_core.models.events import Event
from roost_core.models.work import State
from roost_core.shown.plain import to_plain
from roost_core.shown.redaction import redacted
from roost_core.shown.spans import span
from roost_core.shown.tracebacks import told
from roost_core.values import Json

_Data = Mapping[str, Json]

#: What people do, in the words of its event.
_BY_PEOPLE: Final[Mapping[str, str]] = {
    "cancel_requested": "asked to cancel",
    "cancelled": "cancelled",
    "pause_requested": "asked to pause after this step",
    "paused": "paused",
    "resumed": "resumed",
    "bury_requested": "asked to bury",
    "retried": "retried",
    "dropped": "dropped for good",
}
#: What people do to an engine.
_TO_ENGINES: Final[Mapping[str, str]] = {"engine_held": "held", "engine_released": "released"}
#: What follows an accepted step, if it is not the next one.
_THEN: Final[Mapping[State, str]] = {
    State.DONE: "; done",
    State.SLEEPING: "; sleeps",
    State.PAUSED: "; pauses",
}


def sentence(event: Event) -> str:
    """Return what an event says, without its time, work item and version."""
    data: _Data = redacted(to_plain(event.data))
    if "who" in data and (event.kind in _BY_PEOPLE or event.kind == "dead_lettered"):
        return _by_people(_BY_PEOPLE.get(event.kind, "buried"), data)
    if event.kind in _TO_ENGINES:
        return f"engine {event.engine} {_by_people(_TO_ENGINES[event.kind], data)}"
    say = _SENTENCES.get(event.kind)
    if say is not None:
        return say(event, data)
    return f"{event.kind.replace('_', ' ')} {pairs(data)}".rstrip()


def pairs(data: _Data) -> str:
    """Return an event's data as ``key=value`` in order.

    An error is shown as type and message; JSON has the traceback.
    """
    return " ".join(f"{key}={_value(value)}" for key, value in data.items())


def _value(value: Json) -> str:
    if isinstance(value, dict) and {"kind", "message"} <= value.keys():
        value = f"{value.get('error_type') or value['kind']}: {value['message']}"
    if isinstance(value, str) and value and " " not in value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _by_people(words: str, data: _Data) -> str:
    """Return who did what, from which state, and why."""
    before = data.get("from")
    was = f", was {before}" if isinstance(before, str) and before else ""
    reason = data.get("reason")
    why = f": {reason}" if reason else ""
    return f"{words} by {data.get('who', '?')} ({data.get('tool', '?')}){was}{why}"


def _enqueued(event: Event, data: _Data) -> str:
    said = f"enqueued for {event.engine}, {event.state}"
    if "forked_from" not in data:
        return said
    origin = f"forked from {data['forked_from']} v{data.get('from_version', '?')}"
    return f"{said}: {_by_people(origin, data)}"


def _forked(_event: Event, data: _Data) -> str:
    fork = f"{data.get('work_id', '?')} forked from v{data.get('from_version', '?')}"
    return _by_people(fork, data)


def _rewound(_event: Event, data: _Data) -> str:
    return _by_people(f"put back to v{data.get('to_version', '?')}", data)


def _claimed(_event: Event, data: _Data) -> str:
    return f"leased to {data.get('worker_id', '?')}"


def _blocked(_event: Event, data: _Data) -> str:
    return f"waits for the resource {data.get('resource', '?')}"


def _unblocked(_event: Event, _data: _Data) -> str:
    return "its resources are free"


def _committed(event: Event, data: _Data) -> str:
    return f'"{data.get("step", "?")}" accepted{_THEN.get(event.state, "")}'


def _attempt_failed(event: Event, data: _Data) -> str:
    attempt, most, delay = (data.get(key) for key in ("attempt", "max_attempts", "delay_ms"))
    which = f"attempt {attempt} of {most}" if attempt and most else "attempt"
    again = ""
    if isinstance(delay, int) and event.state is State.RETRY_WAIT:
        again = f", again in {span(delay / 1000)}"
    return f"{which} failed: {_error(data)}{again}"


def _interrupted(_event: Event, data: _Data) -> str:
    return f"given back: {data.get('reason') or 'no reason'}"


def _recovered(_event: Event, data: _Data) -> str:
    return f"taken back: the lease of {data.get('worker_id', '?')} ran out"


def _dead_lettered(_event: Event, data: _Data) -> str:
    return f"dead letter: {_error(data)}"


def _purged(_event: Event, _data: _Data) -> str:
    return "removed: its retention was over"


def _emitted(_event: Event, data: _Data) -> str:
    return f"says {pairs(data)}"


def _leased(event: Event, data: _Data) -> str:
    first, ended = data.get("first_version"), data.get("ended")
    versions = f"v{first} to v{event.version}" if first != event.version else f"v{event.version}"
    until = "until now" if ended is None else f"until {str(ended).replace('_', ' ')}"
    return f"leased to {data.get('worker_id') or '?'}, {versions}, {until}"


def _unreadable(_event: Event, _data: _Data) -> str:
    return "this event is damaged and cannot be read"


def _error(data: _Data) -> str:
    error = data.get("error")
    if not isinstance(error, dict):
        return "unknown error"
    name = error.get("error_type") or error.get("kind") or "error"
    traceback = error.get("traceback")
    place = traceback if isinstance(traceback, str) else None
    return told(str(name), str(error.get("message") or ""), place)


_SENTENCES: Final[Mapping[str, Callable[[Event, _Data], str]]] = {
    "enqueued": _enqueued,
    "claimed": _claimed,
    "blocked": _blocked,
    "unblocked": _unblocked,
    "committed": _committed,
    "attempt_failed": _attempt_failed,
    "interrupted": _interrupted,
    "recovered": _recovered,
    "dead_lettered": _dead_lettered,
    "forked": _forked,
    "rewound": _rewound,
    "purged": _purged,
    "emitted": _emitted,
    "leased": _leased,
    "unreadable": _unreadable,
}
