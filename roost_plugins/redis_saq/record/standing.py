"""A work item as the scripts ``read``, ``list`` and ``trail`` show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from roost_core.backend import StoredFork, StoredWork
from roost_core.errors import CorruptRecord
from roost_core.models import State
from roost_plugins.redis_saq.record import fields
from roost_plugins.redis_saq.record.answers import text, time_of
from roost_plugins.redis_saq.record.kinds import STATES, UNKNOWN

#: How many words are shown of a record that a newer Roost wrote.
_NEWER_WORDS: Final = 3
#: What rows of older form lack: snapshot, heartbeat and tail.
_NO_MORE: Final[tuple[Any, ...]] = (None, None, None, None)


def stored_work(row: Sequence[Any]) -> StoredWork:
    """Read one row of ``read`` or ``list``; a record that does not decode still has a row."""
    work_id, record, due, expires, item, error, snapshot, heartbeat, tail, forks, *_ = (
        *row,
        *_NO_MORE,
    )
    standing = _standing(record) or {"engine": UNKNOWN, "state": State.FAILED}
    due_ms = _score(due)
    # Most have no tail, or labels alone.
    if tail and b"\n" in tail:
        from roost_plugins.redis_saq.record.acts import acts_in

        act = next(iter(acts_in(tail)), None)
        if act is not None:
            standing["act"] = act.as_model
            if standing["state"] is State.PAUSED:
                due_ms = act.due_ms
    if type(snapshot) is list:
        snapshot = _newest(snapshot)
    return StoredWork(
        work_id=text(work_id),
        due_ms=due_ms,
        expires_ms=_score(expires),
        item=item,
        snapshot=snapshot,
        error=error,
        heartbeat=heartbeat,
        labels=_labels(tail),
        forks=_forks(forks) if forks else (),
        **standing,
    )


def _standing(record: Sequence[Any] | None) -> dict[str, Any] | None:
    """Name a record's values, which come in the table's order; None if it is broken."""
    if record is None:
        return None
    if len(record) == _NEWER_WORDS:
        layout, state_text, engine = record
        # An unknown state is not an end that anybody waits for.
        known = STATES.get(state_text, State.WAITING)
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
    found["engine"] = found["engine"] or UNKNOWN
    # Nothing changes a terminal work item.
    found["finished_ms"] = found["updated_ms"] if found["state"].is_terminal else None
    if found["finished_ms"] is not None:
        # A worker of an older Roost does not know of it, and has ended the work.
        found["wish"] = None
    return found


def _newest(stored: Sequence[bytes | None]) -> bytes:
    """Return the newest version, or what says that it is lost where a snapshot is read."""
    from roost_core.backend import newest

    try:
        return newest(stored)
    except CorruptRecord as error:
        from roost_core.codec.snapshots import lost_snapshot

        return lost_snapshot(error)


def _labels(tail: bytes | None) -> dict[str, str]:
    """Read the first line of a record's tail: labels, in the order of their keys."""
    line = (tail or b"").split(b"\n", 1)[0].decode(errors="replace")
    pairs = (word.partition("=") for word in line.split(" "))
    return {key: value for key, equals, value in pairs if equals}


def _forks(lines: bytes) -> tuple[StoredFork, ...]:
    """Read the forks of a work item; lines that are none are left out."""
    found = (line.split(b" ") for line in lines.split(b"\n"))
    return tuple(
        StoredFork(text(words[0]), int(words[1]), time_of(int(words[2])))
        for words in found
        if len(words) == 3 and words[1].isdigit() and words[2].isdigit()
    )


def _score(value: bytes | None) -> int | None:
    return None if value is None else time_of(float(value))
