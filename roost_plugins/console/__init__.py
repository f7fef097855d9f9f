"""The console: a local web page to see the work and steer it.

Only its commands import a web server: other commands load this plugin and pay nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core import hookimpl
from roost_plugins.console.settings import ConsoleSettings

if TYPE_CHECKING:
    import click


@hookimpl
def register_settings() -> type[ConsoleSettings]:
    """Declare where the console listens and who may use it."""
    return ConsoleSettings


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add ``roost ui`` and ``roost dev``."""
    # Only a command line has click.
    from roost_core.cli.lazy import LazyCommand

    target = "roost_plugins.console.ui:command"
    cli.add_command(LazyCommand("ui", target, "Open the console: the work, in a browser."))
    target = "roost_plugins.console.dev.command:command"
    what = "Run an engine while you write it, with the console."
    cli.add_command(LazyCommand("dev", target, what, bears_broken=True))
