"""``roost list`` on a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from roost_core.cli import colours
from roost_core.cli.look.columns import Column, draw
from roost_core.cli.look.styles import plain, state_text
from roost_core.models.standing import WorkMeta, WorkRow
from roost_core.models.work import State
from roost_core.query.terms import Op, Query, Term, Test
from roost_core.shown.mending import Bar, next_command
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


def show(
    console: Console,
    rows: Sequence[WorkRow],
    now: datetime | None = None,
    bars: Sequence[Bar] = (),
    asked: Query | None = None,
) -> None:
    """Print a listing, and what to do next where something failed or does not run.

    :param now: by this machine's clock, if not given.
    :param bars: what keeps work of these rows from running.
    :param asked: the query that these rows fit; all work, if not given.
    """
    now = datetime.now(UTC) if now is None else now
    draw(console, _COLUMNS, [_cells(row, now) for row in rows])
    if found := [*hints(rows, asked), *_told(bars, console.width)]:
        console.print()
    for hint in found:
        console.print(Text(hint, "dim"), soft_wrap=True)


def _told(bars: Sequence[Bar], width: int) -> Iterator[str]:
    """Yield what bars work: in two lines where one is too long, so that the command is whole."""
    for one in bars:
        hint = plain(one.hint)
        if hint.cell_len <= width:
            yield hint.plain
        else:
            words, command = one.hint_lines
            yield from (plain(words).plain, plain(command).plain)


def hints(rows: Sequence[WorkRow], asked: Query | None = None) -> list[str]:
    """Return commands that help with what the rows show, and with no other work."""
    found = []
    failed = [row.meta for row in rows if row.meta.state is State.FAILED]
    paused = [row.meta for row in rows if row.meta.state is State.PAUSED]
    for first in (*failed[:1], *paused[:1]):
        by_people = next_command(first)
        assert by_people is not None
        why = f"    why: roost why {first.work_id}" if first.state is State.FAILED else ""
        found.append(f"{': '.join(by_people)}{why}")
        if first.state is State.FAILED and len(failed) > 1:
            found.append(f"retry all that failed: roost retry {_all_failed(asked or Query())}")
    return found


def _all_failed(asked: Query) -> str:
    """Return the query of dead letters among what was asked for, as a shell takes it."""
    state = Term("state", (Test(Op.IS, State.FAILED.value),))
    others = (term for term in asked.terms if term.key != state.key)
    return shlex.quote(str(Query((state, *others))))


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
