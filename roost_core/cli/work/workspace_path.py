"""``roost workspace-path``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from roost_core.cli import plugin_output
from roost_core.cli.arguments import WORK_ID_TYPE
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.naming import with_whole_id
from roost_core.client.roost import Roost


@click.command(
    "workspace-path",
    cls=RoostCommand,
    example=('cd "$(roost workspace-path $ID --workspace-source ~/src/project)"',),
)
@click.argument("work_id", type=WORK_ID_TYPE)
@roost_options("workspace_source")
@click.pass_obj
def command(session: Session, work_id: str) -> None:
    """Print the path of a work item's own folder; create it if necessary.

    It is a git worktree of the workspace source, unless a plugin provides another kind. The id is
    typed in full.
    """

    async def ensure(roost: Roost) -> Path:
        # Only for work that exists: a typo must not leave a folder and a branch.
        row = await with_whole_id(roost, work_id, lambda full: roost.work(full).row())
        workspaces = session.workspaces()
        with plugin_output.to_stderr():  # only the path is printed
            return await asyncio.to_thread(workspaces.ensure, row.meta.work_id)

    # The path is not cleaned: it has to be the folder's true name.
    click.echo(session.read(ensure))
