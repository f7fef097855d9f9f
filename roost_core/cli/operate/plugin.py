"""The commands about workers, plugins and servers."""

from __future__ import annotations

import click

from roost_core.cli.lazy import LazyCommand
from roost_core.markers import hookimpl

_HERE = "roost_core.cli.operate"


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add them, to be imported when they are typed."""
    for command in (
        LazyCommand("worker", f"{_HERE}.worker:command", "Run a worker."),
        LazyCommand("workers", f"{_HERE}.workers:command", "List the live workers.", is_short=True),
        LazyCommand("engines", f"{_HERE}.engines:command", "List the installed engines."),
        LazyCommand("new", f"{_HERE}.new:command", "Write a package to begin with."),
        LazyCommand(
            "plugins",
            f"{_HERE}.plugins:command",
            "List the plugins: loaded, blocked or broken.",
        ),
        LazyCommand("doctor", f"{_HERE}.doctor:command", "Find what would lose data or stop work."),
    ):
        cli.add_command(command)
