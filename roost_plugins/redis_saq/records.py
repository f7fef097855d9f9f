"""The scripts' answers as the core's vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import attrs

from roost_core import codec
from roost_core.backend import SUSPECTED_AFTER, Ack, Claim, Purged, StoredWork
from roost_core.codec import from_milliseconds
from roost_core.errors import (
    BackendError,
    CodecError,
    CorruptRecord,
    LeaseLost,
    VersionConflict,
)
from roost_core.models import Event, Lease, State
from roost_core.values import Value

#: Stands for the engine of a record that does not decode.
UNKNOWN_ENGINE = "?"

_STATES: Mapping[bytes, State] = {state.value.encode(): state for state in State}
#: The longest word about blame: two counts, three flags, and a worker id. Bytes.
_LONGEST_BLAME = 240
#: So many words are shown of a record that a newer Roost has written.
_NEWER_WORDS = 3
#: No time or count is beyond this: the year 9999, in milliseconds.
_FAR = 253_402_300_799_999
#: Where among a record's numbers those stand that a person chose: the deadline, max_attempts,
#: max_recoveries and max_steps. Earlier releases accepted such numbers beyond all sense.
_ASKED: Final = frozenset((5, 9, 10, 12))
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
    token, engine, *counts, word, created, committed, deadline, expires = standing.split(b" ")
    numbers = list(map(int, (*counts, created, committed, deadline, expires)))
    if max(numbers) > _FAR:
        raise ValueError("a number in it is too large")
    fence, version, attempts, created_ms, committed_ms, deadline_ms, expires_ms = numbers
    blame = Blame.of(word)
    lease = Lease(
        work_id=work_id.decode(),
        worker_id=worker_id,
        token=token.decode(),
        fence=fence,
        expires_at=from_milliseconds(expires_ms),
    )
    return Claim(
        lease=lease,
        engine=engine.decode(),
        version=version,
        attempts=attempts,
        recoveries=blame.deaths,
        created_ms=created_ms,
        committed_ms=committed_ms or None,
        deadline_ms=deadline_ms or None,
        # A lost item is found out when it does not decode, with its id known.
        item=item or b"",
        snapshot=snapshot,
        asked_at=asked_at,
        is_solo=blame.is_apart,
    )


class Blame(NamedTuple):
    """What a record's word says of the workers that died; ``lua/lib/blame.lua`` has its layout."""

    deaths: int
    suspicions: int
    alone: bytes

    @property
    def is_apart(self) -> bool:
        """Whether something suspected is leased, which runs alone or among others such."""
        is_suspected = self.deaths + self.suspicions >= SUSPECTED_AFTER
        return self.alone == b"1" or (self.alone == b"0" and is_suspected)

    @classmethod
    def of(cls, word: bytes) -> Blame:
        """Read the word.

        :raises ValueError: it is broken.
        """
        if word == b"-":
            return _NO_BLAME
        if len(word) > _LONGEST_BLAME:
            raise ValueError("too long")
        deaths, shared, alone, _, _, worker = word.split(b",", 5)
        return cls(int(deaths), int(shared) + (worker != b"-"), alone)


_NO_BLAME: Final = Blame(0, 0, b"0")


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
    """Name a record's values, as ``lua/lib/show.lua`` orders them; None if it is broken."""
    if record is None:
        return None
    if len(record) == _NEWER_WORDS:
        layout, state_text, engine = record
        # A state that is not known here is not an end that anybody waits for.
        known = _STATES.get(state_text, State.WAITING)
        return {"state": known, "engine": engine.decode(), "newer_layout": int(layout)}
    state_text, engine, worker, step, blocked_on, word, *numbers = record
    state = _STATES.get(state_text)
    if state is None or not all(map(_is_sound, range(len(numbers)), numbers)):
        return None
    (
        version,
        fence,
        attempts,
        updated,
        committed,
        deadline,
        priority,
        created,
        started,
        max_attempts,
        max_recoveries,
        row,
        max_steps,
        since,
        base,
    ) = (min(int(one), _FAR) for one in numbers)
    try:
        blame = Blame.of(word)
    except ValueError:
        return None
    return {
        "engine": _text(engine) or UNKNOWN_ENGINE,
        "state": state,
        "priority": priority,
        "version": version,
        "step": _text(step),
        "attempts": attempts,
        "max_attempts": max_attempts,
        "recoveries": blame.deaths,
        "max_recoveries": max_recoveries,
        "suspicions": blame.suspicions,
        "steps_in_row": row,
        "max_steps": max_steps,
        "leased_ms": since or None,
        "leased_version": base,
        "fence": fence,
        "worker_id": _text(worker),
        "deadline_ms": deadline or None,
        "blocked_on": _text(blocked_on),
        "created_ms": created,
        "updated_ms": updated,
        # Nothing changes a work item that is terminal.
        "finished_ms": updated if state.is_terminal else None,
        "started_ms": started or None,
        "committed_ms": committed or None,
    }


def _is_sound(place: int, number: bytes) -> bool:
    """Whether a record's number can be shown: the server's own strictly, an asked one cut off."""
    if place in _ASKED:
        return len(number) <= 19
    return len(number) <= 15 and int(number) <= _FAR


def _text(raw: bytes) -> str | None:
    return None if raw in (b"", b"-") else raw.decode(errors="replace")


def _score(value: bytes | None) -> int | None:
    return None if value is None else time_of(float(value))


def time_of(score: float) -> int:
    """Return a score as a time in milliseconds: never before 1970, never after the year 9999."""
    return int(min(max(score, 0.0), float(_FAR)))


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
        data = codec.loads(data_raw, "an event's data", _MOST_EVENT_BYTES, envelope=2)
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
