"""How long to wait before what has ended by itself is started again."""

from __future__ import annotations

from typing import Final

#: The first pause and the longest one. Seconds.
SHORTEST: Final = 0.5
LONGEST: Final = 30.0
#: Whoever has worked this long has recovered: the next pause is the shortest again. Seconds.
RECOVERED: Final = 60.0


class Pauses:
    """Each pause is twice the one before, up to a bound, until something has gone well."""

    def __init__(self) -> None:
        self._next = SHORTEST

    def after(self, lived: float) -> float:
        """Return how long to wait for the next start.

        :param lived: how long the last one has worked, in seconds.
        """
        if lived >= RECOVERED:
            self.reset()
        pause, self._next = self._next, min(2 * self._next, LONGEST)
        return pause

    def reset(self) -> None:
        """Begin anew: a person has changed something."""
        self._next = SHORTEST
