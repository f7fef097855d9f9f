"""``python -m benchmarks.cluster``: queues on the three nodes of a cluster, a worker for each."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import attrs
import click
from rich.console import Console

from benchmarks.measuring.bench import Bench, Options, options
from benchmarks.measuring.figures import middle, spread
from benchmarks.measuring.nodes import Node
from benchmarks.probes import serving
from benchmarks.showing.table import explain, show_surroundings, table, wide_console

#: A guess of one queue's steps a second, so that a sample lasts about as long as asked.
_RATE: Final = 6_000


def sample(bench: Bench, nodes: Sequence[Node], queues: int, seconds: float) -> serving.Run:
    """Run a worker on each of a number of queues, assigned to the nodes in turn.

    :raises RuntimeError: work was not done, or not where it was enqueued, or a node redirected a
        client.
    """
    for node in nodes:
        node.server.clear()
    homes = [nodes[number % len(nodes)] for number in range(queues)]
    jobs = [
        serving.serve_job(
            attrs.evolve(bench, server=home.server),
            queue=next(islice(home.queues("bench"), number, None)),
            warm_queue=next(home.queues("warm")),
        )
        for number, home in enumerate(homes)
    ]
    items = max(int(_RATE * seconds / jobs[0].steps), 3 * jobs[0].lanes)
    for job in jobs:
        asyncio.run(serving.fill(job, items))
    run = serving.run_together(jobs, [node.server for node in nodes])
    for job, steps in zip(jobs, run.steps, strict=True):
        asyncio.run(serving.check_done(job, items))
        if steps != items * job.steps:
            raise RuntimeError(f"{job.extra['queue']}: {steps} steps of {items} work items")
    refusals = {node.server.url: found for node in nodes if (found := node.refusals())}
    if refusals:
        raise RuntimeError(f"nodes refused commands: {refusals}")
    return run


def node_steps(run: serving.Run) -> list[int]:
    """Return the steps that each node had; queues take the nodes in turn."""
    return [sum(run.steps[index :: len(run.servers)]) for index in range(len(run.servers))]


def ceiling(run: serving.Run) -> float:
    """Return the steps a second of the nodes that have queues, by their own CPU alone."""
    pairs = zip(node_steps(run), run.servers, strict=True)
    return sum(steps / spent.cpu for steps, spent in pairs if steps)


def row(queues: int, runs: Sequence[serving.Run], one: float) -> dict[str, Any]:
    """Return the figures of one number of queues: medians over the rounds.

    :param one: steps a second of one queue alone.
    """
    rates = [run.rate for run in runs]
    cores = os.cpu_count() or 1

    def middles(of_runs: Sequence[Sequence[float]]) -> list[float]:
        return [middle(each) for each in zip(*of_runs, strict=True)]

    own_rates = [
        [steps / own for steps, own in zip(run.steps, run.own_seconds, strict=True)] for run in runs
    ]
    return {
        "queues": queues,
        "rate": middle(rates),
        "rate_spread": spread(rates),
        "of_one": middle(rates) / one,
        "queue_rates": middles(own_rates),
        "client_cpu_us": middle([run.client_cpu_us for run in runs]),
        "server_cpu_us": middle([run.server_cpu_us for run in runs]),
        "client_shares": middles([[cpu / run.seconds for cpu in run.client_cpu] for run in runs]),
        "server_shares": middles([[one.cpu / run.seconds for one in run.servers] for run in runs]),
        "cores_used": middle([run.cores_used for run in runs]),
        "machine_share": middle([(run.cores_used + run.others) / cores for run in runs]),
        "server_ceiling": middle([ceiling(run) for run in runs]),
        "cores_ceiling": middle([cores * run.rate / run.cores_used for run in runs]),
    }


def measure(
    bench: Bench, nodes: Sequence[Node], counts: Sequence[int], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Measure all numbers of queues in turn, in each round."""
    found: dict[int, list[serving.Run]] = defaultdict(list)
    for number in range(rounds):
        for queues in counts:
            bench.say(f"round {number + 1} of {rounds}: {queues} queues")
            found[queues].append(sample(bench, nodes, queues, seconds))
    # Without a sample of one queue, each of the fewest stands for one.
    one = middle([run.rate for run in found[counts[0]]]) / counts[0]
    return [row(queues, found[queues], one) for queues in counts]


def show(console: Console, around: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the table, and how to read it."""
    console.print(table("steps, chained, one worker process for each queue", rows))
    explain(
        console,
        f"{around['cores']} cores for all nodes and workers; at most "
        f"{max(one['machine_share'] for one in rows):.0%} of the machine was busy, other programs "
        "included.\nThe ceiling by server is what the nodes that have queues could do by their own "
        "CPU for a step;\nthat by cores is the rate if workers and nodes had this machine's cores "
        "to themselves and never waited.\nWork done in each queue is what was enqueued in it, and "
        "no node sent a client away (MOVED, CROSSSLOT).",
    )
    show_surroundings(console, around)


@click.command()
@click.option("--queues", default="1,2,3,6", show_default=True, help="Numbers of queues.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seconds", type=float, default=1.5, show_default=True, help="Of one sample.")
@options(quick="One short round.")
def main(common: Options, *, queues: str, rounds: int, seconds: float) -> None:
    """Measure how steps a second grow with queues on the nodes of a Redis Cluster."""
    if common.is_quick:
        rounds, seconds = 1, min(seconds, 0.5)
    counts = sorted(int(one) for one in queues.split(","))
    with common.cluster() as (bench, nodes, around):
        rows = measure(bench, nodes, counts, rounds, seconds)
    show(wide_console(), around, rows)
    common.write({**around, "rounds": rounds, "cluster": rows})


if __name__ == "__main__":
    main()
