"""Whose a worker's death was, in the model: the rule that ``recoveries`` go by.

A lease that ran out is blamed on nobody before the next decision about its work item is
due: its worker may only have been cut off. If it has renewed since, or taken its leave before
or since, it had not died. A death under a lease that was all that the worker ran counts as a
recovery; one among others only raises a suspicion. From a second one on, certain or not, the
work item is suspected: it runs among others such, half as many with each death, and in the
end alone.
"""

from __future__ import annotations

from typing import Final

import attrs

from roost_core.backend.messages import SUSPECTED_AFTER, Alone

#: In the place of how often it has renewed: a worker that has taken its leave.
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
    #: Of the lease that is current.
    alone: Alone = Alone.NEVER
    lost: Lost | None = None

    @property
    def suspicions(self) -> int:
        """Deaths among others, and the one that is not certain yet."""
        return self.shared + (self.lost is not None)

    @property
    def is_suspected(self) -> bool:
        """Whether it may only run apart from other work."""
        return self.deaths + self.suspicions >= SUSPECTED_AFTER

    def company(self, most: int) -> int:
        """Return of how many suspected ones it may be one, where ``most`` could be taken."""
        if self.deaths or (self.lost is not None and self.lost.was_alone):
            return 1
        return int(max(1, most // 2 ** (self.suspicions - 1)))

    def judge(self, beats: dict[str, int]) -> None:
        """Decide about the lease that ran out last."""
        if self.lost is None:
            return
        if beats.get(self.lost.worker_id, 0) == self.lost.beats:
            if self.lost.was_alone:
                self.deaths += 1
            else:
                self.shared += 1
        self.lost = None

    def note_lost(self, worker_id: str, claimer: str, beats: dict[str, int]) -> None:
        """Take note that the lease of a worker has run out; the one who claims is alive."""
        self.judge(beats)
        times = beats.get(worker_id, 0)
        if worker_id != claimer and times != LEFT:
            was_alone = self.alone is not Alone.NEVER
            self.lost = Lost(worker_id, times, was_alone)
        self.alone = Alone.NEVER

    def is_in_doubt(self, max_recoveries: int) -> bool:
        """Whether one more death alone buries it: then it has to be certain."""
        is_alone = self.lost is not None and self.lost.was_alone
        return is_alone and self.deaths + 1 >= max(1, max_recoveries)

    def step_accepted(self) -> None:
        """Clear everything, but that a lease goes on alone."""
        stays = self.alone if self.alone is Alone.ALWAYS else Alone.NEVER
        self.deaths = self.shared = 0
        self.lost = None
        self.alone = stays
