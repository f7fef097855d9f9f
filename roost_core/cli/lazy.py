"""Commands that are imported when they are typed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from roost_core.cli import plugin_output
from roost_core.errors import PluginLoadError
from roost_core.plugins.errors import place, telling_ctrl_c
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
    :param bears_broken: broken plugins do not stop the command, even if they are named: it looks
        after them itself.
    """

    def __init__(
        self,
        name: str,
        target: str,
        short_help: str,
        *,
        is_short: bool = False,
        bears_broken: bool = False,
    ) -> None:
        super().__init__(name, short_help=short_help)
        self.target = target
        self.is_short = is_short
        self.bears_broken = bears_broken
        self._loaded: click.Command | None = None

    def loaded(self) -> click.Command:
        """Import the command; what its module prints meanwhile goes to standard error.

        :raises PluginLoadError: it cannot be imported, or is no command; one line with the cause.
            A module that exits does not end the process.
        """
        if self._loaded is None:
            with plugin_output.to_stderr():
                found = self._import()
            if not isinstance(found, click.Command):
                raise PluginLoadError(
                    f"cannot load the command {self.name}: {self.target} is "
                    f"{type(found).__name__}, not a click.Command"
                )
            self._loaded = found
        return self._loaded

    def _loaded_for(self, *, is_completion: bool) -> click.Command | None:
        """Import the command; None if it is broken and a shell, which cannot be told, asks."""
        try:
            return self.loaded()
        except PluginLoadError:
            if is_completion:
                return None
            raise

    def _import(self) -> object:
        module_name, _, attribute = self.target.partition(":")
        with telling_ctrl_c() as was_pressed:
            try:
                return getattr(import_module(module_name), attribute)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt) and was_pressed():
                    raise
                what = " ".join(f"{cause(error)}{place(error, module_name)}".split())
                raise PluginLoadError(f"cannot load the command {self.name}: {what}") from error

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Make the context of the command itself, which runs from here on."""
        command = self._loaded_for(is_completion=extra.get("resilient_parsing", False))
        if command is None:
            return super().make_context(info_name, args, parent, **extra)
        return command.make_context(info_name, args, parent, **extra)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters of the command itself."""
        command = self._loaded_for(is_completion=ctx.resilient_parsing)
        return super().get_params(ctx) if command is None else command.get_params(ctx)

    def get_help(self, ctx: click.Context) -> str:
        """Return the help of the command itself."""
        return self.loaded().get_help(ctx)
