"""Commands that are imported when they are typed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from roost_core.errors import PluginLoadError
from roost_core.plugins.errors import place
from roost_core.plugins.sources import cause


class LazyCommand(click.Command):
    """A stand-in for a command in a module that is not imported yet.

    A plugin's hook registers it, so that the command line imports only what is typed::

        @hookimpl
        def register_commands(cli):
            cli.add_command(LazyCommand("summary", "my_package.summary:command", "Count work."))

    :param name: what is typed.
    :param target: ``pkg.module:attr`` of the command itself.
    :param short_help: its line in the list of commands.
    :param is_short: the command needs only the backend: other plugins are not loaded for it.
    """

    def __init__(self, name: str, target: str, short_help: str, *, is_short: bool = False) -> None:
        super().__init__(name, short_help=short_help)
        self.target = target
        self.is_short = is_short

    def loaded(self) -> click.Command:
        """Import the command.

        :raises PluginLoadError: it cannot be imported; one line with the cause.
        """
        module_name, _, attribute = self.target.partition(":")
        try:
            found: click.Command = getattr(import_module(module_name), attribute)
        except Exception as error:
            what = f"{cause(error)}{place(error, module_name)}"
            raise PluginLoadError(f"cannot load the command {self.name}: {what}") from error
        return found

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Make the context of the command itself, which runs from here on."""
        return self.loaded().make_context(info_name, args, parent, **extra)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters of the command itself."""
        return self.loaded().get_params(ctx)

    def get_help(self, ctx: click.Context) -> str:
        """Return the help of the command itself."""
        return self.loaded().get_help(ctx)
