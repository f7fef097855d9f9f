"""Stored bytes and numbers turned into the models that people and programs see. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import attrs

from roost_core.backend.reports import StoredWork
from roost_core.codec.records import decode_item, decode_model
from roost_core.codec.snapshots import decode_snapshot
from roost_core.codec.times import from_milliseconds
from roost_core.errors import CorruptRecord, WrittenByNewer
from roost_core.models.snapshot import Snapshot
from roost_core.models.standing import DeadLetter, ErrorRecord, Fork, WorkMeta, WorkRow, WorkStatus
from roost_core.models.work import State, WorkItem
from roost_core.models.worker import Heartbeat, Lease, Stuck, WorkerInfo

#: In which state work is that a person has ended with a verb.
_ENDS: Final[Mapping[str, State]] = {"cancel": State.CANCELLED, "bury": State.FAILED}


def meta(stored: StoredWork) -> WorkMeta:
    """Return what the backend knows about a work item.

    An error record or heartbeat that does not decode is shown as such and does not hide the rest.
    The lease carries no token: readers have no use for it.
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
    same, times = _known_names()
    act = stored.act
    if act is not None and act.confirmed_at is not None:
        # What was ended by hand has been put back to an earlier version since.
        act = act if _ENDS.get(act.verb, stored.state) is stored.state else None
    known = {name: getattr(stored, name) for name in same}
    known.update((at, _time(getattr(stored, ms))) for at, ms in times)
    return WorkMeta(
        lease=lease,
        error=error_of(stored.error),
        heartbeat=_heartbeat(stored.heartbeat),
        act=act,
        **known,
    )


@cache
def _known_names() -> tuple[Sequence[str], Sequence[tuple[str, str]]]:
    """Return which attributes are copied, and which times are converted for people.

    A time stored as ``leased_ms`` is shown as ``leased_at``.
    """
    stored = {field.name for field in attrs.fields(StoredWork)}
    shown = [field.name for field in attrs.fields(WorkMeta)]
    times = {at: f"{at.removesuffix('_at')}_ms" for at in shown if at.endswith("_at")}
    same = stored.intersection(shown) - {"error", "heartbeat", "act"}
    return sorted(same), [(at, ms) for at, ms in times.items() if ms in stored]


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
        return decode_item(stored.item, stored.created_ms)
    except WrittenByNewer as error:
        raise WrittenByNewer(f"{stored.work_id}: {error}", error.layout) from error
    except CorruptRecord as error:
        raise CorruptRecord(f"{stored.work_id}: {error}") from error


def title(stored: StoredWork) -> str | None:
    """Return the work item's title; None also if its bytes do not decode."""
    with contextlib.suppress(CorruptRecord):
        return item(stored).title
    return None


def snapshot(stored: StoredWork) -> Snapshot | None:
    """Return the snapshot, or None if no step was accepted yet.

    :raises CorruptRecord: its bytes are missing or do not decode.
    """
    if stored.snapshot is None:
        if stored.version > 0:
            raise CorruptRecord(f"{stored.work_id}: the stored snapshot is missing")
        return None
    try:
        return decode_snapshot(
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
    """Return everything known about one work item; a snapshot that cannot be read hides nothing.

    :raises CorruptRecord: the item does not decode.
    """
    known = WorkStatus(meta=meta(stored), item=item(stored), snapshot=None, forks=forks(stored))
    try:
        return attrs.evolve(known, snapshot=snapshot(stored))
    except CorruptRecord as error:
        return attrs.evolve(known, problem=str(error))


def forks(stored: StoredWork) -> tuple[Fork, ...]:
    """Return the work items that began with a version of this one, the newest first."""
    return tuple(
        Fork(one.work_id, one.version, from_milliseconds(one.at_ms)) for one in stored.forks
    )


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
    """Return a live worker's record, and when the server last heard from it.

    :raises CorruptRecord: it does not decode.
    """
    return attrs.evolve(decode_model(WorkerInfo, raw), seen_at=from_milliseconds(seen_ms))


def stuck(raw: bytes) -> Stuck | None:
    """Return where a worker hangs by its own record, or None if it does not hang."""
    try:
        return decode_model(WorkerInfo, raw).stuck
    except CorruptRecord:
        return None


def _time(value: int | None) -> Any:
    return None if value is None else from_milliseconds(value)


def error_of(raw: bytes | None) -> ErrorRecord | None:
    """Return a stored error; one that does not decode says so."""
    if raw is None:
        return None
    try:
        return decode_model(ErrorRecord, raw)
    except CorruptRecord as error:
        return ErrorRecord(kind="corrupt", message=str(error))


def _heartbeat(raw: bytes | None) -> Heartbeat | None:
    if raw is None:
        return None
    try:
        return decode_model(Heartbeat, raw)
    except CorruptRecord as error:
        return Heartbeat(message=str(error))
