"""``python -m benchmarks``: what a step costs, side by side with the limit and the neighbours."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import click
from rich.console import Console

from benchmarks.catalogue import ROWS
from benchmarks.measuring.bench import Options, options
from benchmarks.measuring.sampling import Plan, sample
from benchmarks.showing.table import explain, show_surroundings, table, wide_console

#: Rows that are other people's systems; a quick run leaves them out.
_PEERS: Final = frozenset({"streaq", "dbos", "langgraph", "celery"})
#: Fields that the table does not show.
_HIDDEN: Final = ("row", "unit", "size", "rates", "durability")


@click.command()
@click.option("--sizes", default="0.3,10,100", show_default=True, help="KB of state in each step.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seconds", type=float, default=1.0, show_default=True, help="Of one sample.")
@click.option("--rows", "keys", help="Only these, separated by commas.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="A .png or .svg.")
@options(quick="Less of all, without the peers: under a minute.")
def main(
    common: Options, *, sizes: str, rounds: int, seconds: float, keys: str | None, plot: Path | None
) -> None:
    """Measure steps a second and what each costs; exit with 1 if something cannot be measured.

    Every row does its work in a fresh process, once in each round, so that drift
    affects all alike. Peers that are not installed are skipped: see requirements.txt.
    """
    chosen = [row for row in ROWS if keys is None or row.key in keys.split(",")]
    if common.is_quick:
        sizes, rounds, seconds = "0.3", 2, min(seconds, 0.5)
        if keys is None:
            chosen = [row for row in chosen if row.key not in _PEERS]
    plan = Plan(
        rows=[row for row in chosen if row.is_installed],
        sizes=[round(float(one) * 1000) for one in sizes.split(",")],
        rounds=rounds,
        seconds=seconds,
    )
    absent = [row for row in chosen if not row.is_installed]
    with common.server() as (bench, around):
        for row in absent:
            bench.say(f"skipped: {row.title}: {row.needs} is not installed")
        lines, failed = sample(plan, bench)
    report = {
        **around,
        "rounds": rounds,
        "skipped": [row.key for row in absent],
        "failed": failed,
        "rows": [attrs.asdict(line) for line in lines],
    }
    _show(wide_console(), report)
    common.write(report)
    if plot is not None:
        from benchmarks.showing.plot import draw

        try:
            draw("steps", report, plot)
        except ImportError:
            click.echo("no plot: matplotlib is not installed", err=True)
    sys.exit(1 if failed else 0)


def _show(console: Console, report: Mapping[str, Any]) -> None:
    """Print a table for each size, and what is on record after each step."""
    lines: Sequence[Mapping[str, Any]] = report["rows"]
    for size in sorted({line["size"] for line in lines if line["size"] is not None}):
        shown = [line for line in lines if line["size"] in (size, None)]
        console.print(table(f"state of {size / 1000:g} KB", shown, _HIDDEN))
    explain(console, "On record after each step:")
    for title, durability in {line["title"]: line["durability"] for line in lines}.items():
        explain(console, f"  {title}: {durability}")
    show_surroundings(console, report)


if __name__ == "__main__":
    main()
