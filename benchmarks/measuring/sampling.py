"""All rows side by side: several rounds, each row once in each, so that drift hits all alike.

A row's samples together make its figures, a line of the table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import attrs

from benchmarks.measuring.bench import Bench
from benchmarks.measuring.figures import middle, spread
from benchmarks.measuring.harness import Job, Sample, count_commands, measure
from benchmarks.measuring.row import Row

_T = TypeVar("_T")

#: A sample writes at most this much into snapshots, so that large ones do not take forever.
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

    def job(self, row: Row, size: int, bench: Bench) -> Job:
        """Return the job of one sample: whole rounds of the lanes, at least two."""
        items = int(row.rate * self.seconds / self.steps)
        if row.is_sized:
            items = min(items, _BYTES // (size * self.steps))
        items = max(2, items // self.lanes) * self.lanes
        return bench.job(row.key, items, steps=self.steps, size=size, lanes=self.lanes)


def sample(plan: Plan, bench: Bench) -> tuple[list[Figures], dict[str, str]]:
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
            bench.say(f"{row.title}: {error}")
            return None

    for number in range(plan.rounds):
        bench.say(f"round {number + 1} of {plan.rounds}")
        for index, size in enumerate(plan.sizes):
            for row in plan.rows:
                if row.key in failed or (index and not row.is_sized):
                    continue
                job = plan.job(row, size, bench)
                one = attempt(row, partial(measure, bench.server, job))
                if one is not None:
                    found[row.key, size if row.is_sized else None].append(one)
    commands = {}
    if plan.counted:
        bench.say("counting commands")
        for row in plan.rows:
            job = plan.job(row, plan.sizes[0], bench)
            job = attrs.evolve(job, items=min(job.items, _COUNTED_ITEMS))
            counted = None
            if row.key not in failed:
                counted = attempt(row, partial(count_commands, bench.server, job))
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
            bench.server.fsync,
        )
        for size in (*plan.sizes, None)
        for row in plan.rows
        if row.key not in failed and found.get((row.key, size))
    ]
    return lines, failed


@attrs.frozen(kw_only=True)
class Figures:
    """One line: medians over the rounds. CPU in microseconds and bytes, all per step."""

    row: str
    title: str
    unit: str
    size: int | None
    rates: Sequence[float]
    rate: float
    rate_spread: float
    of_limit: float | None
    of_saq: float | None
    client_cpu_us: float
    server_cpu_us: float
    commands_sent: float | None
    commands_in_scripts: float | None
    aof_bytes: float
    durability: str


def figures(
    row: Row,
    size: int | None,
    samples: Sequence[Sample],
    limit: Sequence[Sample],
    saq: Sequence[Sample],
    commands: tuple[float, float] | None,
    fsync: str,
) -> Figures:
    """Condense one row's samples; ratios are taken round by round, before the median."""
    rates = [one.rate for one in samples]
    return Figures(
        row=row.key,
        title=row.title,
        unit=row.unit,
        size=size,
        rates=rates,
        rate=middle(rates),
        rate_spread=spread(rates),
        of_limit=_ratio(samples, limit),
        of_saq=_ratio(samples, saq),
        client_cpu_us=middle([one.client_cpu for one in samples]) * 1e6,
        server_cpu_us=middle([one.server_cpu for one in samples]) * 1e6,
        commands_sent=commands and commands[0],
        commands_in_scripts=commands and commands[1],
        aof_bytes=middle([one.aof_bytes for one in samples]),
        durability=row.durability.format(fsync=fsync),
    )


def _ratio(samples: Sequence[Sample], others: Sequence[Sample]) -> float | None:
    pairs = list(zip(samples, others, strict=False))
    return middle([one.rate / other.rate for one, other in pairs]) if pairs else None
