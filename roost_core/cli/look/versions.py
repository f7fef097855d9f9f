"""``roost history`` on a terminal, and how two versions differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from roost_core.cli import colours
from roost_core.cli.look.columns import Column, draw
from roost_core.cli.look.styles import plain
from roost_core.models.history import Version
from roost_core.shown.differences import Line
from roost_core.shown.sizes import size
from roost_core.shown.spans import ago, took

_COLUMNS: Final = (
    Column("v", is_right=True),
    Column("step", least=8, rank=2),
    Column("when", rank=1),
    Column("worker", least=8, rank=5),
    Column("took", rank=3, is_right=True),
    Column("changed", rank=1, is_right=True),
    Column("size", rank=4, is_right=True),
    Column("problem", least=20, rank=1),
)
_MARKS: Final = {"+": colours.GOOD, "-": colours.BAD}


def show(
    console: Console,
    work_id: str,
    versions: Sequence[Version],
    remarks: Iterable[str],
    now: datetime | None = None,
) -> None:
    """Print versions, newest first, and what else there is to say.

    :param now: by this machine's clock, if not given.
    """
    now = datetime.now(UTC) if now is None else now
    draw(console, _COLUMNS, [_cells(one, now) for one in versions])
    console.print()
    for line in (*remarks, *_hints(work_id, versions)):
        console.print(Text(line, "dim"), soft_wrap=True)


def _cells(one: Version, now: datetime) -> list[Text | None]:
    return [
        plain(one.version, "bold"),
        None if one.step is None else plain(one.step),
        None if one.committed_at is None else plain(ago(one.committed_at, now), "dim"),
        None
        if one.worker_id is None
        else plain(one.worker_id, colours.BY_HAND * (one.person is not None)),
        None if one.took_seconds is None else plain(took(one.took_seconds * 1000)),
        None if one.changed_bytes is None else plain(size(one.changed_bytes)),
        None if one.size_bytes is None else plain(size(one.size_bytes), "dim"),
        None if one.problem is None else plain(one.problem, colours.BAD),
    ]


def _hints(work_id: str, versions: Sequence[Version]) -> list[str]:
    readable = [one.version for one in versions if one.is_readable]
    if len(readable) < 2:
        return []
    return [
        f"what the newest changed: roost diff {work_id} {readable[1]} {readable[0]}",
        f"as it was: roost status {work_id} --version {readable[1]}",
    ]


def show_lines(console: Console, heading: str, lines: Iterable[Line]) -> None:
    """Print how two versions differ. The lines are safe to print as they are."""
    console.print(Text(heading, "bold"), soft_wrap=True)
    for line in lines:
        style = _MARKS.get(line.mark, "" if line.mark else "dim")
        text = f"{line.mark} {line.text}" if line.mark else line.text
        console.print(Text(text, style), soft_wrap=True)
