"""``roost list``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from roost_core.cli import output
from roost_core.cli.arguments import ENGINE_TYPE, QUERY_WORD_TYPE, WholeType
from roost_core.cli.options import roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.querying import QueryCommand, look_option, query_from, tell_of_index
from roost_core.cli.work.server_clock import server_now
from roost_core.client.finding import Matches
from roost_core.client.roost import Roost
from roost_core.errors import NoWorkHere
from roost_core.models.standing import WorkRow
from roost_core.models.work import State
from roost_core.query.terms import Query
from roost_core.shown.plain import row_json, shown_title

if TYPE_CHECKING:
    # In a pipe it does without.
    from roost_core.shown.mending import Bar

_OPTIONS: Final[list[click.Parameter]] = [
    click.Argument(["query"], nargs=-1, type=QUERY_WORD_TYPE),
    click.Option(
        ["--state"],
        type=click.Choice(list(map(str, State))),
        metavar="STATE",
        help=f"Only this state: {', '.join(State)}.",
    ),
    click.Option(["--engine"], type=ENGINE_TYPE, metavar="E", help="Only this engine."),
    click.Option(
        ["--limit"],
        type=WholeType(1, 100_000),
        metavar="N",
        default=50,
        show_default=True,
        help="List at most this many.",
    ),
    click.Option(
        ["--offset"],
        type=WholeType(0),
        metavar="N",
        default=0,
        help="Skip this many first.",
    ),
    click.Option(["--reverse"], is_flag=True, help="The other way round: oldest or last first."),
    look_option(),
    click.Option(["--json", "as_json"], is_flag=True, help="Print a JSON array."),
]


@click.command(
    "list",
    cls=QueryCommand,
    params=_OPTIONS,
    example=(
        "roost list --state failed",
        "roost list state:failed engine:crawl 'error:\"429\"' older:2h",
        "roost list --json | jq -r '.[].work_id'",
    ),
)
@roost_options()
@click.pass_obj
def command(
    session: Session,
    query: tuple[str, ...],
    state: str | None,
    engine: str | None,
    limit: int,
    offset: int,
    reverse: bool,
    look: int,
    as_json: bool,
) -> None:
    """List work items: newest first, or next first for a state that waits for its turn or time.

    A query narrows it: state:failed,cancelled engine:crawl label:team=search error:"429" id:w-12*
    title:refund older:2h newer:30m idle:10m priority:>5 attempts:>=2, a minus in front for what
    should not be so, and words that stand in the id, the title, a label or the error. In a shell,
    put a query with quotes or < or > into single quotes.

    Columns: work id, state, engine, version, step, attempts, due, updated, title. A terminal shows
    those that fit, with the last error, and says what to do about it. A work item whose stored
    bytes do not decode is listed too, and marked. Where there never was any work, the list is
    empty, and standard error says so; on a terminal it does for any empty list.
    """
    asked = query_from(query, state, engine)

    is_for_people = output.on_terminal() and not as_json

    async def read(roost: Roost) -> tuple[Matches, datetime | None, Sequence[Bar]]:
        found = await roost.find(asked, limit=offset + limit, look=look, reverse=reverse)
        bars = await _bars(roost, found.rows[offset:]) if is_for_people else ()
        return found, None if as_json else await server_now(roost), bars

    now: datetime | None = None
    bars: Sequence[Bar] = ()
    found = Matches((), is_all=True, looked=0, is_indexed=True)
    # Most likely it is in another queue: a worker may serve several.
    why: str | None = f"no such work in the queue {session.settings.queue}; --queue names another"
    try:
        found, now, bars = session.read(read)
    except NoWorkHere as nothing:
        output.note(nothing)
        why = None
    rows = found.rows[offset:]
    _print(rows, as_json, now, bars, asked)
    _note(found, len(rows) < limit, why if not rows and is_for_people else None)


def _note(found: Matches, has_room: bool, why: str | None) -> None:
    """Say below the list what it lacks, and why it is empty."""
    if not found.is_all and has_room:
        output.note(f"at least {len(found)}: looked at {found.looked}; --look N looks at more")
    elif why is not None:
        output.note(why)
    tell_of_index(found.is_indexed)


async def _bars(roost: Roost, rows: Sequence[WorkRow]) -> Sequence[Bar]:
    """Return what keeps those from running that could run now, if it keeps all of their engine."""
    engines = {row.meta.engine for row in rows if row.meta.state is State.QUEUED}
    if not engines:
        return ()
    from roost_core.client.barring import bars

    return await bars(roost, engines)


def _print(
    rows: Sequence[WorkRow],
    as_json: bool,
    now: datetime | None,
    bars: Sequence[Bar],
    asked: Query,
) -> None:
    if as_json:
        output.json_line([row_json(row) for row in rows], indent=2)
        return
    if not output.on_terminal():
        for row in rows:
            output.data_row(_cells(row))
        return
    from roost_core.cli.look.listing import show

    show(output.console(), rows, now, bars, asked)


def _cells(row: WorkRow) -> list[object]:
    meta = row.meta
    attempts = f"{meta.attempts}/{meta.max_attempts}"
    return [
        meta.work_id,
        # Programs compare it; JSON tells them of the rest.
        meta.state,
        meta.engine,
        meta.version,
        meta.step,
        attempts,
        meta.due_at,
        meta.updated_at,
        shown_title(row),
    ]
