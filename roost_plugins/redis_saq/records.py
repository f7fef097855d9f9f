"""The scripts' answers as the core's vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final

import attrs

from roost_core.backend import Ack, Claim, Purged, StoredWork
from roost_core.codec.strict_json import loads
from roost_core.codec.times import from_milliseconds
from roost_core.errors import (
    BackendError,
    CodecError,
    CorruptRecord,
    LeaseLost,
    VersionConflict,
)
from roost_core.models import Event, Lease, State
from roost_core.values import Value, unchecked
from roost_plugins.redis_saq.record import fields
from roost_plugins.redis_saq.record.blame import Blame
from roost_plugins.redis_saq.record.kinds import FAR

#: Stands for the engine of a record that does not decode.
UNKNOWN_ENGINE = "?"

_STATES: Mapping[bytes, State] = {state.value.encode(): state for state in State}
#: So many words are shown of a record that a newer Roost has written.
_NEWER_WORDS = 3
#: The kind of an entry of the event stream that cannot be read.
UNREADABLE: Final = "unreadable"
#: Kind, work id, engine, version and state of an event, and its data.
_EVENT: Final = re.compile(
    rb"([a-z][a-z_]{0,39}) ([!-~]{1,200}) ([!-~]{1,200}) ([0-9]{1,15}) ([a-z_]+) (.*)", re.DOTALL
)
#: So much is shown of what cannot be read, in bytes.
_SHOWN: Final = 200
#: The largest data of an event is that of an error or of an engine. Bytes.
_MOST_EVENT_BYTES: Final = 1 << 20


def text(raw: bytes) -> str:
    """Return an id for people and programs; what is no UTF-8 in it comes as escapes."""
    return raw.decode(errors="backslashreplace")


def ack(answer: bytes, work_id: str) -> tuple[Ack, int | None]:
    """Read the answer of ``commit``, ``fail`` or ``interrupt``.

    :returns: the answer, and in how many milliseconds the lane that is free now should
        claim: when something is due, or a lease expires, that nobody may tell of.
    :raises LeaseLost: the token is not current, or a newer Roost has written the record.
    :raises VersionConflict: the stored version is not the expected one.
    :raises CorruptRecord: the stored record does not decode.
    """
    if answer == b"lost":
        raise LeaseLost(f"the lease on {work_id} is not current any more")
    if answer == b"newer":
        raise LeaseLost(f"a newer Roost has taken over {work_id}")
    if answer == b"version":
        raise VersionConflict(f"the step of {work_id} did not start from the stored version")
    if answer == b"corrupt":
        raise CorruptRecord(f"the stored record of {work_id} does not decode")
    try:
        _, state, version, attempts, at, due, claim_in = answer.split(b" ")
        return (
            Ack(
                _STATES[state],
                int(version),
                int(attempts),
                int(at),
                None if due == b"-1" else int(due),
            ),
            None if claim_in == b"-1" else int(claim_in),
        )
    except (KeyError, ValueError) as error:
        # In a damaged record there may be any words where an earlier answer was.
        raise BackendError(f"unexpected answer about {work_id}: {answer!r:.200}") from error


@attrs.frozen(eq=False, repr=False)
class BrokenClaim(Value):
    """A claim that cannot be handed to a worker: what gives its lease back, and what is wrong."""

    work_id: bytes
    token: bytes
    reason: str


def claims(
    rows: Sequence[Sequence[Any]], worker_id: str, asked_at: float
) -> tuple[tuple[Claim, ...], list[BrokenClaim]]:
    """Read the claims of the ``claim`` script's answer; one that is broken spoils no other."""
    sound, broken = [], []
    for row in rows:
        try:
            sound.append(claim(row, worker_id, asked_at))
        except (ValueError, OverflowError, OSError) as error:
            # The token is this worker's own, and always in front.
            token = row[1].split(b" ", 1)[0]
            broken.append(BrokenClaim(row[0], token, f"the stored record does not decode: {error}"))
    return tuple(sound), broken


