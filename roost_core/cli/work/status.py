"""``roost status``."""

from __future__ import annotations

import click

from roost_core.cli import output
from roost_core.cli.arguments import WORK_ID_TYPE
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.querying import with_full_id
from roost_core.client.roost import Roost
from roost_core.models.standing import WorkStatus
from roost_core.shown.plain import status_json


@click.command(
    "status",
    cls=RoostCommand,
    example=("roost status w-0123456789abcdef | jq .meta.state",),
)
@click.argument("work_id", type=WORK_ID_TYPE)
@roost_options()
@click.pass_obj
def command(session: Session, work_id: str) -> None:
    """Print all that is known of one work item, as JSON.

    The object has "meta" (state, step, version, attempts, lease, ...), "item" and "snapshot"; and
    "stuck", where the worker that holds the lease hangs, if it does. While the work sleeps because
    its engine raised RetryLater, "reason" in "meta" is its reason. Payload and data are yours
    and printed as they are; in errors, heartbeats and reasons, passwords and fields named like
    secrets are hidden.

    This is its current standing. `roost events --work ID` prints how it got there, lease by lease,
    however long ago that was.
    """

    async def look(roost: Roost) -> WorkStatus:
        return await with_full_id(roost, work_id, lambda full: roost.work(full).status())

    found = session.read(look)
    output.json_line(status_json(found), indent=2)
    if output.on_terminal():
        output.note(f"how it got there: roost events --work {found.meta.work_id}")
