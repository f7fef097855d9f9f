"""``python -m benchmarks.check``: each budget of the design, measured, with its margin."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import click
from rich.console import Console
from rich.table import Table

from benchmarks import console as console_module
from benchmarks import growing as growing_module
from benchmarks import idle as idle_module
from benchmarks import storm as storm_module
from benchmarks.catalogue import row
from benchmarks.measuring import asking as asking_module
from benchmarks.measuring import filling
from benchmarks.measuring.bench import Bench, Options, options
from benchmarks.measuring.figures import middle
from benchmarks.measuring.harness import child, count_commands, measure
from benchmarks.measuring.sampling import Plan, sample
from benchmarks.measuring.server import running
from benchmarks.showing import cells
from benchmarks.showing.table import show_surroundings, wide_console

_LEASE_TTL: Final = 1.0
_PATIENCE: Final = 30.0
#: Few, because each pass adds this many sleepers.
_COST_CALLS: Final = 100


@attrs.frozen
class Result:
    """One budget: the measured value, and the limit; without a ``budget`` it is only reported."""

    what: str
    measured: float
    budget: float | None
    unit: str
    is_floor: bool = False
    is_strict: bool = True

    @property
    def is_met(self) -> bool:
        """Whether the budget is kept."""
        if self.budget is None:
            return True
        if self.is_floor:
            return self.measured >= self.budget
        return self.measured < self.budget if self.is_strict else self.measured <= self.budget

    @property
    def margin(self) -> float | None:
        """The distance to the budget, as a share of it; negative if it is missed."""
        if not self.budget:
            return None
        share = (self.measured - self.budget) / self.budget
        return share if self.is_floor else -share

    @property
    def asked(self) -> str:
        """The budget as a comparison; empty if there is none."""
        if self.budget is None:
            return ""
        sign = "≥" if self.is_floor else "<" if self.is_strict else "≤"
        return f"{sign} {self.budget:g} {self.unit}".strip()

    def as_row(self) -> dict[str, Any]:
        """Return it as a line of text."""
        more = {"asked": self.asked, "margin": self.margin, "is_met": self.is_met}
        return {**attrs.asdict(self), **more}


def throughput(bench: Bench) -> Iterator[Result]:
    """Measure steps a second next to the limit and SAQ's empty jobs."""
    keys = ("limit", "roost-chained", "roost-queued", "saq")
    plan = Plan(
        rows=[row(key) for key in keys],
        sizes=[300],
        rounds=3 if bench.is_quick else 7,
        seconds=0.5 if bench.is_quick else 1.0,
        counted=False,
    )
    lines, failed = sample(plan, bench)
    if failed:
        raise RuntimeError(str(failed))
    found = {line.row: line for line in lines}
    chained, queued = found["roost-chained"], found["roost-queued"]
    yield Result("chained, of the limit", chained.of_limit or 0, 0.7, "x", is_floor=True)
    yield Result("through the queue, of the limit", queued.of_limit or 0, 0.45, "x", is_floor=True)
    yield Result("chained, of SAQ's empty jobs", chained.of_saq or 0, 4, "x", is_floor=True)
    yield Result("through the queue, of SAQ's", queued.of_saq or 0, 2.7, "x", is_floor=True)


def round_trips(bench: Bench) -> Iterator[Result]:
    """Commands that clients send; a step's are the difference between long and short work items."""

    async def enqueue(count: int) -> float:
        async with bench.connect() as roost:
            await roost.enqueue("bench", any_engine=True)
            with bench.server.commands() as counted:
                for _ in range(count):
                    await roost.enqueue("bench", any_engine=True)
            return counted.sent / count

    bench.server.clear()
    yield Result("commands to enqueue", asyncio.run(enqueue(20)), 1, "", is_strict=False)
    for key, what, budget in (
        ("roost-chained", "commands of a chained step", 1.0),
        ("roost-sleeping", "commands of a sleeping step", 2.0),
    ):
        # One work item alone, so that no claim is shared.
        sent = []
        for steps in (5, 45):
            job = bench.job(key, 1, steps=steps, warm_items=1)
            sent.append(count_commands(bench.server, job, pings=False)[0] * steps)
        yield Result(what, (sent[1] - sent[0]) / 40, budget, "", is_strict=False)


def idle(bench: Bench) -> Iterator[Result]:
    """Count an idle worker's commands, renewals and announcements included."""
    sent = idle_module.commands(bench)["sent"]
    yield Result("commands of an idle worker", sent, 2, "/s")


def wake_up(bench: Bench) -> Iterator[Result]:
    """How late 1,000 wake-ups a second begin."""
    job = bench.job("wake", 3_000 if bench.is_quick else 10_000, extra={"per_second": 1000})
    found = measure(bench.server, job).more
    bench.say(f"lateness in ms: { {key: round(value, 1) for key, value in found.items()} }")
    if found["earliest"] < 0:
        bench.say("a work item began before it was due")
    yield Result("wake-up p99 at 1,000 a second", found["p99"], 25, "ms")


