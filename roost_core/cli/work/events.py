"""``roost events``."""

from __future__ import annotations

import contextlib

import click

from roost_core.backend.trail import go_on_from
from roost_core.cli import output
from roost_core.cli.arguments import WORK_ID_TYPE, WholeType
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.event_lines import printer
from roost_core.cli.work.naming import with_full_id
from roost_core.client.roost import Roost
from roost_core.errors import NoWorkHere


@click.command(
    "events",
    cls=RoostCommand,
    example=("roost events --work w-0123456789abcdef --follow",),
)
@click.option(
    "--work", "work_id", type=WORK_ID_TYPE, metavar="ID", help="Only those of this work item."
)
@click.option("--follow", "-f", is_flag=True, help="Then follow new events until Ctrl-C.")
@click.option(
    "--limit",
    type=WholeType(0, 100_000),
    metavar="N",
    default=100,
    show_default=True,
    help="Start with this many of the newest.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@roost_options()
@click.pass_obj
def command(session: Session, work_id: str | None, follow: bool, limit: int, as_json: bool) -> None:
    """Print what happened, oldest first: one line for each accepted transition.

    For one work item, what the queue's stream has already dropped comes from the item's own trail:
    there, a line of kind "leased" stands for a whole lease.

    On a terminal each is a sentence. Elsewhere the columns are: time, kind, work id, engine,
    version, state, data. Passwords in URLs and fields named like secrets are hidden.
    """
    show_event = printer(as_json=as_json, of_one=work_id is not None)

    async def show(roost: Roost, of_work: str | None) -> None:
        # The place to continue from is taken first, so nothing falls in between.
        newest = await roost.events(limit=1) if follow else ()
        source = roost if of_work is None else roost.work(of_work)
        found = await source.events(limit=limit) if limit else ()
        for event in found:
            show_event(event)
        if not follow:
            return
        last = go_on_from(*found, *newest)
        async with contextlib.aclosing(source.follow(after=last)) as events:
            async for event in events:
                show_event(event)

    async def begin(roost: Roost) -> None:
        if work_id is None:
            await show(roost, None)
        else:
            await with_full_id(roost, work_id, lambda full: show(roost, full))

    try:
        session.read(begin)
    except NoWorkHere as nothing:
        # The requested work item is missing, and no event to follow will ever come.
        if work_id is not None or follow:
            raise
        output.note(nothing)
