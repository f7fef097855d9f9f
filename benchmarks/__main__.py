"""``python -m benchmarks``: what a step costs, side by side with the limit and the neighbours."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import attrs
import click
from rich.console import Console

from benchmarks import server as server_module
from benchmarks.rows import rows
from benchmarks.sampling import Plan, sample
from benchmarks.table import show, surroundings, wide_console

#: Rows that are other people's ways; a quick run leaves them out.
_PEERS = frozenset({"streaq", "dbos", "langgraph", "celery"})


@click.command()
@click.option("--quick", is_flag=True, help="Less of all, without the peers: under a minute.")
@click.option("--sizes", default="0.3,10,100", show_default=True, help="KB of state in each step.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seconds", type=float, default=1.0, show_default=True, help="Of one sample.")
@click.option("--rows", "keys", help="Only these, separated by commas.")
@click.option("--fsync", type=click.Choice(["no", "everysec", "always"]), default="everysec")
@click.option("--server", help="The server program; the one that Roost runs if not given.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="A .png or .svg.")
def main(
    *,
    quick: bool,
    sizes: str,
    rounds: int,
    seconds: float,
    keys: str | None,
    fsync: str,
    server: str | None,
    json_path: Path | None,
    plot: Path | None,
) -> None:
    """Measure steps a second and what each costs; print a table.

    Every row does its work in a fresh process, once in each round, so that drift
    hits all alike. Peers that are not installed are skipped: see requirements.txt.
    """
    console = wide_console()
    notes = Console(stderr=True, highlight=False)
    chosen = [row for row in rows() if keys is None or row.key in keys.split(",")]
    if quick:
        sizes, rounds, seconds = "0.3", 2, min(seconds, 0.5)
        if keys is None:
            chosen = [row for row in chosen if row.key not in _PEERS]
    absent = [row for row in chosen if not row.is_installed]
    for row in absent:
        notes.print(f"skipped: {row.title}: {row.needs} is not installed")
    plan = Plan(
        rows=[row for row in chosen if row.is_installed],
        sizes=[round(float(one) * 1000) for one in sizes.split(",")],
        rounds=rounds,
        seconds=seconds,
    )
    with (
        tempfile.TemporaryDirectory(prefix="rb-") as folder,
        server_module.running(server, fsync) as running,
    ):
        around = surroundings(running.version)
        lines, failed = sample(plan, running, folder, notes.print)
    show(console, around, lines)
    report = {
        **around,
        "fsync": fsync,
        "rounds": rounds,
        "skipped": [row.key for row in absent],
        "failed": failed,
        "rows": [attrs.asdict(line) for line in lines],
    }
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=2) + "\n")
    if plot is not None:
        from benchmarks.plot import draw

        try:
            draw("steps", report, plot)
        except ImportError:
            notes.print("no plot: matplotlib is not installed")


if __name__ == "__main__":
    main()
