"""The options that commands share, generated from the settings table.

They may come before or after the command's name. A plugin's command takes them
too, and gets the :class:`~roost_core.cli.session.Session`::

    @click.command("mine", cls=RoostCommand)
    @roost_options()
    @click.pass_obj
    def mine(session): ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from roost_core.cli.ahead import has_unknown
from roost_core.cli.arguments import PLUGIN_TYPE
from roost_core.cli.output import show_traceback
from roost_core.cli.session import Session
from roost_core.errors import PluginError
from roost_core.settings.core import core_fields
from roost_core.settings.declaring import CONFIG_VARIABLE, Declared, On, declared, rows
from roost_core.settings.declaring import option as option_of

_F = TypeVar("_F", bound=Callable[..., Any])


class SharedOption(click.Option):
    """An option that every command has; help lists these apart from the command's own."""


class SettingOption(click.Option):
    """An option that gives a setting.

    click's name for it is not the setting's own: an option of a command may have that.

    :ivar setting: the setting's name.
    """

    def __init__(self, setting: str, **fields: Any) -> None:
        self.setting = setting
        super().__init__(
            [option_of(setting), f"setting_{setting}"],
            expose_value=False,
            is_eager=True,
            callback=_remember_setting,
            **fields,
        )


class SharedSetting(SettingOption, SharedOption):
    """An option of every command that gives a setting."""


