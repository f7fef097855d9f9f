"""Ids and times in the scripts' answers."""

from __future__ import annotations

from roost_plugins.redis_saq.record.kinds import FAR


def text(raw: bytes) -> str:
    """Return an id for people and programs; bytes that are not UTF-8 become escapes."""
    return raw.decode(errors="backslashreplace")


def time_of(score: float) -> int:
    """Return a score as a time in milliseconds: never before 1970, never after the year 9999."""
    return int(min(max(score, 0.0), float(FAR)))
