"""``roost watch``."""

from __future__ import annotations

import click

from roost_core.cli import output
from roost_core.cli.arguments import WORK_ID_TYPE, WholeType
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.naming import with_full_id
from roost_core.cli.work.server_clock import server_clock
from roost_core.cli.work.watching import LinesView, OfQueue, View, watch, watch_queue
from roost_core.client.roost import Roost
from roost_core.models.standing import WorkRow
from roost_core.models.work import State


@click.command(
    "watch",
    cls=RoostCommand,
    example=(
        "roost watch $(roost enqueue --engine watchlist --payload @check.json)",
        "roost watch",
    ),
)
@click.argument("work_id", type=WORK_ID_TYPE, required=False)
@click.option(
    "--limit",
    type=WholeType(0, 10_000),
    metavar="N",
    default=20,
    show_default=True,
    help="Start with this many of the newest events.",
)
@roost_options()
@click.pass_context
def command(ctx: click.Context, work_id: str | None, limit: int) -> None:
    """Follow a work item to its end; then exit with 0 if it is done, else with 1.

    Without an id, follow the whole queue until Ctrl-C. A terminal shows a live view. Elsewhere each
    event is a line, as `roost events` prints it. Leaving with Ctrl-C does not affect the work.
    """
    session: Session = ctx.obj
    if work_id is None:
        view = _view_of_queue(session.settings.queue)
        session.read(lambda roost: watch_queue(roost, view, limit))
        return
    wanted = work_id

    async def follow(roost: Roost) -> WorkRow:
        view = await _view(roost)
        return await with_full_id(roost, wanted, lambda full: watch(roost, full, view, limit))

    meta = session.read(follow).meta
    if meta.state is not State.DONE:
        output.note(output.failure(meta))
        ctx.exit(1)


async def _view(roost: Roost) -> View:
    if not output.on_terminal():
        return LinesView()
    from roost_core.cli.look.live import LiveView

    return LiveView(output.console(), await server_clock(roost))


def _view_of_queue(queue: str) -> OfQueue:
    if not output.on_terminal():
        return LinesView()
    from roost_core.cli.look.live import QueueView

    return QueueView(output.console(), queue)
