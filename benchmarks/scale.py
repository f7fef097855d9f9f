"""``python -m benchmarks.scale``: what stays flat as more and more work items sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import click
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import filling
from benchmarks.measuring.bench import Bench, Options, options
from benchmarks.measuring.figures import middle
from benchmarks.measuring.harness import child, measure_beside
from benchmarks.measuring.processes import Processes
from benchmarks.showing import cells
from benchmarks.showing.table import show_surroundings, wide_console
from roost_core.backend import Purged
from roost_core.models import State

#: Calls that a latency is the median of, and of whole commands.
_CALLS: Final = 15
_COMMANDS: Final = 5
#: Sleepers are enqueued in portions, so that this process need not hold a million requests.
_PORTION: Final = 50_000
#: Work items of one purge, as a worker asks for.
_PURGED: Final = 100


async def fill(bench: Bench, more: int) -> dict[str, float]:
    """Add this many sleepers."""
    async with bench.connect() as roost:
        before, began = bench.server.counters(), time.perf_counter()
        for start in range(0, more, _PORTION):
            await filling.add_sleepers(roost, min(_PORTION, more - start))
            if more > _PORTION:
                bench.say(f"  {min(more, start + _PORTION):,} of {more:,} enqueued")
        took, spent = time.perf_counter() - began, bench.server.counters() - before
    return {"enqueued a second": more / took, "bytes of memory each": spent.memory / more}


async def read(bench: Bench) -> dict[str, float]:
    """Time what people look at."""
    async with bench.connect() as roost:
        return {
            "list, first 50, ms": await _milliseconds(lambda: roost.list(limit=50)),
            "list sleeping, first 50, ms": await _milliseconds(
                lambda: roost.list(state="sleeping", limit=50)
            ),
            "counts, ms": await _milliseconds(roost.counts),
        }


async def _milliseconds(call: Callable[[], Awaitable[object]]) -> float:
    took = []
    for _ in range(_CALLS):
        began = time.perf_counter()
        await call()
        took.append(1000 * (time.perf_counter() - began))
    return middle(took)


async def costs(bench: Bench) -> dict[str, float]:
    """Read the scripts' cost on the server: medians of five passes."""
    async with bench.connect() as roost:
        found = [attrs.asdict(await filling.script_costs(roost, bench.server)) for _ in range(5)]
    return {f"{name}, server µs": middle([one[name] for one in found]) for name in found[0]}


def serve(bench: Bench, rounds: int, seconds: float) -> dict[str, float]:
    """Run workers alongside the sleepers; return the medians of several samples."""
    found = {}
    for key, what, rate in (
        ("roost-chained", "steps a second, chained", 6_000),
        ("roost-queued", "steps a second, through the queue", 3_500),
    ):
        job = bench.job(key, int(rate * seconds / 10))
        found[what] = middle([measure_beside(bench.server, job).rate for _ in range(rounds)])
    job = bench.job("wake", int(3_000 * seconds), extra={"per_second": 1000})
    late = [measure_beside(bench.server, job).more for _ in range(rounds)]
    found["wake-up p50, ms late"] = middle([one["p50"] for one in late])
    found["wake-up p99, ms late"] = middle([one["p99"] for one in late])
    found["start of a worker process, s"] = middle([_start(bench) for _ in range(rounds)])
    return found


def _start(bench: Bench) -> float:
    began = time.perf_counter()
    with child(bench.job("hold", 1, extra={"lease_ttl": 15.0})) as started:
        started.hear()
        # The probe waits 0.3 s before its signal.
        took = time.perf_counter() - began - 0.3
        started.tell("end")
    return took


async def purge(bench: Bench, seconds: float) -> dict[str, float]:
    """Purge what a worker has finished: it must go faster than work can end.

    Work of a single step ends most often.
    """
    async with bench.connect() as roost:

        async def chain() -> list[float]:
            took = []
            gone: Sequence[Purged] = ()
            while not took or len(gone) == _PURGED:
                began = time.perf_counter()
                gone = await roost.ledger.purge(0, None, _PURGED, gone)
                took.append(time.perf_counter() - began)
            return took

        await chain()
        job = bench.job("roost-chained", int(5_000 * seconds), steps=1)
        sample = await asyncio.to_thread(measure_beside, bench.server, job)
        done = (await roost.counts())[State.DONE]
        took = await chain()
    return {
        "work items finished a second, one step each": sample.rate,
        "work items purged a second": done / sum(took),
        f"purge of {_PURGED}, longest, ms": 1000 * max(took),
    }


def commands(bench: Bench) -> dict[str, float]:
    """Time the commands that people type, process start included; bytecode is compiled."""
    processes = Processes(bench.folder, bench.server.url)

    def milliseconds(*arguments: str) -> float:
        processes.roost(*arguments)  # compiles
        return 1000 * middle([processes.roost(*arguments)[1] for _ in range(_COMMANDS)])

    return {
        "`roost list --limit 50`, ms": milliseconds("list", "--limit", "50"),
        "`roost status`, ms": milliseconds("status", asyncio.run(_newest(bench))),
    }


async def _newest(bench: Bench) -> str:
    async with bench.connect() as roost:
        (row,) = await roost.list(limit=1)
    return row.meta.work_id


def measure(
    bench: Bench, counts: Sequence[int], rounds: int, seconds: float
) -> dict[str, dict[str, float]]:
    """Measure everything with each number of sleepers.

    :returns: by number of sleepers, what was measured.
    """
    found: dict[str, dict[str, float]] = {}
    sleepers = 0
    for count in counts:
        bench.say(f"{count:,} sleepers")
        figures = asyncio.run(fill(bench, count - sleepers))
        sleepers = count
        figures |= asyncio.run(costs(bench))
        figures |= asyncio.run(read(bench))
        bench.say("  workers")
        figures |= serve(bench, rounds, seconds)
        bench.say("  purge and commands")
        figures |= asyncio.run(purge(bench, seconds))
        figures |= commands(bench)
        found[str(count)] = figures
    return found


def show(console: Console, around: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Print a column for each number of sleepers."""
    table = Table()
    table.add_column("sleeping work items")
    for count in found:
        table.add_column(f"{int(count):,}", justify="right")
    for name in next(iter(found.values())):
        table.add_row(name, *(cells.cell(name, figures[name]) for figures in found.values()))
    console.print(table)
    show_surroundings(console, around)


@click.command()
@click.option("--full", is_flag=True, help="Continue to a million: minutes, and 2 GB of memory.")
@click.option("--sizes", help="Other numbers of sleepers, rising, separated by commas.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seconds", type=float, default=1.0, show_default=True, help="Of one sample.")
@options(quick="Beside 1,000 and 10,000, one short round.")
def main(common: Options, *, full: bool, sizes: str | None, rounds: int, seconds: float) -> None:
    """Measure Roost with 1,000, 10,000, 100,000 and, with --full, 1,000,000 sleepers."""
    counts = [1_000, 10_000, 100_000, *([1_000_000] if full else [])]
    if common.is_quick:
        counts, rounds, seconds = [1_000, 10_000], 1, min(seconds, 0.5)
    if sizes is not None:
        counts = sorted(int(one) for one in sizes.split(","))
    with common.server() as (bench, around):
        found = measure(bench, counts, rounds, seconds)
    show(wide_console(), around, found)
    common.write({**around, "rounds": rounds, "sleepers": found})


if __name__ == "__main__":
    main()
