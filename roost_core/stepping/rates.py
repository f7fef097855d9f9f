"""What a worker counts of its steps, to be sent with the next renewal.

It is called for every step, so it takes no lock: the event loop counts, the keeper's thread takes
what there is by putting new counts in its place. A step that is counted at that very moment may be
missing; rates are for people, and nothing is decided by them.
"""

from __future__ import annotations

from roost_core.backend.rates import MOST_LABELS, OTHERS, FailureTally, StepTally, Tally


class Rates:
    """Counts leases, accepted steps and failures of one worker in one queue."""

    __slots__ = ("_failures", "_leases", "_steps")

    def __init__(self) -> None:
        self._leases: dict[str, int] = {}
        #: Of each label: how many steps, how long they took together, and the longest. Seconds.
        self._steps: dict[tuple[str, str], list[float]] = {}
        #: Of each engine: how many attempts failed, and how much work was given up.
        self._failures: dict[str, list[int]] = {}

    def lease(self, engine: str) -> None:
        """Count a lease that begins."""
        leases = self._leases
        leases[engine] = leases.get(engine, 0) + 1

    def step(self, engine: str, label: str, seconds: float) -> None:
        """Count an accepted step.

        :param label: that of the snapshot that it started from; empty if there was none.
        """
        try:
            found = self._steps[engine, label]
        except KeyError:
            found = self._new(engine, label)
        found[0] += 1.0
        found[1] += seconds
        if seconds > found[2]:
            found[2] = seconds

    def failed(self, engine: str) -> None:
        """Count an attempt that failed."""
        self._failures.setdefault(engine, [0, 0])[0] += 1

    def died(self, engine: str) -> None:
        """Count work that was given up."""
        self._failures.setdefault(engine, [0, 0])[1] += 1

    def _new(self, engine: str, label: str) -> list[float]:
        steps = self._steps
        if len(steps) >= MOST_LABELS:
            label = OTHERS
        return steps.setdefault((engine, label), [0.0, 0.0, 0.0])

    def take(self) -> Tally | None:
        """Return what was counted since the last time, or None if there was nothing."""
        leases, self._leases = self._leases, {}
        steps, self._steps = self._steps, {}
        failures, self._failures = self._failures, {}
        if not leases and not steps and not failures:
            return None
        return Tally(
            leases=tuple(leases.copy().items()),
            steps=tuple(
                StepTally(engine, label, round(count), round(total * 1000), round(longest * 1000))
                for (engine, label), (count, total, longest) in steps.copy().items()
            ),
            failures=tuple(FailureTally(engine, *two) for engine, two in failures.copy().items()),
        )
