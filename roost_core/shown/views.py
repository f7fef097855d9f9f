"""Stored bytes and numbers turned into the models that people and programs see.

Nothing here does I/O. What is for a terminal, an event stream or an error text
goes through :func:`clean` and :func:`redacted`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from roost_core import codec
from roost_core.backend.reports import StoredWork
from roost_core.codec import from_milliseconds
from roost_core.errors import CorruptRecord, WrittenByNewer
from roost_core.models import (
    DeadLetter,
    ErrorRecord,
    Heartbeat,
    Json,
    Lease,
    Snapshot,
    Stuck,
    WorkerInfo,
    WorkItem,
    WorkMeta,
    WorkStatus,
)
from roost_core.values import Value
from roost_core.wording.redaction import HIDDEN, HIDDEN_NAMES, redacted_text

# Texts, not compiled patterns: `re` keeps what it has compiled, and most commands use none of them.
#: Terminal commands: CSI sequences, and OSC and similar strings up to their end.
_ESCAPES: Final = r"(?s)\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]"
#: Control characters, marks that reorder text, and lone surrogates.
_CONTROLS: Final = (
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


@attrs.frozen(eq=False, repr=False)
class WorkRow(Value):
    """One line of a listing: what the backend knows, and the title.

    ``is_readable`` is False if the stored item does not decode; the rest is
    still true. ``is_newer`` tells that this is because a newer Roost wrote it.
    """

    meta: WorkMeta
    title: str | None = None
    is_readable: bool = True
    is_newer: bool = False


def meta(stored: StoredWork) -> WorkMeta:
    """Return what the backend knows about a work item.

    An error record or heartbeat that does not decode is said to be so; it does
    not hide the rest. The lease carries no token: a reader has no use for it.
    """
    lease = None
    if stored.worker_id is not None and stored.expires_ms is not None:
        lease = Lease(
            work_id=stored.work_id,
            worker_id=stored.worker_id,
            token="",
            fence=stored.fence,
            expires_at=from_milliseconds(stored.expires_ms),
        )
    return WorkMeta(
        work_id=stored.work_id,
        engine=stored.engine,
        state=stored.state,
        priority=stored.priority,
        version=stored.version,
        step=stored.step,
        attempts=stored.attempts,
        max_attempts=stored.max_attempts,
        recoveries=stored.recoveries,
        max_recoveries=stored.max_recoveries,
        suspicions=stored.suspicions,
        steps_in_row=stored.steps_in_row,
        max_steps=stored.max_steps,
        fence=stored.fence,
        lease=lease,
        leased_at=_time(stored.leased_ms),
        leased_version=stored.leased_version,
        due_at=_time(stored.due_ms),
        deadline_at=_time(stored.deadline_ms),
        blocked_on=stored.blocked_on,
        created_at=from_milliseconds(stored.created_ms),
        updated_at=from_milliseconds(stored.updated_ms),
        finished_at=_time(stored.finished_ms),
        error=_error(stored.error),
        heartbeat=_heartbeat(stored.heartbeat),
    )


def item(stored: StoredWork) -> WorkItem:
    """Return the work item.

    :raises CorruptRecord: its bytes are missing or do not decode.
    :raises WrittenByNewer: a newer Roost wrote it.
    """
    if stored.newer_layout is not None:
        raise WrittenByNewer(
            f"a newer Roost wrote {stored.work_id} (layout {stored.newer_layout}) and can show it",
            stored.newer_layout,
        )
    if stored.item is None:
        raise CorruptRecord(f"{stored.work_id}: the stored work item is missing")
    try:
        return codec.decode_item(stored.item, stored.created_ms)
    except WrittenByNewer as error:
        raise WrittenByNewer(f"{stored.work_id}: {error}", error.layout) from error
    except CorruptRecord as error:
        raise CorruptRecord(f"{stored.work_id}: {error}") from error


def snapshot(stored: StoredWork) -> Snapshot | None:
    """Return the snapshot, or None if no step was accepted yet.

    :raises CorruptRecord: its bytes are missing or do not decode.
    """
    if stored.snapshot is None:
        if stored.version > 0:
            raise CorruptRecord(f"{stored.work_id}: the stored snapshot is missing")
        return None
    try:
        return codec.decode_snapshot(
            stored.snapshot,
            created_ms=stored.created_ms,
            updated_ms=stored.committed_ms,
            finished_ms=stored.finished_ms,
        )
    except WrittenByNewer as error:
        raise WrittenByNewer(f"{stored.work_id}: {error}", error.layout) from error
    except CorruptRecord as error:
        raise CorruptRecord(f"{stored.work_id}: {error}") from error


def status(stored: StoredWork) -> WorkStatus:
    """Return all that is known of one work item.

    :raises CorruptRecord: item or snapshot does not decode.
    """
    return WorkStatus(meta=meta(stored), item=item(stored), snapshot=snapshot(stored))


def row(stored: StoredWork) -> WorkRow:
    """Return a listing's line; an item that does not decode is marked, not refused."""
    try:
        return WorkRow(meta(stored), item(stored).title)
    except CorruptRecord as error:
        is_newer = isinstance(error, WrittenByNewer)
        return WorkRow(meta(stored), is_readable=False, is_newer=is_newer)