def claim(row: Sequence[Any], worker_id: str, asked_at: float) -> Claim:
    """Read one claim of the ``claim`` script's answer.

    :raises ValueError: something in it is no text, or no number that a record may hold.
    """
    work_id, standing, item, snapshot = row
    reader = _reader(fields.RECORD, Claim)
    token, *words = standing.split(b" ")
    numbers: list[Any] = list(map(int, words[reader.texts :]))
    if max(numbers) > FAR:
        raise ValueError("a number in it is too large")
    blame = Blame.of(words[reader.blame])
    lease = reader.new_lease(
        work_id.decode(),
        worker_id,
        token.decode(),
        numbers[reader.fence],
        # When it expires: no field of the record.
        from_milliseconds(numbers[-1]),
    )
    for place in reader.times:
        numbers[place] = numbers[place] or None
    texts = [None if word == b"-" else word.decode() for word in words[: reader.texts]]
    # A lost item is found out when it does not decode, with its id known.
    own = (lease, blame.deaths, item or b"", snapshot, asked_at, blame.is_apart)
    return reader.new_claim(*reader.in_order((*own, *texts, *numbers)))


class _ClaimReader:
    """Where the values of a claim stand, and what makes objects of them.

    Each step through the queue makes a claim and a lease, so it is without defaults and
    validators, and without a look-up by name.
    """

    #: The attributes of a claim that are no fields, or made from several values.
    _OWN = ("lease", "recoveries", "item", "snapshot", "asked_at", "is_solo")

    def __init__(self, table: fields.Table, kind: type[Claim]) -> None:
        claimed = table.claimed
        self.texts = len(claimed.texts)
        self.blame = claimed.texts.index("blame")
        self.fence = claimed.numbers.index("fence")
        self.times = [claimed.numbers.index(name) for name in claimed.times]
        self.new_claim = unchecked(kind)
        self.new_lease = unchecked(Lease)
        names = [*self._OWN, *claimed.texts, *claimed.numbers]
        missing = [one.name for one in attrs.fields(kind) if one.name not in names]
        if missing:
            raise TypeError(f"no field of the record is claimed as {', '.join(missing)}")
        self.in_order = itemgetter(*(names.index(one.name) for one in attrs.fields(kind)))


#: Made when it is first asked for: most commands claim nothing.
_reader: Final = cache(_ClaimReader)


def stored_work(row: Sequence[Any]) -> StoredWork:
    """Read one row of ``read`` or ``list``; a record that does not decode still has a row."""
    work_id, record, due, expires, item, error, *rest = row
    snapshot, heartbeat = rest or (None, None)
    return StoredWork(
        work_id=text(work_id),
        due_ms=_score(due),
        expires_ms=_score(expires),
        item=item,
        snapshot=snapshot,
        error=error,
        heartbeat=heartbeat,
        **(_standing(record) or {"engine": UNKNOWN_ENGINE, "state": State.FAILED}),
    )


def _standing(record: Sequence[Any] | None) -> dict[str, Any] | None:
    """Name a record's values, which come in the table's order; None if it is broken."""
    if record is None:
        return None
    if len(record) == _NEWER_WORDS:
        layout, state_text, engine = record
        # A state that is not known here is not an end that anybody waits for.
        known = _STATES.get(state_text, State.WAITING)
        return {"state": known, "engine": engine.decode(), "newer_layout": int(layout)}
    found: dict[str, Any] = {}
    try:
        for field, raw in zip(fields.RECORD.shown, record, strict=True):
            value = field.kind.read(raw)
            # A word that holds several values fills an attribute with each.
            values = (value,) if len(field.shown) == 1 else value
            found.update(zip(field.shown, values, strict=False))
    except ValueError:
        return None
    found["engine"] = found["engine"] or UNKNOWN_ENGINE
    # Nothing changes a work item that is terminal.
    found["finished_ms"] = found["updated_ms"] if found["state"].is_terminal else None
    return found


def _score(value: bytes | None) -> int | None:
    return None if value is None else time_of(float(value))


def time_of(score: float) -> int:
    """Return a score as a time in milliseconds: never before 1970, never after the year 9999."""
    return int(min(max(score, 0.0), float(FAR)))


def purged(member: bytes) -> Purged:
    """Read what is to be forgotten: "life id", the life 0 if it is not known."""
    life, _, work_id = member.decode().partition(" ")
    return Purged(work_id, int(life) or None)


def event(entry: tuple[bytes, Mapping[bytes, bytes]]) -> Event:
    """Read one entry of the event stream; one that is damaged has the kind ``unreadable``."""
    event_id, fields = entry
    raw = fields.get(b"event", b"")
    found = _EVENT.fullmatch(raw)
    state = _STATES.get(found[5]) if found else None
    at_ms = time_of(int(event_id.split(b"-")[0]))
    if found is None or state is None:
        seen = raw or repr(dict(fields)).encode()
        return Event(
            event_id=event_id.decode(),
            at=from_milliseconds(at_ms),
            kind=UNREADABLE,
            work_id=UNKNOWN_ENGINE,
            engine=UNKNOWN_ENGINE,
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
