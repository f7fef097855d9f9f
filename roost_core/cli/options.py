"""The options that commands share, generated from the settings table.

They may stand before or after the command's name. A plugin's command takes them
too, and gets the :class:`~roost_core.cli.session.Session`::

    @click.command("mine", cls=RoostCommand)
    @roost_options()
    @click.pass_obj
    def mine(session): ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from roost_core import settings as settings_module
from roost_core.cli.output import show_traceback
from roost_core.cli.session import Session
from roost_core.errors import PluginError

_F = TypeVar("_F", bound=Callable[..., Any])

#: The settings that say where the data is: options of every command.
PLACES: Final = (
    "redis_url",
    "queue",
    "redis_prefix",
    "namespace",
    "home",
    "artifact_root",
)


class SharedOption(click.Option):
    """An option that every command has; help lists these apart from the command's own."""


class RoostCommand(click.Command):
    """A command whose help lists its own options before the shared ones, then an example.

    :param example: the example's lines, as they are typed.
    """

    def __init__(self, *args: Any, example: Sequence[str] = (), **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.example = example

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with ``--verbose`` a plugin's error shows its traceback first."""
        try:
            return super().invoke(ctx)
        except PluginError as error:
            if ctx.params.get("verbose") and error.__cause__ is not None:
                show_traceback(error.__cause__)
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in two groups."""
        format_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example, as it is."""
        super().format_epilog(ctx, formatter)
        format_example(self.example, formatter)


def format_example(lines: Sequence[str], formatter: click.HelpFormatter) -> None:
    """Write an example's lines in a section of their own, not wrapped."""
    if lines:
        with formatter.section("Example"):
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def format_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write a command's own options, then those that every command has."""
    own: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    for parameter in command.get_params(ctx):
        # The usage line names the arguments, and the text explains them.
        is_option = isinstance(parameter, click.Option)
        record = parameter.get_help_record(ctx) if is_option else None
        if record is not None:
            (shared if isinstance(parameter, SharedOption) else own).append(record)
    for title, records in (("Options", own), ("Options of every command", shared)):
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def roost_options(*names: str) -> Callable[[_F], _F]:
    """Add ``--plugin``, ``--config`` and the options for places; ``names`` are further settings."""

    def decorate(function: _F) -> _F:
        for option in reversed([*setting_options(*names), *shared_options()]):
            # As click's own decorators do it, for functions and finished commands alike.
            if isinstance(function, click.Command):
                function.params.insert(0, option)
            else:
                _pending(function).append(option)
        return function

    return decorate


def _pending(function: Any) -> list[click.Parameter]:
    if not hasattr(function, "__click_params__"):
        function.__click_params__ = []
    found: list[click.Parameter] = function.__click_params__
    return found


def shared_options() -> list[click.Option]:
    """Make the options that every command has."""
    config = SharedOption(
        ["--config", "config"],
        type=click.Path(dir_okay=False, path_type=Path),
        expose_value=False,
        is_eager=True,
        callback=_remember_config,
        help=f"Read settings from this TOML file. [{settings_module.CONFIG_VARIABLE}]",
    )
    return [plugin_option(), config, *_options(SharedOption, PLACES)]


def plugin_option() -> click.Option:
    """Make ``--plugin``."""
    return SharedOption(
        ["--plugin", "plugin"],
        multiple=True,
        metavar="P",
        expose_value=False,
        # Before --help, which lists the commands of plugins.
        is_eager=True,
        callback=_remember_plugins,
        help="Load this plugin too: an entry point, pkg.module[:attr], a path to a .py file, "
        "or no:NAME to block one. Repeatable.",
    )


def setting_options(*names: str) -> list[click.Option]:
    """Make an option for each of these settings; its value goes to the session's settings."""
    return _options(click.Option, names)


def _options(cls: type[click.Option], names: tuple[str, ...]) -> list[click.Option]:
    rows = {row["name"]: row for row in settings_module.table()}
    return [
        cls(
            ["--" + name.replace("_", "-"), name],
            metavar=rows[name]["metavar"],
            expose_value=False,
            is_eager=True,
            callback=_remember_setting,
            help=_help(rows[name]),
        )
        for name in names
    ]


def _help(row: dict[str, str]) -> str:
    default = f"; default {row['default']}" if row["default"] else ""
    return f"{row['help']} [{row['variable']}{default}]"


def _remember_plugins(ctx: click.Context, _: click.Parameter, value: tuple[str, ...]) -> None:
    ctx.ensure_object(Session).explicit.extend(value)


def _remember_config(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.ensure_object(Session).config = value


def _remember_setting(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None and parameter.name is not None:
        ctx.ensure_object(Session).overrides[parameter.name] = value
