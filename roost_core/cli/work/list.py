"""``roost list``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from roost_core.cli import output
from roost_core.cli.arguments import ENGINE_TYPE
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.errors import NoWorkHere
from roost_core.models.standing import WorkRow
from roost_core.models.work import State
from roost_core.shown.plain import row_json
from roost_core.shown.verbs import standing


@click.command(
    "list",
    cls=RoostCommand,
    example=(
        "roost list --state failed",
        "roost list --json | jq -r '.[].work_id'",
    ),
)
@click.option(
    "--state",
    type=click.Choice(list(map(str, State))),
    metavar="STATE",
    help=f"Only this state: {', '.join(State)}.",
)
@click.option("--engine", type=ENGINE_TYPE, metavar="E", help="Only this engine.")
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    metavar="N",
    default=50,
    show_default=True,
    help="List at most this many.",
)
@click.option(
    "--offset", type=click.IntRange(0), metavar="N", default=0, help="Skip this many first."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@roost_options()
@click.pass_obj
def command(
    session: Session, state: str | None, engine: str | None, limit: int, offset: int, as_json: bool
) -> None:
    """List work items: newest first, or next first for a state that waits for its turn or time.

    Columns: work id, state, engine, version, step, attempts, due, updated, title. A work item whose
    stored bytes do not decode is listed too, and marked. Where there never was any work, the list
    is empty, and standard error says so; on a terminal it does for any empty list.
    """
    rows: Sequence[WorkRow] = ()
    # Most likely it is in another queue: a worker may serve several.
    why: str | None = f"no such work in the queue {session.settings.queue}; --queue names another"
    try:
        rows = session.read(lambda roost: roost.list(state, engine, limit, offset))
    except NoWorkHere as nothing:
        output.note(nothing)
        why = None
    if as_json:
        output.json_line([row_json(row) for row in rows], indent=2)
        return
    headings = ["work id", "state", "engine", "version", "step", "attempts", "due", "updated"]
    output.table([*headings, "title"], [_cells(row) for row in rows])
    if not rows and why is not None and output.on_terminal():
        output.note(why)


def _cells(row: WorkRow) -> list[object]:
    meta = row.meta
    title = row.title
    if row.is_newer:
        title = "(a newer Roost wrote it)"
    elif not row.is_readable:
        title = "(its stored bytes do not decode)"
    attempts = f"{meta.attempts}/{meta.max_attempts}"
    # Programs compare it; JSON tells them of the rest.
    state = standing(meta.state, meta.wish) if output.on_terminal() else meta.state
    return [
        meta.work_id,
        state,
        meta.engine,
        meta.version,
        meta.step,
        attempts,
        meta.due_at,
        meta.updated_at,
        title,
    ]
