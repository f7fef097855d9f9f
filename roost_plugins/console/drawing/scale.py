"""Where a moment stands in a picture: long waits are squeezed, all else is true to scale. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import attrs

#: No wait is drawn longer than this share of all that is not waiting, nor all waits together
#: longer than that.
_MOST: Final = 0.12


@attrs.frozen
class Scale:
    """A scale from moments to percent of the width.

    :ivar moments: where pieces begin, in seconds from the beginning; and the end.
    :ivar places: where these stand, in percent.
    :ivar is_squeezed: whether some wait is drawn shorter than it was.
    """

    begin: datetime
    moments: Sequence[float]
    places: Sequence[float]
    is_squeezed: bool = False

    @classmethod
    def over(
        cls,
        begin: datetime,
        end: datetime,
        waits: Iterable[tuple[datetime, datetime]],
        room: tuple[float, float] = (0.0, 100.0),
    ) -> Scale:
        """Make the scale of a time with waits in it; those do not overlap, and are in order.

        :param room: from where to where it is drawn, in percent.
        """
        total = max(0.001, (end - begin).total_seconds())
        gaps = [
            (max(0.0, (first - begin).total_seconds()), (last - begin).total_seconds())
            for first, last in waits
        ]
        active = total - sum(last - first for first, last in gaps)
        most = _most(active, total, len(gaps))
        moments, drawn = [0.0], [0.0]
        for first, last in gaps:
            if first > moments[-1]:
                drawn.append(drawn[-1] + first - moments[-1])
                moments.append(first)
            drawn.append(drawn[-1] + min(last - first, most))
            moments.append(last)
        if total > moments[-1]:
            drawn.append(drawn[-1] + total - moments[-1])
            moments.append(total)
        left, right = room
        share = (right - left) / drawn[-1]
        is_squeezed = drawn[-1] < 0.99 * moments[-1]
        return cls(begin, moments, [left + one * share for one in drawn], is_squeezed)

    def place(self, at: datetime) -> float:
        """Return where a moment stands, in percent."""
        seconds = (at - self.begin).total_seconds()
        moments, places = self.moments, self.places
        index = bisect_right(moments, seconds)
        if index == 0:
            return places[0]
        if index == len(moments):
            return places[-1]
        first, left = moments[index - 1], places[index - 1]
        return left + (seconds - first) * (places[index] - left) / (moments[index] - first)


def _most(active: float, total: float, count: int) -> float:
    # What never ran has nothing to be compared with.
    if active <= 0.001 * min(1.0, total) or count == 0:
        return total
    return min(_MOST * active, active / count)
