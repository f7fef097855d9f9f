"""``roost why``."""

from __future__ import annotations

import click

from roost_core.cli import output
from roost_core.cli.arguments import WORK_ID_TYPE
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.naming import with_full_id
from roost_core.client.roost import Roost
from roost_core.shown.plain import to_plain
from roost_core.shown.redaction import redacted
from roost_core.shown.why import Why


@click.command(
    "why",
    cls=RoostCommand,
    example=("roost why w-0123456789abcdef",),
)
@click.argument("work_id", type=WORK_ID_TYPE)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@roost_options()
@click.pass_obj
def command(session: Session, work_id: str, as_json: bool) -> None:
    """Say why a work item does not run, and what would change that.

    The first line is the answer. Then come the facts behind it, what looks odd (a step beyond its
    usual time, a heartbeat that stopped, steps that change nothing), and the commands that would
    change it; PATH and the like are yours to fill in.

    It changes nothing, and takes as long in a large queue as in a small one. The JSON object has
    "work_id", "state", "sentence", "facts", "odd" and "commands".
    """

    async def ask(roost: Roost) -> Why:
        return await with_full_id(roost, work_id, lambda full: roost.work(full).why())

    found = session.read(ask)
    if as_json:
        output.json_line(redacted(to_plain(found)), indent=2)
        return
    output.data(found.sentence)
    for fact in found.facts:
        output.data(f"  {fact}")
    for one in found.odd:
        output.data(f"  odd: {one}")
    for one in found.commands:
        output.data(f"  try: {one}")
