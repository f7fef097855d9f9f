"""Equal shares of a worker's lanes for the queues that have a backlog. No clock, no I/O.

Two things are made equal: how many lanes each backlogged queue has now, and how much lane
time it has had since it has a backlog. Lanes are given one at a time to who has the fewest;
each second of lane time that a queue has had more than another counts as one lane.

An account is open only while its queue has a backlog, and begins level with the lowest one that
is open. So a queue that was idle, or had all that it wanted, brings no credit from then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

#: So much more lane time counts as one more lane. Seconds.
_WORTH_A_LANE: Final = 1.0


@attrs.define(eq=False)
class _Account:
    """The lane time of one queue: ``level`` at the time ``at``, growing by ``lanes`` a second."""

    lanes: int = 0
    is_open: bool = False
    level: float = 0.0
    at: float = 0.0

    def level_at(self, now: float) -> float:
        return self.level + self.lanes * max(0.0, now - self.at)


class Shares:
    """The accounts of a worker's queues, which are numbered from 0."""

    def __init__(self, queues: int) -> None:
        self._accounts = [_Account() for _ in range(queues)]

    def begins(self, queue: int, now: float) -> None:
        """Take note that a lane runs work of a queue."""
        self._turned(queue, 1, now)

    def ends(self, queue: int, now: float) -> None:
        """Take note that a lane is through with work of a queue."""
        self._turned(queue, -1, now)

    def has_backlog(self, queue: int, now: float, *, is_backlog: bool) -> None:
        """Take note whether a queue has more to do than it was given lanes for."""
        account = self._accounts[queue]
        if is_backlog and not account.is_open:
            account.level, account.at = self._lowest(now), now
        account.is_open = is_backlog

    def split(self, room: int, wanting: Iterable[tuple[int, int]], now: float) -> dict[int, int]:
        """Share out free lanes.

        :param wanting: queues that could use some, with how many lanes each has already, also
            those that are asked for.
        :returns: how many each gets; who is the furthest behind comes first.
        """
        lowest = self._lowest(now)
        behind = {}
        for queue, held in wanting:
            account = self._accounts[queue]
            level = account.level_at(now) - lowest if account.is_open else 0.0
            behind[queue] = level / _WORTH_A_LANE + held
        given = dict.fromkeys(sorted(behind, key=lambda queue: behind[queue]), 0)
        if len(given) < 2:
            return dict.fromkeys(given, room)
        for _ in range(room):
            queue = min(given, key=lambda one: behind[one])
            behind[queue] += 1
            given[queue] += 1
        return given

    def _turned(self, queue: int, lanes: int, now: float) -> None:
        account = self._accounts[queue]
        account.level, account.at = account.level_at(now), now
        account.lanes += lanes

    def _lowest(self, now: float) -> float:
        return min((one.level_at(now) for one in self._accounts if one.is_open), default=0.0)
