"""``roost status``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from roost_core.cli import output
from roost_core.cli.arguments import VERSION_TYPE, WORK_ID_TYPE
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.naming import with_full_id
from roost_core.cli.work.server_clock import server_now
from roost_core.client.roost import Roost
from roost_core.models.events import Event
from roost_core.models.standing import WorkStatus
from roost_core.shown.plain import status_json
from roost_core.shown.redaction import redacted
from roost_core.values import Json

if TYPE_CHECKING:
    from roost_core.shown.why import Why

#: How many of its newest events a terminal shows.
_EVENTS: Final = 8


@click.command(
    "status",
    cls=RoostCommand,
    example=(
        "roost status w-0123456789abcdef",
        "roost status w-0123456789abcdef | jq .meta.state",
        "roost status w-0123456789abcdef --traceback",
        "roost status w-0123456789abcdef --version 3",
    ),
)
@click.argument("work_id", type=WORK_ID_TYPE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on a terminal, too.")
@click.option("--traceback", is_flag=True, help="Print the whole last error, and nothing else.")
@click.option(
    "--version", type=VERSION_TYPE, metavar="N", help="Show an earlier snapshot: its number."
)
@click.option("--reveal", is_flag=True, help="Show fields named like secrets, too.")
@roost_options()
@click.pass_context
def command(
    ctx: click.Context,
    work_id: str,
    as_json: bool,
    traceback: bool,
    version: int | None,
    reveal: bool,
) -> None:
    """Show all that is known of one work item: a screen on a terminal, elsewhere JSON.

    The object has "meta" (state, step, version, attempts, lease, ...), "item", "snapshot" and
    "forks", the work that began with a version of this one; "forked_from" in "item" is where it
    began itself. "stuck" is where the worker that holds the lease hangs, if it does. While the work
    sleeps because its engine raised RetryLater, "reason" in "meta" is its reason. Payload and data
    are yours and printed as they are; in errors, heartbeats and reasons, passwords and fields named
    like secrets are hidden. The screen cuts them off, and hides such fields there, too.

    This is its current standing. `roost events --work ID` prints how it got there, lease by lease,
    however long ago that was.

    With --version the snapshot is an earlier one, as `roost history` lists them, and fields named
    like secrets are hidden unless you add --reveal. The rest is as it stands now: "meta" has
    "shown_version" and "is_newest" besides.

    If the snapshot cannot be read, as when a large text of it is lost, all the rest is shown,
    "problem" says why, and the exit code is 1.
    """
    session: Session = ctx.obj
    if as_json and traceback:
        raise click.UsageError("--json and --traceback: one or the other")
    if version is not None and traceback:
        raise click.UsageError("--version and --traceback: the last error is of no version")
    if version is not None:
        _show_version(session, work_id, version, as_json=as_json, is_revealed=reveal)
    elif traceback:
        _print_traceback(session.read(lambda roost: _status(roost, work_id)))
    elif as_json or not output.on_terminal():
        _ended(ctx, _print(session, work_id))
    else:
        _ended(ctx, _show(session, work_id, is_revealed=reveal))


def _print(session: Session, work_id: str) -> WorkStatus:
    found = session.read(lambda roost: _status(roost, work_id))
    output.json_line(status_json(found), indent=2)
    if found.problem is not None:
        output.note(found.problem)
    return found


def _ended(ctx: click.Context, found: WorkStatus) -> None:
    """Exit with 1 if the data is not there, so that no script takes it for none."""
    if found.problem is not None:
        ctx.exit(1)


async def _status(roost: Roost, typed: str, version: int | None = None) -> WorkStatus:
    async def read(full: str) -> WorkStatus:
        return await roost.work(full).status(version=version)

    return await with_full_id(roost, typed, read)


def _show_version(
    session: Session, work_id: str, version: int, *, as_json: bool, is_revealed: bool
) -> None:
    async def look(roost: Roost) -> tuple[WorkStatus, datetime | None]:
        return await _status(roost, work_id, version), await server_now(roost)

    found, now = session.read(look)
    if as_json or not output.on_terminal():
        output.json_line(_version_json(found, is_revealed=is_revealed), indent=2)
        return
    from roost_core.cli.look.earlier import show

    show(output.console(), found, now=now, is_revealed=is_revealed)


def _version_json(found: WorkStatus, *, is_revealed: bool) -> dict[str, Json]:
    assert found.snapshot is not None
    plain = status_json(found)
    shown = found.snapshot.version
    plain["meta"].update(shown_version=shown, is_newest=shown == found.meta.version)
    if not is_revealed:
        plain.update(item=redacted(plain["item"]), snapshot=redacted(plain["snapshot"]))
    return plain


def _show(session: Session, work_id: str, *, is_revealed: bool) -> WorkStatus:
    from roost_core.cli.look import screen

    async def read(roost: Roost, full: str) -> tuple[WorkStatus, Sequence[Event], Why]:
        work = roost.work(full)
        return await work.status(), await work.events(limit=_EVENTS), await work.why()

    async def look(roost: Roost) -> tuple[WorkStatus, Sequence[Event], Why, datetime | None]:
        found = await with_full_id(roost, work_id, lambda full: read(roost, full))
        return *found, await server_now(roost)

    status, events, why, now = session.read(look)
    screen.show(output.console(), status, events, now=now, why=why, is_revealed=is_revealed)
    return status


def _print_traceback(status: WorkStatus) -> None:
    from roost_core.shown.tracebacks import whole

    error = status.meta.error
    if error is None:
        output.note(f"{status.meta.work_id} has no error")
        return
    for line in whole(error).splitlines():
        output.data(line)
