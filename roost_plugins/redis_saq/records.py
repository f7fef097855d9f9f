"""The scripts' answers as the core's vocabulary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from roost_core.backend import Ack, Claim, StoredWork
from roost_core.codec import from_milliseconds
from roost_core.errors import BackendError, CorruptRecord, LeaseLost, VersionConflict
from roost_core.models import Event, Lease, State

#: Stands for the engine of a record that does not decode.
UNKNOWN_ENGINE = "?"

_STATES = frozenset(state.value for state in State)
#: What a record consists of, as ``lib.lua`` judges it: a broken one is broken for both.
_REQUIRED = frozenset(
    ("engine", "state", "seq", "created", "updated", "max_attempts", "max_recoveries")
)
_TEXTS = ("engine", "state", "step", "token", "worker", "key", "nonce", "blocked_on")
_NUMBERS = (
    *("seq", "priority", "version", "attempts", "max_attempts", "recoveries", "max_recoveries"),
    *("fence", "deadline", "created", "updated", "finished", "started", "committed"),
)
_KINDS: Mapping[str, type] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(_NUMBERS, float),
    **dict.fromkeys(("resources", "acks"), list),
}
#: No time or count is beyond this: the year 9999, in milliseconds.
_FAR = 253_402_300_799_999


def _optional(value: int) -> int | None:
    return None if value < 0 else value


def ack(answer: Sequence[Any], work_id: str) -> tuple[Ack, int | None]:
    """Read the answer of ``commit``, ``fail`` or ``interrupt``.

    :returns: the answer, and in how many milliseconds the lane that is free now should
        claim: when something is due, or a lease expires, that nobody may tell of.
    :raises LeaseLost: the token is not current.
    :raises VersionConflict: the stored version is not the expected one.
    :raises CorruptRecord: the stored record does not decode.
    """
    match answer:
        case [b"ok", state, version, attempts, at, due, claim_in]:
            return (
                Ack(State(state.decode()), version, attempts, at, _optional(due)),
                _optional(claim_in),
            )
        case [b"lost"]:
            raise LeaseLost(f"the lease on {work_id} is not current any more")
        case [b"version"]:
            raise VersionConflict(f"the step of {work_id} did not start from the stored version")
        case [b"corrupt"]:
            raise CorruptRecord(f"the stored record of {work_id} does not decode")
    raise BackendError(f"unexpected answer about {work_id}: {answer!r:.200}")


def claim(row: Sequence[Any], worker_id: str, asked_at: float) -> Claim:
    """Read one claim of the ``claim`` script's answer."""
    (
        work_id,
        token,
        engine,
        fence,
        version,
        attempts,
        recoveries,
        created,
        committed,
        deadline,
        expires,
        item,
        snapshot,
    ) = row
    lease = Lease(
        work_id=work_id.decode(),
        worker_id=worker_id,
        token=token.decode(),
        fence=fence,
        expires_at=from_milliseconds(expires),
    )
    return Claim(
        lease=lease,
        engine=engine.decode(),
        version=version,
        attempts=attempts,
        recoveries=recoveries,
        created_ms=created,
        committed_ms=_optional(committed),
        deadline_ms=_optional(deadline),
        # A lost item is found out when it does not decode, with its id known.
        item=item or b"",
        snapshot=snapshot,
        asked_at=asked_at,
    )


def stored_work(row: Sequence[Any]) -> StoredWork:
    """Read one row of ``read`` or ``list``; a record that does not decode still has a row."""
    work_id, record, due, expires, item, snapshot, error, *rest = row
    fields = _record(record)
    return StoredWork(
        work_id=work_id.decode(),
        engine=fields["engine"],
        state=State(fields["state"]),
        priority=fields.get("priority", 0),
        version=fields.get("version", 0),
        step=fields.get("step"),
        attempts=fields.get("attempts", 0),
        max_attempts=fields.get("max_attempts", 0),
        recoveries=fields.get("recoveries", 0),
        max_recoveries=fields.get("max_recoveries", 0),
        fence=fields.get("fence", 0),
        worker_id=fields.get("worker"),
        expires_ms=_score(expires),
        due_ms=_score(due),
        deadline_ms=fields.get("deadline"),
        blocked_on=fields.get("blocked_on"),
        created_ms=fields.get("created", 0),
        updated_ms=fields.get("updated", 0),
        finished_ms=fields.get("finished"),
        started_ms=fields.get("started"),
        committed_ms=fields.get("committed"),
        item=item,
        snapshot=snapshot,
        error=error,
        heartbeat=rest[0] if rest else None,
    )


def _score(value: bytes | None) -> int | None:
    return None if value is None else int(float(value))


def _record(raw: bytes) -> dict[str, Any]:
    broken = {"engine": UNKNOWN_ENGINE, "state": State.FAILED.value}
    try:
        fields = json.loads(raw)
    except ValueError:
        return broken
    if not isinstance(fields, dict) or not fields.keys() >= _REQUIRED:
        return broken
    if not all(_is_sound(fields[name], _KINDS[name]) for name in _KINDS.keys() & fields.keys()):
        return broken
    return fields if fields["state"] in _STATES else broken


def _is_sound(value: object, kind: type) -> bool:
    if kind is str:
        return isinstance(value, str)
    if kind is list:
        # Lua writes an empty list as an object.
        return value == {} or (
            isinstance(value, list) and all(isinstance(one, str) for one in value)
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # The server writes a number of 15 digits as 2.5e+14. NaN fails every comparison.
    return abs(value) <= _FAR and value == int(value)


def event(entry: tuple[bytes, Mapping[bytes, bytes]]) -> Event:
    """Read one entry of the event stream."""
    event_id, fields = entry
    try:
        data = json.loads(fields[b"data"])
    except ValueError:
        data = {"undecodable": fields[b"data"].decode(errors="replace")}
    return Event(
        event_id=event_id.decode(),
        at=datetime.fromtimestamp(int(event_id.split(b"-")[0]) / 1000, UTC),
        kind=fields[b"kind"].decode(),
        work_id=fields[b"work"].decode(),
        engine=fields[b"engine"].decode(),
        version=int(fields[b"version"]),
        state=State(fields[b"state"].decode()),
        data=data if isinstance(data, dict) else {"value": data},
    )
