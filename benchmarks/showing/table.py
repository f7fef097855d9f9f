"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.showing import cells

#: The tables' width, in characters.
_WIDTH: Final = 132


def wide_console() -> Console:
    """Return a console that does not squeeze a table where it is not a terminal."""
    console = Console()
    return console if console.width >= _WIDTH else Console(width=_WIDTH)


def table(title: str, rows: Sequence[Mapping[str, Any]], without: Sequence[str] = ()) -> Table:
    """Return rows of figures, each with the same fields, as a table."""
    names = [name for name in rows[0] if name not in without]
    made = Table(title=title, title_justify="left")
    for name in names:
        is_text = isinstance(rows[0][name], str)
        made.add_column(cells.head(name), justify="left" if is_text else "right", no_wrap=is_text)
    for row in rows:
        made.add_row(*(cells.cell(name, row[name]) for name in names))
    return made


def show_modes(console: Console, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table for each ``mode`` of the rows, in the order in which they come."""
    for mode in dict.fromkeys(row["mode"] for row in rows):
        shown = [row for row in rows if row["mode"] == mode]
        console.print(table(f"{title}, {mode}", shown, without=("mode",)))


def explain(console: Console, text: str) -> None:
    """Print how to read a table."""
    console.print(text, style="dim", highlight=False, soft_wrap=True)


def show_surroundings(console: Console, around: Mapping[str, Any]) -> None:
    """Print what was measured with."""
    versions = ", ".join(f"{name} {version}" for name, version in around["versions"].items())
    explain(
        console,
        f"{around['server']}, append-only file {around['fsync']}, Python {around['python']}, "
        f"{versions}\n{around['cores']} cores, {around['cpu']}, {around['system']}; "
        f"load at the start {around['load'][0]}",
    )
