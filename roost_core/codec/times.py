"""Times as the server counts them, and back. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from roost_core.errors import InvalidInput


@lru_cache(maxsize=256)
def from_milliseconds(value: int) -> datetime:
    """Turn the server's milliseconds since the epoch into an aware UTC time."""
    return datetime.fromtimestamp(value / 1000, UTC)


def to_milliseconds(value: datetime) -> int:
    """Turn an aware time into whole milliseconds since the epoch.

    :raises InvalidInput: the time has no zone.
    """
    if value.tzinfo is None:
        raise InvalidInput(f"{value.isoformat()} has no time zone: add Z or an offset")
    return round(value.timestamp() * 1000)
