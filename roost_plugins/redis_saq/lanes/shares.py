"""Equal shares of a worker's lanes for the queues that have a backlog. No clock, no I/O.

Two things are made equal: how many lanes each queue has now, and how much lane time it has had.
Lanes are given one at a time to the queue that has the fewest; each second of lane time that a
queue has had more than another counts as one lane, in steps of a quarter of a second. Less does not
count, and queues that are level take turns: a stall of the process is charged to whichever queue it
happened in, and would be worth a hundred short work items to the others.

A queue that had nothing to do, or all that it wanted, has no credit from that time: it is set level
with the lowest of the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

#: This much more lane time counts as one more lane. Seconds.
_WORTH_A_LANE: Final = 1.0
#: Lane time is compared in steps of this. Seconds.
_STEP: Final = 0.25


@attrs.define(eq=False)
class _Account:
    """The lane time of one queue: ``level`` at the time ``at``, growing by ``lanes`` per second."""

    lanes: int = 0
    level: float = 0.0
    at: float = 0.0
    #: When it was last given a lane, counted in lanes given.
    turn: int = 0

    def level_at(self, now: float) -> float:
        return self.level + self.lanes * max(0.0, now - self.at)

    def is_set(self, level: float, now: float) -> None:
        self.level, self.at = level, now


class Shares:
    """The accounts of a worker's queues, which are numbered from 0."""

    def __init__(self, queues: int) -> None:
        self._accounts = [_Account() for _ in range(queues)]
        self._turns = 0

    def begins(self, queue: int, now: float) -> None:
        """Note that a lane runs work from a queue."""
        account = self._accounts[queue]
        account.is_set(account.level_at(now), now)
        account.lanes += 1
        self._turns += 1
        account.turn = self._turns

    def ends(self, queue: int, now: float) -> None:
        """Note that a lane is done with work from a queue."""
        account = self._accounts[queue]
        account.is_set(account.level_at(now), now)
        account.lanes -= 1

    def wanted_no_more(self, queue: int, others: Iterable[int], now: float) -> None:
        """Give a queue no credit: until now it had all that it wanted.

        :param others: the queues that have work.
        """
        levels = [self._accounts[one].level_at(now) for one in others if one != queue]
        account = self._accounts[queue]
        own = account.level_at(now)
        account.is_set(max(own, min(levels, default=own)), now)

    def split(self, room: int, wanting: Iterable[tuple[int, int]], now: float) -> dict[int, int]:
        """Share out free lanes.

        :param wanting: queues that could use some, with how many lanes each already has, including
            those already claimed for.
        :returns: how many each gets; the one furthest behind comes first.
        """
        held = dict(wanting)
        levels = {queue: self._accounts[queue].level_at(now) for queue in held}
        lowest = min(levels.values(), default=0.0)
        ahead = {
            # Among those that are level, the one that has waited longest comes first.
            queue: (
                (level - lowest) // _STEP * _STEP / _WORTH_A_LANE + held[queue],
                self._accounts[queue].turn,
            )
            for queue, level in levels.items()
        }
        given = dict.fromkeys(sorted(ahead, key=lambda queue: ahead[queue]), 0)
        if len(given) < 2:
            return dict.fromkeys(given, room)
        for _ in range(room):
            queue = min(given, key=lambda one: ahead[one])
            lanes, turn = ahead[queue]
            ahead[queue] = lanes + 1, turn
            given[queue] += 1
        return given
