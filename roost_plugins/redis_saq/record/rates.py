"""How fast work goes, as scripts answer; ``lua/lib/rates.lua`` keeps it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from roost_core.backend import Pace, StepTally

_MINUTE_MS: Final = 60_000
#: The pace is that of the last minutes, this many.
PACE_MINUTES: Final = 10
_PACE: Final = re.compile(rb"(\d{1,15}) (\d{1,15})")
_STEPS: Final = re.compile(rb"(\d{1,15}) (\d{1,15}) (\d{1,15})")


def pace_in(buckets: Sequence[bytes | None], now_ms: int) -> Pace | None:
    """Sum up an engine's last minutes, the current one first; None if nothing was counted."""
    found = [*_numbers(_PACE, buckets[:PACE_MINUTES])]
    if not found:
        return None
    oldest = max(place for place, _ in found)
    span_ms = now_ms % _MINUTE_MS + oldest * _MINUTE_MS
    # Right after a minute began, what was sent in it was done before it.
    return Pace(
        span_ms=max(span_ms, _MINUTE_MS // 6),
        steps=sum(steps for _, (steps, _leases) in found),
        leases=sum(leases for _, (_steps, leases) in found),
    )


def usual_in(engine: str, step: str, buckets: Iterable[bytes | None]) -> StepTally | None:
    """Sum up the minutes of one label; None if no step with it was accepted."""
    found = [numbers for _, numbers in _numbers(_STEPS, buckets)]
    if not found:
        return None
    return StepTally(
        engine=engine,
        step=step,
        count=sum(count for count, _, _ in found),
        total_ms=sum(total for _, total, _ in found),
        longest_ms=max(longest for _, _, longest in found),
    )


def _numbers(
    pattern: re.Pattern[bytes], buckets: Iterable[bytes | None]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    for place, raw in enumerate(buckets):
        found = pattern.fullmatch(raw or b"")
        if found is not None:
            yield place, tuple(map(int, found.groups()))
