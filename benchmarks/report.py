"""``python -m benchmarks.report``: run all benchmarks, keep their figures, render pages of them.

Each benchmark is a command that writes JSON; this one needs nothing else of it. The
figures are kept in ``<out>/<name>.json``, and from these alone come the tables and
pictures alongside them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from benchmarks.measuring.processes import ROOT, await_end, environment, unwind_when_told
from benchmarks.showing import markdown

#: The benchmarks by name: the module, and its arguments when everything is measured. Fewer
#: rounds where there are many samples, so that all of it takes about 30 minutes.
BENCHMARKS: Final = {
    "steps": ("benchmarks", ("--rounds", "3")),
    "check": ("benchmarks.check", ()),
    "scale": ("benchmarks.scale", ("--full", "--rounds", "2")),
    "workers": ("benchmarks.workers", ()),
    "cluster": ("benchmarks.cluster", ()),
    "storm": ("benchmarks.storm", ()),
    "state": ("benchmarks.state", ()),
    "growing": ("benchmarks.growing", ()),
    "console": ("benchmarks.console", ()),
    "idle": ("benchmarks.idle", ()),
    "profile": ("benchmarks.profile", ()),
}
#: How long a benchmark may take to end after a signal. Seconds.
_GRACE: Final = 60


def measure(name: str, folder: Path, *, is_quick: bool) -> str | None:
    """Run a benchmark, and keep its figures.

    :returns: what went wrong, if something did.
    """
    module, full = BENCHMARKS[name]
    options = ("--quick",) if is_quick else full
    with tempfile.TemporaryDirectory(prefix="rb-") as scratch:
        found = Path(scratch) / "found.json"
        command = [sys.executable, "-m", module, *options, "--json", str(found)]
        code = _run(command)
        if not found.exists():
            return f"{name}: ended with {code} and without figures"
        shutil.copyfile(found, folder / f"{name}.json")
    return f"{name}: ended with {code}" if code else None


def _run(command: Sequence[str]) -> int:
    # In a session of its own, Ctrl-C does not reach it: one signal ends it, and it cleans up.
    process = subprocess.Popen(  # noqa: S603 - our own words
        command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        await_end(process, _GRACE)
        raise


def render(name: str, folder: Path) -> None:
    """Write the table, and the picture if there is one, from the figures that were kept."""
    from benchmarks.showing import plot

    figures = json.loads((folder / f"{name}.json").read_text())
    (folder / f"{name}.md").write_text(markdown.render(figures))
    if name in plot.PLOTS:
        try:
            plot.draw(name, figures, folder / f"{name}.svg")
        except ImportError:
            click.echo(f"{name}: no picture, as matplotlib is not installed", err=True)


@click.command()
@click.option("--quick", is_flag=True, help="Less of all.")
@click.option("--only", help=f"Some of: {', '.join(BENCHMARKS)}.")
@click.option("--render", "is_render", is_flag=True, help="Measure nothing: render what is there.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "docs" / "performance",
    help="The folder of figures, tables and pictures; docs/performance if not given.",
)
def main(*, quick: bool, only: str | None, is_render: bool, out: Path) -> None:
    """Run the benchmarks one after the other, and render what they found.

    Exit with 1 if one failed or missed a budget; the others are rendered anyway.
    """
    names = list(BENCHMARKS) if only is None else only.split(",")
    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise click.BadParameter(f"there is no {', '.join(unknown)}", param_hint="--only")
    # The running benchmark is ended, too.
    unwind_when_told()
    out.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    if not is_render:
        began = time.monotonic()
        for name in names:
            click.secho(f"== {name}", err=True, bold=True)
            failures += filter(None, [_timed(name, out, is_quick=quick)])
        click.echo(f"all: {_duration(time.monotonic() - began)}", err=True)
    for name in names:
        try:
            render(name, out)
        except FileNotFoundError:
            failures.append(f"{name}: there are no figures")
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            failures.append(f"{name}: its figures cannot be rendered: {error!r}")
    for failure in failures:
        click.echo(failure, err=True)
    sys.exit(1 if failures else 0)


def _timed(name: str, folder: Path, *, is_quick: bool) -> str | None:
    began = time.monotonic()
    failure = measure(name, folder, is_quick=is_quick)
    click.echo(f"{name}: {_duration(time.monotonic() - began)}", err=True)
    return failure


def _duration(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


if __name__ == "__main__":
    main()
