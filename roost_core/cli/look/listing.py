"""``roost list`` on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from roost_core.cli import colours
from roost_core.cli.look.columns import Column, draw
from roost_core.cli.look.styles import plain, state_text
from roost_core.models.standing import WorkMeta, WorkRow
from roost_core.models.work import State
from roost_core.shown.plain import shown_title
from roost_core.shown.spans import ago, ahead
from roost_core.shown.tracebacks import brief

_COLUMNS: Final = (
    Column("work id"),
    Column("state"),
    Column("engine", least=6, rank=3),
    Column("v", rank=6, is_right=True),
    Column("step", least=8, rank=5),
    Column("failed", rank=7),
    Column("when", rank=2),
    Column("error", least=26, rank=1),
    # People know work by its title.
    Column("title", least=12, rank=4),
)
#: A paused item keeps its due time, and is not due.
_DUE: Final = frozenset({State.SLEEPING, State.RETRY_WAIT})


def show(console: Console, rows: Sequence[WorkRow], now: datetime | None = None) -> None:
    """Print a listing, and what to do next where something failed.

    :param now: by this machine's clock, if not given.
    """
    now = datetime.now(UTC) if now is None else now
    draw(console, _COLUMNS, [_cells(row, now) for row in rows])
    if found := hints(rows):
        console.print()
    for hint in found:
        console.print(Text(hint, "dim"), soft_wrap=True)


def hints(rows: Sequence[WorkRow]) -> list[str]:
    """Return commands that help with what the rows show."""
    found = []
    failed = [row.meta.work_id for row in rows if row.meta.state is State.FAILED]
    if failed:
        found.append(f"retry: roost retry {failed[0]}    why: roost why {failed[0]}")
    if len(failed) > 1:
        found.append("retry all that failed: roost retry state:failed")
    paused = [row.meta.work_id for row in rows if row.meta.state is State.PAUSED]
    if paused:
        found.append(f"resume: roost resume {paused[0]}")
    return found


def _cells(row: WorkRow, now: datetime) -> list[Text | None]:
    meta = row.meta
    title = shown_title(row)
    return [
        plain(meta.work_id, "bold"),
        state_text(meta.state, meta.wish, is_brief=True),
        plain(meta.engine),
        plain(meta.version),
        None if meta.step is None else plain(meta.step),
        _failed(meta),
        _when(meta, now),
        None if meta.error is None else plain(brief(meta.error), colours.BAD),
        None if title is None else plain(title),
    ]


def _failed(meta: WorkMeta) -> Text | None:
    text = f"{meta.attempts} of {meta.max_attempts}"
    return plain(text, colours.WARNING) if meta.attempts else None


def _when(meta: WorkMeta, now: datetime) -> Text:
    """Return when it continues, or else when something last became of it."""
    if meta.due_at is not None and meta.state in _DUE:
        return plain(f"due {ahead(meta.due_at, now)}")
    return plain(ago(meta.updated_at, now), "dim")
