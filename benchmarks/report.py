"""``python -m benchmarks.report``: run all benchmarks, keep their figures, render pages of them.

Each benchmark is a command that writes JSON; this one needs nothing else of it. The
figures are kept in ``<out>/<name>.json``, and from these alone come the tables and
pictures beside them.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from benchmarks import cells, markdown
from benchmarks.harness import ROOT, environment

#: The benchmarks by name: the module, and what it is told when all is to be measured.
BENCHMARKS: Final = {
    "steps": ("benchmarks", ()),
    "budgets": ("benchmarks.check", ()),
    "scale": ("benchmarks.scale", ("--full",)),
    "workers": ("benchmarks.workers", ()),
    "cluster": ("benchmarks.cluster", ()),
    "storm": ("benchmarks.storm", ()),
    "state": ("benchmarks.state", ()),
    "idle": ("benchmarks.idle", ()),
}
#: How long a benchmark may take to end when it is told to. Seconds.
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
        figures = json.loads(found.read_text())
    text = json.dumps(cells.rounded(figures), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / f"{name}.json").write_text(text + "\n")
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
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def render(name: str, folder: Path) -> None:
    """Write the table, and the picture if there is one, from the figures that were kept."""
    from benchmarks import plot

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

    Exit with 1 if one failed or missed a budget; the others are rendered all the same.
    """
    names = list(BENCHMARKS) if only is None else only.split(",")
    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise click.BadParameter(f"there is no {', '.join(unknown)}", param_hint="--only")
    # A polite end unwinds like Ctrl-C, so that the benchmark that runs is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out.mkdir(parents=True, exist_ok=True)
    failures = []
    if not is_render:
        for name in names:
            click.secho(f"== {name}", err=True, bold=True)
            failures.append(measure(name, out, is_quick=quick))
    for name in names:
        if (out / f"{name}.json").exists():
            render(name, out)
    for failure in filter(None, failures):
        click.echo(failure, err=True)
    sys.exit(1 if any(failures) else 0)


if __name__ == "__main__":
    main()
