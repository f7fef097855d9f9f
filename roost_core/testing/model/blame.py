"""Which work a worker's death is blamed on, in the model: the rule behind ``recoveries``.

A lease that ran out is not blamed on anything until the next decision about its work item is
due: its worker may only have been cut off. If the worker has renewed since, or retired before
or since, it did not die. A death under a lease that was all that the worker ran counts as a
recovery; one among others only raises a suspicion. From the second death on, certain or not,
the work item is suspected: it runs only among other suspected ones, half as many with each
death, and in the end alone.
"""

from __future__ import annotations

from typing import Final

import attrs

from roost_core.backend.messages import Alone
from roost_core.backend.reports import SUSPECTED_AFTER

#: Instead of how often a worker has renewed: it has retired.
LEFT: Final = -1


@attrs.define
class Lost:
    """A lease that ran out, and how often its worker had renewed by then."""

    worker_id: str
    beats: int
    was_alone: bool


@attrs.define
class Blame:
    """What is held against one work item since its newest accepted step."""

    deaths: int = 0
    shared: int = 0
    #: Of the current lease.
    alone: Alone = Alone.NEVER
    lost: Lost | None = None

    @property
    def suspicions(self) -> int:
        """Deaths among others, and one that is not certain yet."""
        return self.shared + (self.lost is not None)

    @property
    def is_suspected(self) -> bool:
        """Whether it may only run alone, or among other suspected work."""
        return self.deaths + self.suspicions >= SUSPECTED_AFTER

    def company(self, most: int) -> int:
        """Return how many suspected items may run together with it, itself included.

        :param most: how many could be taken.
        """
        if self.deaths or (self.lost is not None and self.lost.was_alone):
            return 1
        return int(max(1, most // 2 ** (self.suspicions - 1)))

    def judge(self, beats: dict[str, int]) -> None:
        """Decide whether the worker whose lease ran out last has died."""
        if self.lost is None:
            return
        if beats.get(self.lost.worker_id, 0) == self.lost.beats:
            if self.lost.was_alone:
                self.deaths += 1
            else:
                self.shared += 1
        self.lost = None

    def note_lost(self, worker_id: str, claimer: str, beats: dict[str, int]) -> None:
        """Record that a worker's lease has run out; the worker that claims is alive."""
        self.judge(beats)
        times = beats.get(worker_id, 0)
        if worker_id != claimer and times != LEFT:
            was_alone = self.alone is not Alone.NEVER
            self.lost = Lost(worker_id, times, was_alone)
        self.alone = Alone.NEVER

    def is_in_doubt(self, max_recoveries: int) -> bool:
        """Whether the last lost lease, alone, would bury it: then the death has to be certain."""
        is_alone = self.lost is not None and self.lost.was_alone
        return is_alone and self.deaths + 1 >= max(1, max_recoveries)

    def step_accepted(self) -> None:
        """Clear everything, except that a lease which is always alone stays so."""
        stays = self.alone if self.alone is Alone.ALWAYS else Alone.NEVER
        self.deaths = self.shared = 0
        self.lost = None
        self.alone = stays