def recovery(bench: Bench) -> Iterator[Result]:
    """From kill -9 of a worker in a step to the step's start in another worker."""
    took = []
    for number in range(3 if bench.is_quick else 7):
        bench.server.clear()
        begun = Path(bench.folder) / "begun"
        begun.unlink(missing_ok=True)
        job = bench.job("hold", 1, lanes=2, extra={"lease_ttl": _LEASE_TTL})
        with child(job) as victim:
            victim.hear()
            asyncio.run(_enqueue_held(bench))
            _await_lines(begun, 1)
            with child(job) as heir:
                heir.hear()
                # Other moments between two renewals, each time.
                time.sleep(number * _LEASE_TTL / 3 / 7)
                killed = time.time()
                victim.process.kill()
                last = _await_lines(begun, 2)
                took.append(float(last.split()[1]) - killed)
                heir.tell("end")
    yield Result("recovery beyond the lease TTL, worst", max(took) - _LEASE_TTL, 0.5, "s")


async def _enqueue_held(bench: Bench) -> None:
    async with bench.connect() as roost:
        await roost.enqueue("hold", any_engine=True)


def _await_lines(path: Path, count: int) -> str:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count:
            return lines[count - 1]
        time.sleep(0.005)
    raise RuntimeError("the step was not begun in time")


def storm(bench: Bench) -> Iterator[Result]:
    """Let many leases expire at once, alongside work that keeps stepping."""
    items = 500 if bench.is_quick else 2_000
    cases = [case for case in storm_module.CASES if case.key in ("shared", "apart")]
    found = storm_module.storms(bench, items, cases)
    for case in cases:
        ratio = found[case.title]["late_p99_ratio"]
        yield Result(f"lateness p99 in a storm, of calm; {case.title}", ratio, None, "x")
    wrong = sum(one["twice"] + one["missing"] for one in found.values())
    yield Result("run twice or missing after a storm", wrong, 0, "", is_strict=False)


def status(bench: Bench) -> Iterator[Result]:
    """`roost status`, process start included: embedded server up, bytecode compiled.

    It is compared with the time to import its libraries, because seconds depend on the machine.
    """
    found = idle_module.status(bench)
    took, libraries = found["roost status"], found[idle_module.LIBRARIES]
    what = "`roost status`, of importing its libraries only"
    yield Result(what, took / libraries, 1.6, "x", is_strict=False)
    yield Result("the same, median", took, None, "ms")


def memory(bench: Bench) -> Iterator[Result]:
    """Measure the server's memory for each sleeping work item, and what its history adds."""
    count = 10_000 if bench.is_quick else 100_000

    async def fill(versions: int) -> float:
        bench.server.clear()
        async with bench.connect(history_versions=versions) as roost:
            before = bench.server.counters()
            await filling.add_stepped_sleepers(roost, count)
            return (bench.server.counters() - before).memory / count

    what = f"memory of each of {count:,} sleepers"
    without = asyncio.run(fill(0))
    yield Result(f"{what}, without history", without, 1536, "bytes")
    more = asyncio.run(fill(50)) - without
    yield Result(f"{what}: its first version remembered", more, 200, "bytes")


def flat(bench: Bench) -> Iterator[Result]:
    """Compare what scripts cost with many sleepers and with few: on two servers, in turns."""
    few, many = 1_000, 10_000 if bench.is_quick else 100_000
    passes = 5 if bench.is_quick else 11
    with running(bench.server.program, bench.server.fsync) as other:
        benches = (bench, attrs.evolve(bench, server=other))
        for one, sleepers in zip(benches, (few, many), strict=True):
            one.server.clear()
            asyncio.run(_sleep(one, sleepers))
        pairs = [[asyncio.run(_costs(one)) for one in benches] for _ in range(passes)]
    for kind, what in (
        ("claim", "a claim"),
        ("commit_continue", "a commit that continues"),
        ("commit_sleep", "a commit that sleeps"),
    ):
        low, high = ([getattr(pair[index], kind) for pair in pairs] for index in (0, 1))
        bench.say(
            f"{what}: {middle(low):.0f} µs beside {few:,}, {middle(high):.0f} beside {many:,}"
        )
        ratio = middle([above / below for below, above in zip(low, high, strict=True)])
        name = f"cost flat: {what}, {many:,} sleepers to {few:,}"
        yield Result(name, ratio, 1.5, "x", is_strict=False)


