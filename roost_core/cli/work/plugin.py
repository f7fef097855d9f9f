"""The commands about work."""

from __future__ import annotations

import click

from roost_core.cli.lazy import LazyCommand
from roost_core.markers import hookimpl

_HERE = "roost_core.cli.work"


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add them, to be imported when they are typed."""
    for command in (
        LazyCommand("enqueue", f"{_HERE}.enqueue:command", "Enqueue work and print its id."),
        LazyCommand(
            "status",
            f"{_HERE}.status:command",
            "Show everything about one work item.",
            is_short=True,
        ),
        LazyCommand(
            "overview",
            f"{_HERE}.overview:command",
            "Show the whole queue at one glance.",
            is_short=True,
        ),
        LazyCommand(
            "why",
            f"{_HERE}.why:command",
            "Say why a work item does not run, and what would change that.",
            is_short=True,
        ),
        *_versions(),
        LazyCommand("list", f"{_HERE}.list:command", "List work items.", is_short=True),
        LazyCommand("count", f"{_HERE}.count:command", "Count work items.", is_short=True),
        LazyCommand(
            "events",
            f"{_HERE}.events:command",
            "Show what happened, or follow what happens.",
            is_short=True,
        ),
        LazyCommand(
            "watch",
            f"{_HERE}.watch:command",
            "Follow a work item until it is done, or the queue.",
            is_short=True,
        ),
        *_verbs(),
        LazyCommand(
            "artifacts",
            f"{_HERE}.artifacts:command",
            "List a work item's artifacts.",
            is_short=True,
        ),
        LazyCommand(
            "artifact-show", f"{_HERE}.artifact_show:command", "Print an artifact's bytes."
        ),
        LazyCommand(
            "workspace-path",
            f"{_HERE}.workspace_path:command",
            "Print the path of a work item's git worktree.",
        ),
    ):
        cli.add_command(command)


def _versions() -> tuple[LazyCommand, ...]:
    return (
        LazyCommand(
            "history",
            f"{_HERE}.history:command",
            "List the versions of a work item's snapshot.",
            is_short=True,
        ),
        LazyCommand(
            "diff",
            f"{_HERE}.diff:command",
            "Show how two versions of a snapshot differ.",
            is_short=True,
        ),
    )


def _verbs() -> tuple[LazyCommand, ...]:
    return (
        LazyCommand(
            "cancel", f"{_HERE}.verbs:cancel", "Cancel work that has not ended.", is_short=True
        ),
        LazyCommand(
            "pause",
            f"{_HERE}.verbs:pause",
            "Let work, or all work of an engine, rest.",
            is_short=True,
        ),
        LazyCommand(
            "resume", f"{_HERE}.verbs:resume", "Let what is paused continue.", is_short=True
        ),
        LazyCommand(
            "retry",
            f"{_HERE}.verbs:retry",
            "Put dead letters and cancelled work back.",
            is_short=True,
        ),
        LazyCommand(
            "replay",
            f"{_HERE}.replay:command",
            "Run work again from an earlier version.",
        ),
        LazyCommand("bury", f"{_HERE}.verbs:bury", "Make dead letters of work.", is_short=True),
        LazyCommand("drop", f"{_HERE}.verbs:drop", "Remove work that has ended for good."),
    )
