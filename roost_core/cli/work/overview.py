"""``roost overview``."""

from __future__ import annotations

import click

from roost_core.cli import output
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.shown.plain import overview_json


@click.command(
    "overview",
    cls=RoostCommand,
    example=("roost overview", "roost overview --json | jq '.failures[] | .command'"),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on a terminal, too.")
@roost_options()
@click.pass_obj
def command(session: Session, as_json: bool) -> None:
    """Show the whole queue at one glance: a screen on a terminal, elsewhere JSON.

    First comes what needs a person: dead letters by error, with the command that puts a group of
    them back. Then what looks odd, why work waits, by cause, with the command that changes it, and
    what workers and resources are busy with. Two lines of small bars are the last hour, a minute
    each.

    It changes nothing, and takes about as long in a large queue as in a small one. What
    `roost why ID` says of one work item, this says of all, in the same words.
    """
    found = session.read(lambda roost: roost.overview())
    if as_json or not output.on_terminal():
        output.json_line(overview_json(found), indent=2)
        return
    from roost_core.cli.look.overview import show

    show(output.console(), found)
