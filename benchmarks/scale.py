"""``python -m benchmarks.scale``: what stays flat as more and more work items sleep."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import click
from rich.console import Console
from rich.table import Table

from benchmarks import filling
from benchmarks import server as server_module
from benchmarks.harness import Job, child, middle
from benchmarks.rows.roost import settings_of
from benchmarks.server import Server
from benchmarks.table import surroundings, wide_console
from roost_core import Roost

#: Calls that a latency is the median of.
_CALLS = 15


@attrs.define
class Bench:
    """A server that fills up step by step."""

    server: Server
    folder: str
    seconds: float
    sleepers: int = 0

    def job(self, key: str, items: int, **fields: Any) -> Job:
        """Return a job on this server."""
        return Job(row=key, url=self.server.url, folder=self.folder, items=items, **fields)


async def fill(bench: Bench, count: int) -> dict[str, float]:
    """Bring the number of sleepers to ``count``."""
    more = count - bench.sleepers
    async with Roost.connect(settings_of(bench.job("", 1))) as roost:
        before, began = bench.server.counters(), time.perf_counter()
        await filling.add_sleepers(roost, more)
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
    """Run workers beside the sleepers."""
    found = {}
    for key, what, rate in (
        ("roost-chained", "steps a second, chained", 6_000),
        ("roost-queued", "steps a second, through the queue", 3_500),
    ):
        report = _run(bench.job(key, int(rate * bench.seconds / 10)))
        found[what] = report["steps"] / report["seconds"]
    late = _run(bench.job("wake", int(3_000 * bench.seconds), extra={"per_second": 1000}))
    found["wake-up p50, ms late"] = late["p50"]
    found["wake-up p99, ms late"] = late["p99"]
    began = time.perf_counter()
    with child(bench.job("hold", 1, extra={"lease_ttl": 15.0})) as started:
        report = started.hear()
        # The probe waits 0.3 s before its word.
        found["start of a worker process, s"] = time.perf_counter() - began - 0.3
        started.tell("end")
    return found


def _run(job: Job) -> dict[str, Any]:
    with child(job) as running:
        running.hear()
        running.tell("go")
        report = running.hear()
        running.tell("seen")
    return report


@click.command()
@click.option("--full", is_flag=True, help="Go on to a million sleeping work items.")
@click.option("--sizes", help="Other numbers of sleepers, rising, separated by commas.")
@click.option("--seconds", type=float, default=1.0, show_default=True, help="Of one sample.")
@click.option("--fsync", type=click.Choice(["no", "everysec", "always"]), default="everysec")
@click.option("--server", help="The server program; the one that Roost runs if not given.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(
    *,
    full: bool,
    sizes: str | None,
    seconds: float,
    fsync: str,
    server: str | None,
    json_path: Path | None,
) -> None:
    """Measure Roost beside 1,000, 100,000 and, with --full, 1,000,000 sleeping work items."""
    notes = Console(stderr=True, highlight=False)
    counts = [1_000, 100_000, *([1_000_000] if full else [])]
    if sizes is not None:
        counts = sorted(int(one) for one in sizes.split(","))
    found: dict[int, dict[str, float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="rb-") as folder,
        server_module.running(server, fsync) as running,
    ):
        around = surroundings(running.version)
        bench = Bench(running, folder, seconds)
        for count in counts:
            notes.print(f"{count:,} sleepers …")
            found[count] = asyncio.run(fill(bench, count))
            found[count] |= asyncio.run(costs(bench))
            found[count] |= asyncio.run(read(bench))
            found[count] |= serve(bench)
    table = Table()
    table.add_column("sleeping work items")
    for count in counts:
        table.add_column(f"{count:,}", justify="right")
    for name in found[counts[0]]:
        table.add_row(name, *(f"{found[count][name]:,.2f}" for count in counts))
    console = wide_console()
    console.print(table)
    console.print(f"load at the start: {around['load'][0]}", style="dim")
    if json_path is not None:
        json_path.write_text(json.dumps({**around, "sleepers": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