class RoostCommand(click.Command):
    """A command whose help lists its own options before the shared ones, then an example.

    Options for plugins' settings are added as the plugins declare them, also those of a plugin
    that is named with ``--plugin``.

    :param example: the example's lines, as they are typed.
    """

    def __init__(self, *args: Any, example: Sequence[str] = (), **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.example = example

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters, then those that plugins' settings add."""
        return with_settings(super().get_params(ctx), ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; an unknown option may be a plugin's.

        :raises click.UsageError: no plugin has it, or the arguments are wrong.
        :raises RoostError: the plugins cannot be loaded for that.
        """
        return parse(super().parse_args, ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with ``--verbose``, the traceback of a plugin's error is shown first."""
        try:
            return super().invoke(ctx)
        except PluginError as error:
            if ctx.params.get("verbose") and error.__cause__ is not None:
                show_traceback(error.__cause__, ctx.ensure_object(Session).without_secrets)
            raise

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does, the example, and then the rest."""
        del ctx
        format_text(self, self.example, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options; those of every command are only named."""
        format_options(self, ctx, formatter, is_brief=True)


def format_text(
    command: click.Command, example: Sequence[str], formatter: click.HelpFormatter
) -> None:
    """Write the first paragraph of a command's help, an example, and then the other paragraphs."""
    text = inspect.cleandoc(command.help or "").partition("\f")[0]
    if command.deprecated:
        text = f"(Deprecated) {text}"
    first, _, rest = text.partition("\n\n")
    _write_text(first, formatter)
    format_example(example, formatter)
    _write_text(rest, formatter)


def _write_text(text: str, formatter: click.HelpFormatter) -> None:
    if text.strip():
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text)


def format_example(lines: Sequence[str], formatter: click.HelpFormatter) -> None:
    """Write an example's lines in a section of their own, not wrapped."""
    if lines:
        with formatter.section("Example"):
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def format_options(
    command: click.Command,
    ctx: click.Context,
    formatter: click.HelpFormatter,
    *,
    is_brief: bool = False,
) -> None:
    """Write a command's own options, then those that every command has.

    :param is_brief: only name the latter.
    """
    own: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    for parameter in command.get_params(ctx):
        # The usage line names the arguments, and the text explains them.
        is_option = isinstance(parameter, click.Option)
        record = parameter.get_help_record(ctx) if is_option else None
        if record is not None:
            (shared if isinstance(parameter, SharedOption) else own).append(record)
    if own:
        with formatter.section("Options"):
            formatter.write_dl(own)
    if shared and is_brief:
        with formatter.section("Options of every command, see `roost --help`"):
            formatter.write_text(", ".join(names for names, _ in shared))
    elif shared:
        with formatter.section("Options of every command"):
            formatter.write_dl(shared)


def roost_options(*names: str | On, but: Collection[str] = ()) -> Callable[[_F], _F]:
    """Add ``--plugin``, ``--config`` and the options for settings that every command has.

    :param names: further settings, or :attr:`On.WORKER` for those that a worker has. A plugin's
        setting is there if the plugin is, and if the command is a :class:`RoostCommand`.
    :param but: settings for which the command has its own option.
    """

    def decorate(function: _F) -> _F:
        for option in reversed([*setting_options(*names), *shared_options(but)]):
            # Like click's own decorators, for functions and finished commands alike.
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


def shared_options(but: Collection[str] = ()) -> list[click.Option]:
    """Make the options that every command has, except those for the settings ``but``."""
    config = SharedOption(
        ["--config", "config"],
        type=click.Path(dir_okay=False, path_type=Path),
        expose_value=False,
        is_eager=True,
        callback=_remember_config,
        help=f"Read settings from this TOML file. [{CONFIG_VARIABLE}]",
    )
    shared = [one for one in _of(On.EVERY_COMMAND) if one.name not in but]
    return [plugin_option(), config, *_options(SharedSetting, shared)]


def plugin_option() -> click.Option:
    """Make ``--plugin``."""
    return SharedOption(
        ["--plugin", "plugin"],
        type=PLUGIN_TYPE,
        multiple=True,
        metavar="P",
        expose_value=False,
        # Before --help, which lists the commands of plugins.
        is_eager=True,
        callback=_remember_plugins,
        help="Load this plugin too: an entry point, pkg.module[:attr], a path to a .py file, "
        "or no:NAME to block one. Repeatable.",
    )


def setting_options(*names: str | On) -> list[click.Option]:
    """Make an option for each of these settings; its value goes to the session's settings."""
    fields = core_fields()
    found: list[click.Option] = []
    for name in names:
        if isinstance(name, On):
            found += [*_options(SettingOption, _of(name)), _Later(name)]
        else:
            found += _options(SettingOption, [fields[name]]) if name in fields else [_Later(name)]
    return found


class _Later(SettingOption):
    """A stand-in for the options of plugins' settings, which are not known yet."""

    def __init__(self, wanted: str | On) -> None:
        self.wanted = wanted
        super().__init__(wanted if isinstance(wanted, str) else "settings_of_plugins", hidden=True)


def with_settings(params: Sequence[click.Parameter], ctx: click.Context) -> list[click.Parameter]:
    """Return the parameters, and those for the settings of the plugins loaded so far.

    Where the command has its own option of the same name, that one stays.
    """
    session = ctx.find_object(Session)
    kinds = () if session is None else session.declarations
    fields = [one for kind in kinds for one in declared(kind).values()]
    found: list[click.Parameter] = []
    for param in params:
        if isinstance(param, _Later):
            wanted = [one for one in fields if param.wanted in (one.name, one.on)]
            found += _options(SettingOption, wanted)
        else:
            found.append(param)
    if any(isinstance(param, SharedSetting) for param in params):
        shared = [one for one in fields if one.on is On.EVERY_COMMAND]
        # Before --help, which click has put at the end.
        place = max(at for at, one in enumerate(found) if isinstance(one, SharedSetting)) + 1
        found[place:place] = _options(SharedSetting, shared)
    taken: set[str] = set()
    return [one for one in found if not _is_taken(one, taken)]


def _is_taken(param: click.Parameter, taken: set[str]) -> bool:
    is_double = isinstance(param, SettingOption) and not taken.isdisjoint(param.opts)
    taken.update(param.opts)
    return is_double


def parse(
    parse_args: Callable[[click.Context, list[str]], list[str]],
    ctx: click.Context,
    args: list[str],
) -> list[str]:
    """Parse arguments, loading more plugins while an option is unknown.

    :raises click.UsageError: no plugin has it, or the arguments are wrong.
    :raises RoostError: the plugins cannot be loaded for that.
    """
    session, command = ctx.ensure_object(Session), ctx.command
    is_group = isinstance(command, click.Group)
    # Before click complains about it, because click first searches for similar options.
    while has_unknown(args, command.get_params(ctx), is_group=is_group) and session.know_more():
        pass
    return parse_args(ctx, args)


def _of(on: On) -> list[Declared]:
    return [one for one in core_fields().values() if one.on is on]


def _options(cls: type[SettingOption], fields: Sequence[Declared]) -> list[click.Option]:
    return [
        cls(one.name, metavar=one.metavar, help=_help(row))
        for one, row in zip(fields, rows(fields), strict=True)
    ]


def _help(row: dict[str, str]) -> str:
    default = f"; default {row['default']}" if row["default"] else ""
    return f"{row['help']} [{row['variable']}{default}]"


def _remember_plugins(ctx: click.Context, _: click.Parameter, value: tuple[str, ...]) -> None:
    session = ctx.ensure_object(Session)
    for text in value:
        if text not in session.explicit:
            _check_in_time(ctx, session, "--plugin", text)
            session.explicit.append(text)


def _remember_config(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    session = ctx.ensure_object(Session)
    if value is not None and value != session.config:
        _check_in_time(ctx, session, "--config", str(value))
        session.config = value


def _check_in_time(ctx: click.Context, session: Session, name: str, value: str) -> None:
    """Refuse an option that says which plugins to load when they are loaded.

    It follows one of a plugin's command, which might have taken it for its value.
    """
    if session.has_plugins and not ctx.resilient_parsing:
        raise click.UsageError(f"{name} {value!r}: give it before the command's name", ctx)


def _remember_setting(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None and isinstance(parameter, SettingOption):
        ctx.ensure_object(Session).override(parameter.setting, value)