def asking(bench: Bench) -> Iterator[Result]:
    """Compare how long answers to people take beside many work items and few: on two servers."""
    sizes = (1_000, 10_000 if bench.is_quick else 100_000)
    with running(bench.server.program, bench.server.fsync) as other:
        benches = (bench, attrs.evolve(bench, server=other))
        for one, count in zip(benches, sizes, strict=True):
            one.server.clear()
            asyncio.run(asking_module.fill(one, count))
        found = asyncio.run(asking_module.ratios(*benches, sizes))
    for what, ratio in found.items():
        name = f"answers flat: {what}, {sizes[1]:,} to {sizes[0]:,}"
        yield Result(name, ratio, 2, "x", is_strict=False)


def console(bench: Bench) -> Iterator[Result]:
    """Compare how long pages of the console take beside many work items and few."""
    sizes = (1_000, 10_000 if bench.is_quick else 100_000)
    with console_module.places(bench, sizes) as (few, many):
        rows = console_module.compare(few, many, sizes, 15)
        for row in rows + console_module.news(few, many, sizes, 5):
            name = row.get("page") or row["news"]
            budget = console_module.BUDGETS.get(name, 2)
            what = f"console flat: {name}, {sizes[1]:,} to {sizes[0]:,}"
            yield Result(what, row["ratio"], budget, "x", is_strict=False)


def growing(bench: Bench) -> Iterator[Result]:
    """Measure states that grow or change little, and what history costs small ones."""
    for one, sent, time_budget in zip(growing_module.growth(bench), (3, 5), (12, 6), strict=True):
        what = f"growing by 1 KB a step, {one['mode']}"
        yield Result(f"{what}: sent, of the final state", one["sent_of_final"], sent, "x")
        yield Result(f"{what}: written, of it", one["aof_of_final"], sent + 1, "x")
        longer = one["wall_of_constant"]
        yield Result(f"{what}: time, of a constant state's", longer, time_budget, "x")
    edited = growing_module.edits(bench)
    what = "1 MB with 1 KB changed, of storing wholes"
    yield Result(f"{what}: the worker's CPU", edited["client_of_wholes"], 0.4, "x")
    yield Result(f"{what}: sent", edited["sent_of_wholes"], 0.2, "x")
    for one in growing_module.small(bench):
        what = f"history of 400 bytes, {one['mode']}"
        yield Result(f"{what}: server's CPU, of none", one["server_of_none"], 1.35, "x")
        yield Result(f"{what}: worker's CPU, of none", one["client_of_none"], 1.15, "x")
        memory = one["memory_of_a_version"]
        yield Result(f"{what}: memory of a version", memory, 640, "bytes")


async def _sleep(bench: Bench, count: int) -> None:
    async with bench.connect() as roost:
        await filling.add_sleepers(roost, count)


async def _costs(bench: Bench) -> filling.Costs:
    async with bench.connect() as roost:
        return await filling.script_costs(roost, bench.server, _COST_CALLS)


CHECKS: Final = (
    throughput,
    round_trips,
    idle,
    wake_up,
    recovery,
    storm,
    status,
    memory,
    flat,
    asking,
    console,
    growing,
)


@click.command()
@click.option("--only", help=f"Some of: {', '.join(one.__name__ for one in CHECKS)}.")
@options(quick="Take fewer and shorter samples.")
def main(common: Options, *, only: str | None) -> None:
    """Measure every budget; exit with 1 if one is missed or cannot be measured."""
    names = {one.__name__ for one in CHECKS}
    wanted = names if only is None else set(only.split(","))
    if wanted - names:
        raise click.BadParameter(f"no {', '.join(wanted - names)}", param_hint="--only")
    results: list[Result] = []
    failed: dict[str, str] = {}
    with common.server() as (bench, around):
        for check in CHECKS:
            if check.__name__ not in wanted:
                continue
            bench.say(f"{check.__name__} …")
            try:
                results += check(bench)
            except RuntimeError as error:
                bench.say(f"{check.__name__}: {error}")
                failed[check.__name__] = str(error)
    console = wide_console()
    _show(console, results)
    show_surroundings(console, around)
    rows = [one.as_row() for one in results]
    common.write({**around, "failed": failed, "budgets": rows})
    sys.exit(0 if all(one.is_met for one in results) and not failed else 1)


def _verdict(one: Result) -> str:
    if one.budget is None:
        return ""
    return "kept" if one.is_met else "[bold red]missed[/]"


def _show(console: Console, results: Sequence[Result]) -> None:
    table = Table()
    table.add_column("budget")
    for name in ("measured", "asked", "margin"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in results:
        table.add_row(
            one.what,
            f"{cells.cell('', one.measured)} {one.unit}".strip(),
            one.asked,
            cells.margin(one.margin),
            _verdict(one),
        )
    console.print(table)


if __name__ == "__main__":
    main()
