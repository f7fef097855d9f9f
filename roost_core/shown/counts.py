"""How much work there is, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from roost_core.models.work import State

#: What happens now comes first, and then what is over.
_ORDER: Final[Sequence[State]] = (
    State.RUNNING,
    State.QUEUED,
    State.SLEEPING,
    State.RETRY_WAIT,
    State.BLOCKED,
    State.WAITING,
    State.PAUSED,
    State.DONE,
    State.FAILED,
    State.CANCELLED,
)


def told_counts(counts: Mapping[State, int]) -> str:
    """Return ``3 running · 12 queued · 41 done``; states without any are left out."""
    parts = [f"{counts[one]} {one}" for one in _ORDER if counts.get(one)]
    return " · ".join(parts) or "no work"
