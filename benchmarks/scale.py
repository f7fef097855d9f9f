"""``python -m benchmarks.scale``: what stays flat as more and more work items sleep."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import click
from rich.console import Console
from rich.table import Table

from benchmarks import cells, filling
from benchmarks import server as server_module
from benchmarks.harness import ROOT, Job, child, environment, middle
from benchmarks.rows.roost import settings_of
from benchmarks.server import Server
from benchmarks.table import surroundings, wide_console
from roost_core import Roost
from roost_core.models import State

#: Calls that a latency is the median of, and of whole commands.
_CALLS: Final = 15
_COMMANDS: Final = 5
#: Sleepers are enqueued in portions, so that this process need not hold a million requests.
_PORTION: Final = 50_000
#: Work items of one purge, as a worker asks for.
_PURGED: Final = 500


@attrs.define
class Bench:
    """A server that fills up step by step."""

    server: Server
    folder: str
    seconds: float
    rounds: int
    say: Callable[[str], None]
    sleepers: int = 0

    def job(self, key: str, items: int, **fields: Any) -> Job:
        """Return a job on this server."""
        return Job(row=key, url=self.server.url, folder=self.folder, items=items, **fields)


async def fill(bench: Bench, count: int) -> dict[str, float]:
    """Bring the number of sleepers to ``count``."""
    more = count - bench.sleepers
    async with Roost.connect(settings_of(bench.job("", 1))) as roost:
        before, began = bench.server.counters(), time.perf_counter()
        for start in range(0, more, _PORTION):
            await filling.add_sleepers(roost, min(_PORTION, more - start))
            if more > _PORTION:
                bench.say(f"  {min(more, start + _PORTION):,} of {more:,} enqueued")
        took, spent = time.perf_counter() - began, bench.server.counters() - before
    bench.sleepers = count
    return {"enqueued a second": more / took, "bytes of memory each": spent.memory / more}


async def read(bench: Bench) -> dict[str, float]:
    """Time what people look at."""
    async with Roost.connect(settings_of(bench.job("", 1))) as roost:
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
    async with Roost.connect(settings_of(bench.job("", 1))) as roost:
        found = [attrs.asdict(await filling.script_costs(roost, bench.server)) for _ in range(5)]
    return {f"{name}, server µs": middle([one[name] for one in found]) for name in found[0]}


def serve(bench: Bench) -> dict[str, float]:
    """Run workers beside the sleepers; of several samples the medians."""
    found = {}
    for key, what, rate in (
        ("roost-chained", "steps a second, chained", 6_000),
        ("roost-queued", "steps a second, through the queue", 3_500),
    ):
        job = bench.job(key, int(rate * bench.seconds / 10))
        found[what] = middle([_rate(_run(job)) for _ in range(bench.rounds)])
    job = bench.job("wake", int(3_000 * bench.seconds), extra={"per_second": 1000})
    late = [_run(job) for _ in range(bench.rounds)]
    found["wake-up p50, ms late"] = middle([one["p50"] for one in late])
    found["wake-up p99, ms late"] = middle([one["p99"] for one in late])
    found["start of a worker process, s"] = middle([_start(bench) for _ in range(bench.rounds)])
    return found


def _start(bench: Bench) -> float:
    began = time.perf_counter()
    with child(bench.job("hold", 1, extra={"lease_ttl": 15.0})) as started:
        started.hear()
        # The probe waits 0.3 s before its word.
        took = time.perf_counter() - began - 0.3
        started.tell("end")
    return took


async def purge(bench: Bench) -> dict[str, float]:
    """Purge what a worker has finished: it must go faster than work can end.

    Work of a single step ends most often.
    """
    async with Roost.connect(settings_of(bench.job("", 1))) as roost:

        async def chain() -> list[float]:
            took = []
            gone = _PURGED
            while gone == _PURGED:
                began = time.perf_counter()
                gone = len(await roost.backend.purge(0, None, _PURGED))
                took.append(time.perf_counter() - began)
            return took

        await chain()
        job = bench.job("roost-chained", int(5_000 * bench.seconds), steps=1)
        report = await asyncio.to_thread(_run, job)
        done = (await roost.counts())[State.DONE]
        took = await chain()
    return {
        "work items finished a second, one step each": _rate(report),
        "work items purged a second": done / sum(took),
        f"purge of {_PURGED}, longest, ms": 1000 * max(took),
    }


def commands(bench: Bench) -> dict[str, float]:
    """Time the commands that people type, process start included; bytecode is compiled."""
    home = Path(bench.folder) / "home"
    words = {key: value for key, value in environment().items() if not key.startswith("PYTHON")}
    words |= {
        "ROOST_REDIS_URL": bench.server.url,
        "ROOST_HOME": str(home),
        "PYTHONPYCACHEPREFIX": f"{bench.folder}/bytecode",
    }

    def milliseconds(*arguments: str) -> float:
        took = []
        # The first one compiles.
        for _ in range(1 + _COMMANDS):
            began = time.perf_counter()
            subprocess.run(  # noqa: S603 - our own words
                [sys.executable, "-m", "roost_core.cli", *arguments],
                cwd=ROOT,
                env=words,
                check=True,
                capture_output=True,
            )
            took.append(1000 * (time.perf_counter() - began))
        return middle(took[1:])

    return {
        "`roost list --limit 50`, ms": milliseconds("list", "--limit", "50"),
        "`roost status`, ms": milliseconds("status", asyncio.run(_newest(bench))),
    }


async def _newest(bench: Bench) -> str:
    async with Roost.connect(settings_of(bench.job("", 1))) as roost:
        (row,) = await roost.list(limit=1)
    return row.meta.work_id


def _rate(report: Mapping[str, Any]) -> float:
    return float(report["steps"] / report["seconds"])


def _run(job: Job) -> dict[str, Any]:
    with child(job) as running:
        running.hear()
        running.tell("go")
        report = running.hear()
        running.tell("seen")
    return report


def measure(bench: Bench, counts: Sequence[int]) -> dict[str, dict[str, float]]:
    """Measure everything beside each number of sleepers.

    :returns: by number of sleepers, what was measured.
    """
    found: dict[str, dict[str, float]] = {}
    for count in counts:
        bench.say(f"{count:,} sleepers")
        figures = asyncio.run(fill(bench, count))
        figures |= asyncio.run(costs(bench))
        figures |= asyncio.run(read(bench))
        bench.say("  workers")
        figures |= serve(bench)
        bench.say("  purge and commands")
        figures |= asyncio.run(purge(bench))
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
    console.print(f"{around['server']}; load at the start: {around['load'][0]}", style="dim")


@click.command()
@click.option("--quick", is_flag=True, help="Beside 1,000 and 10,000, one short round.")
@click.option("--full", is_flag=True, help="Go on to a million: minutes, and 2 GB of memory.")
@click.option("--sizes", help="Other numbers of sleepers, rising, separated by commas.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seconds", type=float, default=1.0, show_default=True, help="Of one sample.")
@click.option("--fsync", type=click.Choice(["no", "everysec", "always"]), default="everysec")
@click.option("--server", help="The server program; the one that Roost runs if not given.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(
    *,
    quick: bool,
    full: bool,
    sizes: str | None,
    rounds: int,
    seconds: float,
    fsync: str,
    server: str | None,
    json_path: Path | None,
) -> None:
    """Measure Roost beside 1,000, 10,000, 100,000 and, with --full, 1,000,000 sleepers."""
    notes = Console(stderr=True, highlight=False)
    counts = [1_000, 10_000, 100_000, *([1_000_000] if full else [])]
    if quick:
        counts, rounds, seconds = [1_000, 10_000], 1, min(seconds, 0.5)
    if sizes is not None:
        counts = sorted(int(one) for one in sizes.split(","))
    with (
        tempfile.TemporaryDirectory(prefix="rb-") as folder,
        server_module.running(server, fsync) as running,
    ):
        around = surroundings(running.version)
        found = measure(Bench(running, folder, seconds, rounds, notes.print), counts)
    show(wide_console(), around, found)
    if json_path is not None:
        report = {**around, "fsync": fsync, "rounds": rounds, "sleepers": found}
        json_path.write_text(json.dumps(cells.rounded(report), indent=2) + "\n")


if __name__ == "__main__":
    main()
