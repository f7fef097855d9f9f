"""``roost history``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from roost_core.cli import output
from roost_core.cli.arguments import WORK_ID_TYPE, WholeType
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.naming import full_id
from roost_core.cli.work.server_clock import server_now
from roost_core.client.roost import Roost
from roost_core.models.history import Version
from roost_core.shown.counts import counted
from roost_core.shown.plain import to_plain
from roost_core.shown.redaction import redacted
from roost_core.shown.versions import gaps, remarks


@click.command(
    "history",
    cls=RoostCommand,
    example=(
        "roost history w-0123456789abcdef",
        "roost history w-0123456789abcdef --json | jq '.[0].step'",
    ),
)
@click.argument("work_id", type=WORK_ID_TYPE)
@click.option(
    "--limit",
    type=WholeType(1, 100_000),
    metavar="N",
    default=50,
    show_default=True,
    help="List at most this many of the newest.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@roost_options()
@click.pass_obj
def command(session: Session, work_id: str, limit: int, as_json: bool) -> None:
    """List the versions of a work item's snapshot that are kept, newest first.

    Each accepted step makes one. The last 50 are kept, as long as they take no more than 1 MiB
    beside the newest: see the settings history_versions and history_bytes. `roost diff` shows what
    a version has changed, and `roost status --version` the version itself.

    Columns: version, step, time, worker, seconds that the step took, bytes that it changed, size in
    bytes, and why it cannot be read. A worker that begins with @ is a person who put an earlier
    version back. Versions that are missing are told of on standard error.
    """

    async def look(roost: Roost) -> tuple[str, Sequence[Version], datetime | None]:
        full = await full_id(roost, work_id)
        return full, await roost.work(full).history(), await server_now(roost)

    full, found, now = session.read(look)
    if as_json:
        output.json_line([redacted(to_plain(one)) for one in found[:limit]], indent=2)
        return
    if not found:
        output.note(f"{full} has no version yet: no step was accepted")
        return
    told = _told(found, limit, is_off=not session.settings.history_versions)
    if output.on_terminal():
        from roost_core.cli.look.versions import show

        show(output.console(), full, found[:limit], told, now=now)
        return
    for one in found[:limit]:
        output.data_row(_cells(one))
    for line in told:
        output.note(line)


def _told(found: Sequence[Version], limit: int, *, is_off: bool) -> list[str]:
    """Return what there is to say of versions that are missing, or beyond the limit."""
    left = len(found) - limit
    if left <= 0:
        return [*remarks(found, is_off=is_off)]
    return [*gaps(found[:limit]), f"{counted(left, 'earlier one')}: --limit shows more"]


def _cells(one: Version) -> list[object]:
    return [
        one.version,
        one.step,
        one.committed_at,
        one.worker_id,
        one.took_seconds,
        one.changed_bytes,
        one.size_bytes,
        one.problem,
    ]
