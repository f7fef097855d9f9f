"""``roost plugins`` on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from roost_core.cli import colours
from roost_core.cli.look.columns import Column, draw
from roost_core.cli.look.styles import plain

_COLUMNS: Final = (
    Column("plugin"),
    Column("status"),
    Column("source", rank=3),
    Column("distribution", rank=2),
    Column("hooks", least=16, rank=4),
    Column("location", least=12, rank=1),
)
_STYLES: Final = {"ok": colours.GOOD, "broken": colours.VERY_BAD, "blocked": colours.BY_HAND}


def show(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the plugins, and below them in full what is wrong with those that are broken."""
    draw(console, _COLUMNS, [_cells(row) for row in rows])
    for row in rows:
        if row["error"]:
            console.print()
            console.print(plain(f"{row['plugin']}: {row['error']}", colours.BAD), soft_wrap=True)


def _cells(row: Mapping[str, Any]) -> list[Text | None]:
    status = str(row["status"])
    found = [plain(row["plugin"], "bold"), plain(status, _STYLES.get(status, ""))]
    others = (row["source"], row["distribution"], " ".join(row["hooks"]), row["location"])
    return [*found, *(None if one is None else plain(one) for one in others)]
