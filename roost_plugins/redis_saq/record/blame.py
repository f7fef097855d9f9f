"""What a record says of workers that died over a step; ``lua/lib/blame.lua`` has the layout."""

from __future__ import annotations

from typing import Final, NamedTuple

from roost_core.backend import SUSPECTED_AFTER

#: The longest word: two counts, three flags, and a worker id. Bytes.
_LONGEST: Final = 240


class Blame(NamedTuple):
    """The word ``blame``, read."""

    deaths: int
    suspicions: int
    alone: bytes

    @property
    def is_apart(self) -> bool:
        """Whether suspected work is leased, which runs alone or with other suspects."""
        is_suspected = self.deaths + self.suspicions >= SUSPECTED_AFTER
        return self.alone == b"1" or (self.alone == b"0" and is_suspected)

    @classmethod
    def of(cls, word: bytes) -> Blame:
        """Read the word.

        :raises ValueError: it is broken.
        """
        if word == b"-":
            return NO_BLAME
        if len(word) > _LONGEST:
            raise ValueError("too long")
        deaths, shared, alone, _, _, worker = word.split(b",", 5)
        return cls(int(deaths), int(shared) + (worker != b"-"), alone)


#: That of work over which no worker has died.
NO_BLAME: Final = Blame(0, 0, b"0")
