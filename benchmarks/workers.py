"""``python -m benchmarks.workers``: several worker processes on one queue of one server."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
from rich.console import Console

from benchmarks.measuring.bench import Bench, Options, options
from benchmarks.measuring.figures import middle, spread
from benchmarks.probes import serving
from benchmarks.showing.table import explain, show_modes, show_surroundings, wide_console

#: How work continues after a step: by its name, how many steps one claim may run.
_MODES: Final = {"chained": 50, "through the queue": 1}
#: A guess of one worker's steps a second, so that a sample lasts about as long as asked.
_RATES: Final = {"chained": 6_000, "through the queue": 3_500}
#: More workers than this hardly bring more, so they get no more work.
_USEFUL: Final = 4


def sample(bench: Bench, mode: str, workers: int, seconds: float) -> serving.Run:
    """Run a number of workers on a cleared server.

    :raises RuntimeError: some work was not done.
    """
    bench.server.clear()
    jobs = [
        serving.serve_job(
            bench, queue="bench", warm_queue=f"warm-{number}", slice_steps=_MODES[mode]
        )
        for number in range(workers)
    ]
    items = int(_RATES[mode] * seconds * min(workers, _USEFUL) / jobs[0].steps)
    # Each worker holds as many as it has lanes when the clock starts, and needs more to continue.
    items = max(items, workers * jobs[0].lanes * 3)
    asyncio.run(serving.fill(jobs[0], items))
    run = serving.run_together(jobs, [bench.server])
    asyncio.run(serving.check_done(jobs[0], items))
    return run


def row(mode: str, workers: int, runs: Sequence[serving.Run], one: float) -> dict[str, Any]:
    """Return the figures of one number of workers: medians over the rounds.

    :param one: steps a second of one worker.
    """
    rates = [run.rate for run in runs]
    client = middle([run.client_cpu_us for run in runs])
    server = middle([run.server_cpu_us for run in runs])
    spent = [run.servers[0] for run in runs]
    return {
        "mode": mode,
        "workers": workers,
        "rate": middle(rates),
        "rate_spread": spread(rates),
        "of_one": middle(rates) / one,
        "client_cpu_us": client,
        "server_cpu_us": server,
        "script_us": middle([one.script_us / max(1, one.script_calls) for one in spent]),
        "script_calls": middle([run.servers[0].script_calls / sum(run.steps) for run in runs]),
        "server_share": middle([run.servers[0].cpu / run.seconds for run in runs]),
        "cores_used": middle([run.cores_used for run in runs]),
        "cores_of_others": middle([run.others for run in runs]),
        "server_ceiling": 1e6 / server,
        "cores_ceiling": (os.cpu_count() or 1) * 1e6 / (client + server),
    }


def measure(
    bench: Bench, counts: Sequence[int], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Measure all numbers of workers in turn, in each round."""
    found: dict[tuple[str, int], list[serving.Run]] = defaultdict(list)
    for number in range(rounds):
        for mode in _MODES:
            for workers in counts:
                bench.say(f"round {number + 1} of {rounds}: {mode}, {workers} workers")
                found[mode, workers].append(sample(bench, mode, workers, seconds))
    rows = []
    for mode in _MODES:
        # Without a sample of one worker, each of the fewest stands for one.
        one = middle([run.rate for run in found[mode, counts[0]]]) / counts[0]
        rows += [row(mode, workers, found[mode, workers], one) for workers in counts]
    return rows


def show(console: Console, around: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table for each mode, and how to read it."""
    show_modes(console, "steps", rows)
    explain(
        console,
        "The server runs commands in one thread: its ceiling is 1 s by "
        "the server's CPU for a step.\nThe cores' ceiling is all of them by the CPU of client and "
        "server. The lower one binds.",
    )
    show_surroundings(console, around)


@click.command()
@click.option("--workers", default="1,2,3,4", show_default=True, help="Numbers of processes.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seconds", type=float, default=1.5, show_default=True, help="Of one sample.")
@options(quick="1 to 3 workers, two short rounds.")
def main(common: Options, *, workers: str, rounds: int, seconds: float) -> None:
    """Measure how steps a second grow with worker processes, and what ends the growth."""
    if common.is_quick:
        workers, rounds, seconds = "1,2,3", 2, min(seconds, 0.5)
    counts = sorted(int(one) for one in workers.split(","))
    with common.server() as (bench, around):
        rows = measure(bench, counts, rounds, seconds)
    show(wide_console(), around, rows)
    common.write({**around, "rounds": rounds, "workers": rows})


if __name__ == "__main__":
    main()
