"""Lives of work items, as events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from roost_core.backend.trail import lease_event
from roost_core.models import Event, State

START = datetime(2030, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a time after the beginning."""
    return START + timedelta(seconds=seconds)


def happened(kind: str, seconds: float, version: int, state: str, **data: Any) -> Event:
    """Make an event."""
    ms = int(at(seconds).timestamp() * 1000)
    return Event(f"{ms}-0", at(seconds), kind, "w-1", "crawl", version, State(state), data)


def leased(begin: float, end: float | None, first: int, last: int, ended: str | None) -> Event:
    """Make what a trail has of a lease; it is queued after that."""
    start_ms = int(START.timestamp() * 1000)
    to_ms = None if end is None else start_ms + int(end * 1000)
    from_ms = start_ms + int(begin * 1000)
    return lease_event(
        f"{from_ms if to_ms is None else to_ms}-0",
        "w-1",
        "crawl",
        last,
        State.RUNNING if end is None else State.QUEUED,
        worker_id="w-host-1",
        from_ms=from_ms,
        to_ms=to_ms,
        first_version=first,
        ended=ended,
    )


def usual() -> list[Event]:
    """Return a life with a death, a retry, a sleep, a person, and a running step at its end."""
    error = {"kind": "exception", "error_type": "IOError", "message": "429"}
    return [
        happened("enqueued", 0, 0, "queued"),
        happened("claimed", 1, 0, "running", worker_id="host-a"),
        happened("committed", 3, 1, "running", step="plan"),
        happened("committed", 5, 2, "running", step="read"),
        happened("recovered", 20, 2, "queued", worker_id="host-a"),
        happened("claimed", 21, 2, "running", worker_id="host-b"),
        happened("attempt_failed", 25, 2, "retry_wait", attempt=1, max_attempts=5, error=error),
        happened("claimed", 27, 2, "running", worker_id="host-b"),
        happened("committed", 30, 3, "sleeping", step="read"),
        happened("pause_requested", 3500, 3, "sleeping", who="ada", tool="roost pause"),
        happened("claimed", 3600, 3, "running", worker_id="host-a"),
        happened("emitted", 3601, 3, "running", note="half way"),
    ]
