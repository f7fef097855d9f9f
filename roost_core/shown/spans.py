"""Times as people say them: "3 s", "2 m ago", "in 5 h". Pure: the caller has the clock."""

from __future__ import annotations

from datetime import datetime
from typing import Final

#: From how many seconds on a unit is used, and how many it has.
_UNITS: Final = ((129_600, 86_400, "d"), (6_000, 3_600, "h"), (100, 60, "m"))


def span(seconds: float) -> str:
    """Return how long something takes: ``0.4 s``, ``3 s``, ``2 m``, ``1.7 h``, ``3 d``."""
    for least, unit, name in _UNITS:
        if seconds >= least:
            return f"{_short(seconds / unit)} {name}"
    return f"{_short(seconds)} s"


def _short(number: float) -> str:
    """Return a number with at most one decimal, and none from 10 on."""
    return f"{number:.0f}" if number >= 9.95 else f"{number:.1f}".removesuffix(".0")


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago something was: ``2 m ago``; ``now`` within a second, or later."""
    seconds = (now - at).total_seconds()
    return "now" if seconds < 1 else f"{span(int(seconds))} ago"


def past(at: datetime, now: datetime) -> str:
    """Return how long ago something was, also within a second: ``0.4 s ago``, ``2 m ago``."""
    seconds = max(0.0, (now - at).total_seconds())
    return f"{span(int(seconds) if seconds >= 1 else seconds)} ago"


def ahead(at: datetime, now: datetime) -> str:
    """Return when something will be: ``in 3 s``; ``now`` if it is due."""
    seconds = round((at - now).total_seconds())
    return "now" if seconds <= 0 else f"in {span(seconds)}"


def took(milliseconds: float) -> str:
    """Return how long a step took: ``12 ms``, ``1.5 s``, ``3 m``."""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else span(milliseconds / 1000)