def dead_letter(stored: StoredWork) -> DeadLetter:
    """Return a work item that failed, as a dead letter.

    :raises CorruptRecord: item or snapshot does not decode.
    """
    known = meta(stored)
    return DeadLetter(
        item=item(stored),
        snapshot=snapshot(stored),
        error=known.error or ErrorRecord(kind="exception", message="no error was stored"),
        failed_at=known.finished_at or known.updated_at,
    )


def worker(raw: bytes, seen_ms: int) -> WorkerInfo:
    """Return a live worker's own words, and when the server last heard from it.

    :raises CorruptRecord: they do not decode.
    """
    return attrs.evolve(codec.decode_model(WorkerInfo, raw), seen_at=from_milliseconds(seen_ms))


def stuck(raw: bytes) -> Stuck | None:
    """Return what a worker hangs in by its own words, or None if it does not."""
    try:
        return codec.decode_model(WorkerInfo, raw).stuck
    except CorruptRecord:
        return None


def _time(value: int | None) -> Any:
    return None if value is None else from_milliseconds(value)


def _error(raw: bytes | None) -> ErrorRecord | None:
    if raw is None:
        return None
    try:
        return codec.decode_model(ErrorRecord, raw)
    except CorruptRecord as error:
        return ErrorRecord(kind="corrupt", message=str(error))


def _heartbeat(raw: bytes | None) -> Heartbeat | None:
    if raw is None:
        return None
    try:
        return codec.decode_model(Heartbeat, raw)
    except CorruptRecord as error:
        return Heartbeat(message=str(error))


# -- plain values ----------------------------------------------------------------------------


def status_json(value: WorkStatus) -> dict[str, Json]:
    """Return ``{"meta", "item", "snapshot"}`` as plain JSON, and ``"stuck"`` if its worker is.

    Item and snapshot are the person's own data and stay whole. The error, the
    heartbeat and the reason are texts of code that failed or talked: what looks like a
    secret in them is hidden. The lease's token is never part of it.
    """
    plain = {
        "meta": meta_json(value.meta),
        "item": codec.to_plain(value.item),
        "snapshot": codec.to_plain(value.snapshot),
    }
    if value.stuck is not None:
        plain["stuck"] = codec.to_plain(value.stuck)
    return plain


def meta_json(value: WorkMeta) -> dict[str, Json]:
    """Return a work item's standing as plain JSON, without the lease's token."""
    plain: dict[str, Json] = codec.to_plain(value)
    if plain["lease"] is not None:
        del plain["lease"]["token"]
    for name in ("error", "heartbeat", "reason"):
        plain[name] = redacted(plain[name])
    return plain


def row_json(value: WorkRow) -> dict[str, Json]:
    """Return a listing's line as plain JSON: the standing, title, and whether it can be read."""
    plain = meta_json(value.meta)
    del plain["reason"]  # a listing does not look it up
    return {
        **plain,
        "title": value.title,
        "is_readable": value.is_readable,
        "is_newer": value.is_newer,
    }


# -- what people may see ---------------------------------------------------------------------


def clean(text: object) -> str:
    """Return a text that is safe to print on a terminal, on one line.

    Terminal commands, control characters and marks that reorder text go; line
    ends and tabs become spaces; passwords in URLs are hidden.
    """
    found = re.sub(_ESCAPES, "", str(text))
    return redacted_text(re.sub(_CONTROLS, _spaced, found))


def _spaced(match: re.Match[str]) -> str:
    return " " if match[0] in "\t\n\r\x0b\x0c\u2028\u2029" else ""


def redacted(value: Json) -> Json:
    """Return JSON with the values of fields named like secrets, and URLs' passwords, hidden."""
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _is_secret(key, child) else redacted(child)
            for key, child in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(child) for child in value]
    return value


def _is_secret(name: object, value: Json) -> bool:
    if value is None or isinstance(value, bool) or not isinstance(name, str):
        return False
    found = re.search(HIDDEN_NAMES, name)
    # A count of tokens is the usual figure of an agent's step, and no secret.
    is_count = isinstance(value, int | float) and "token" in name.lower()
    return found is not None and not is_count
