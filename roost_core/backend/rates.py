"""How fast work goes: what workers count, and what a ledger knows of the last hour."""

from __future__ import annotations

from typing import Final

import attrs

from roost_core.values import Value

#: Of this many labels the steps are counted one by one; those of others together.
MOST_LABELS: Final = 100
#: What those others are counted under.
OTHERS: Final = "*"
#: The engine of work that a claim has given up: it only tells the ids.
UNKNOWN_ENGINE: Final = "?"


@attrs.frozen(eq=False, repr=False)
class StepTally(Value):
    """Accepted steps of one engine that started from snapshots with one label.

    :ivar step: that label: what is known of a step while it runs. Empty for the first step, which
        has no snapshot; ``*`` for labels beyond the first hundred.
    :ivar count: how many.
    :ivar total_ms: how long they took together, in milliseconds by the worker's clock.
    :ivar longest_ms: how long the longest took.
    """

    engine: str
    step: str
    count: int
    total_ms: int
    longest_ms: int


@attrs.frozen(eq=False, repr=False)
class FailureTally(Value):
    """What went wrong with the work of one engine.

    :ivar attempts: how many attempts failed, the last ones too.
    :ivar dead: how much was given up, for whatever reason but a person's wish.
    """

    engine: str
    attempts: int = 0
    dead: int = 0


@attrs.frozen(eq=False, repr=False)
class Tally(Value):
    """What a worker has done in one queue since it last said so.

    :ivar leases: per engine, how many leases it has begun to work on.
    :ivar steps: the steps that were accepted.
    :ivar failures: what went wrong.
    """

    leases: tuple[tuple[str, int], ...] = ()
    steps: tuple[StepTally, ...] = ()
    failures: tuple[FailureTally, ...] = ()


@attrs.frozen(eq=False, repr=False)
class Pace(Value):
    """How fast an engine's work goes in a queue, over the last minutes.

    :ivar span_ms: over how long this was counted, in milliseconds; at most ten minutes.
    :ivar steps: the steps that were accepted in that time.
    :ivar leases: the leases that were begun: the line has moved by as many places.
    """

    span_ms: int
    steps: int
    leases: int

    @property
    def steps_a_minute(self) -> float:
        """How many steps were accepted a minute."""
        return self.steps * 60_000 / self.span_ms

    def wait_ms(self, places: int) -> int | None:
        """Return how long the line takes to move by a number of places, or None if it does not."""
        return None if self.leases == 0 else round(places * self.span_ms / self.leases)
