"""``roost artifacts``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from roost_core.cli import output
from roost_core.cli.arguments import WORK_ID_TYPE
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.naming import with_full_id
from roost_core.client.roost import Roost
from roost_core.models.snapshot import Artifact
from roost_core.shown.plain import to_plain


@click.command(
    "artifacts",
    cls=RoostCommand,
    example=(
        "roost artifacts w-0123456789abcdef",
        "roost artifact-show $(roost artifacts $ID | tail -1 | cut -f 1)",
    ),
)
@click.argument("work_id", type=WORK_ID_TYPE)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@roost_options()
@click.pass_obj
def command(session: Session, work_id: str, as_json: bool) -> None:
    """List the artifacts that a work item's last snapshot names, in its order.

    Columns: artifact id, extension, size in bytes, name. `roost artifact-show` prints one.
    """

    async def look(roost: Roost, full: str) -> tuple[str, Sequence[Artifact]]:
        return full, await roost.work(full).artifacts()

    full, found = session.read(
        lambda roost: with_full_id(roost, work_id, lambda full: look(roost, full))
    )
    if as_json:
        output.json_line([to_plain(one) for one in found], indent=2)
        return
    if not output.on_terminal():
        for one in found:
            output.data_row([one.artifact_id, one.ext, one.size_bytes, one.name])
        return
    from roost_core.cli.look.artifacts import show

    show(output.console(), full, found)
