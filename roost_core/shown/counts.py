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
    parts = [f"{count} {one}" for one, count in in_order(counts) if count]
    return " · ".join(parts) or "no work"


def in_order(counts: Mapping[State, int]) -> list[tuple[State, int]]:
    """Return how many there are in each state, in the order in which people are told."""
    return [(one, counts.get(one, 0)) for one in _ORDER]


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun: ``1 live worker``, ``1,234 live workers``.

    :param many: the noun for several, if it is not the other one with an s.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
