"""All rows side by side: several rounds, each row once in each, so that drift hits all alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import attrs

from benchmarks.harness import Job, Sample, count_commands, measure
from benchmarks.rows import Row
from benchmarks.server import Server
from benchmarks.table import Figures, figures

_T = TypeVar("_T")

#: A sample writes no more than this into snapshots, so that large ones do not take for ever.
_BYTES = 60_000_000
#: Work items of the pass that counts commands.
_COUNTED_ITEMS = 30


@attrs.frozen(kw_only=True)
class Plan:
    """How much to measure.

    :ivar seconds: about how long one sample should last.
    :ivar counted: whether to count the commands of the rows, in a pass that is not timed.
    """

    rows: Sequence[Row]
    sizes: Sequence[int]
    rounds: int
    seconds: float
    counted: bool = True
    steps: int = 10
    lanes: int = 10

    def job(self, row: Row, size: int, server: Server, folder: str) -> Job:
        """Return the job of one sample: whole rounds of the lanes, at least two."""
        items = int(row.rate * self.seconds / self.steps)
        if row.is_sized:
            items = min(items, _BYTES // (size * self.steps))
        items = max(2, items // self.lanes) * self.lanes
        return Job(
            row=row.key,
            url=server.url,
            folder=folder,
            items=items,
            steps=self.steps,
            size=size,
            lanes=self.lanes,
        )


def sample(
    plan: Plan, server: Server, folder: str, say: Callable[[str], None]
) -> tuple[list[Figures], dict[str, str]]:
    """Measure everything.

    :returns: the table's lines, and by row the reason why one is not there.
    """
    found: dict[tuple[str, int | None], list[Sample]] = defaultdict(list)
    failed: dict[str, str] = {}

    def attempt(row: Row, work: Callable[[], _T]) -> _T | None:
        try:
            return work()
        except RuntimeError as error:
            failed[row.key] = str(error)
            say(f"{row.title}: {error}")
            return None

    for number in range(plan.rounds):
        say(f"round {number + 1} of {plan.rounds}")
        for index, size in enumerate(plan.sizes):
            for row in plan.rows:
                if row.key in failed or (index and not row.is_sized):
                    continue
                job = plan.job(row, size, server, folder)
                one = attempt(row, partial(measure, server, job))
                if one is not None:
                    found[row.key, size if row.is_sized else None].append(one)
    commands = {}
    if plan.counted:
        say("counting commands")
        for row in plan.rows:
            job = plan.job(row, plan.sizes[0], server, folder)
            job = attrs.evolve(job, items=min(job.items, _COUNTED_ITEMS))
            counted = None
            if row.key not in failed:
                counted = attempt(row, partial(count_commands, server, job))
            if counted is not None:
                commands[row.key] = counted
    lines = [
        figures(
            row,
            size,
            found[row.key, size],
            found.get(("limit", size if size is not None else plan.sizes[0]), ()),
            found.get(("saq", None), ()),
            commands.get(row.key),
            server.fsync,
        )
        for size in (*plan.sizes, None)
        for row in plan.rows
        if row.key not in failed and found.get((row.key, size))
    ]
    return lines, failed
