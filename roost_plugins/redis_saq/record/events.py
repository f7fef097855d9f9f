"""The entries of the event stream."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from roost_core.codec.strict_json import loads
from roost_core.codec.times import from_milliseconds
from roost_core.errors import CodecError
from roost_core.models import Event, State
from roost_plugins.redis_saq.record.answers import time_of
from roost_plugins.redis_saq.record.kinds import STATES, UNKNOWN

#: The kind of an entry of the event stream that cannot be read.
UNREADABLE: Final = "unreadable"
#: Kind, work id, engine, version and state of an event, and its data.
_EVENT: Final = re.compile(
    rb"([a-z][a-z_]{0,39}) ([!-~]{1,200}) ([!-~]{1,200}) ([0-9]{1,15}) ([a-z_]+) (.*)", re.DOTALL
)
#: How much is shown of what cannot be read, in bytes.
_SHOWN: Final = 200
#: The largest data of an event is an error's or an engine's. Bytes.
_MOST_EVENT_BYTES: Final = 1 << 20


def event(entry: tuple[bytes, Mapping[bytes, bytes]]) -> Event:
    """Read one entry of the event stream; one that is damaged has the kind ``unreadable``."""
    event_id, fields = entry
    raw = fields.get(b"event", b"")
    found = _EVENT.fullmatch(raw)
    state = STATES.get(found[5]) if found else None
    at_ms = time_of(int(event_id.split(b"-")[0]))
    if found is None or state is None:
        seen = raw or repr(dict(fields)).encode()
        return Event(
            event_id=event_id.decode(),
            at=from_milliseconds(at_ms),
            kind=UNREADABLE,
            work_id=UNKNOWN,
            engine=UNKNOWN,
            version=0,
            state=State.FAILED,
            data={"undecodable": seen[:_SHOWN].decode(errors="replace")},
        )
    kind, work_id, engine, version, _, data_raw = found.groups()
    try:
        data = loads(data_raw, "an event's data", _MOST_EVENT_BYTES, envelope=2)
    except CodecError:
        data = {"undecodable": data_raw[:_SHOWN].decode(errors="replace")}
    return Event(
        event_id=event_id.decode(),
        at=from_milliseconds(at_ms),
        kind=kind.decode(),
        work_id=work_id.decode(),
        engine=engine.decode(),
        version=int(version),
        state=state,
        data=data if isinstance(data, dict) else {"value": data},
    )
