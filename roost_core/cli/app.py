"""The ``roost`` group: commands found lazily, errors printed in one line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

import roost_core
from roost_core.cli import plugin_output
from roost_core.cli.ahead import arity, asks_for_help, options
from roost_core.cli.lazy import LazyCommand
from roost_core.cli.operate import plugin as operate
from roost_core.cli.options import (
    SharedOption,
    format_options,
    format_text,
    parse,
    shared_options,
    with_settings,
)
from roost_core.cli.output import note
from roost_core.cli.session import Session
from roost_core.cli.work import plugin as work
from roost_core.errors import RoostError
from roost_core.wording.suggestions import close_matches

if TYPE_CHECKING:
    from roost_core.plugins.registry import Plugins

#: The plugins that have the core's own commands, in the order of help.
CORE: Final = {"work": work, "operate": operate}
#: The command that takes over the process's signals.
WORKER: Final = "worker"
#: The exit code after Ctrl-C: 128 and the number of SIGINT.
INTERRUPTED: Final = 130

_HELP: Final = """Run long-lived agent work that survives crashes.

Settings come from options, else from ROOST_ variables, else from the file that
--config names. Without --redis-url Roost runs a server of its own, in ./.roost
unless --home names another folder. Data goes to standard output, messages to
standard error; exit codes are 0 (done), 1 (not possible) and 2 (wrong usage).

Completion in your shell: eval "$(_ROOST_COMPLETE=bash_source roost)", and the
same with zsh_source or fish_source.
"""

_EXAMPLE: Final = (
    "roost demo",
    "ID=$(roost enqueue --engine watchlist \\",
    '    --payload \'{"url": "https://example.com"}\')',
    "roost worker &",
    "roost watch $ID",
)


class RoostGroup(click.Group):
    """A group whose commands all come from plugins: first the core's own, then all others.

    The others are loaded only if a name is not one of the core's.
    """

    _own: Sequence[str] = ()
    _is_extended = False

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self._told: set[str] = set()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options, including those that plugins' settings add."""
        return with_settings(super().get_params(ctx), ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options before the command's name; the rest is only peeked at."""
        session = ctx.ensure_object(Session)
        if WORKER in args and not ctx.resilient_parsing:
            # Unless it listens already. This way a stop is obeyed before plugins are loaded.
            session.signals.install()
            ctx.call_on_close(session.signals.close)
        try:
            own = arity(self.get_params(ctx))
            session.read_ahead(options(args, own, partial(self._arity_of, ctx)))
            if ctx.resilient_parsing or asks_for_help(args):
                self._know_all(ctx)
            return parse(super().parse_args, ctx, args)
        except RoostError as error:
            raise ToldError(error) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the core's commands in their order, then those of plugins."""
        plugins = self._know_all(ctx)
        if plugins is not None:
            self._extend(plugins)
            self._tell(ctx, plugins)
        return [*self._own, *(name for name in sorted(self.commands) if name not in self._own)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, possibly one that is imported when it runs."""
        self._begin()
        if cmd_name not in self._own and not self._is_extended:
            session = ctx.ensure_object(Session)
            plugins = session.all_plugins()
            self._extend(plugins)
            found = self.commands.get(cmd_name)
            if not (isinstance(found, LazyCommand) and found.bears_broken):
                session.refuse_broken(plugins)
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with.

        :raises click.UsageError: there is none; the text suggests the closest names.
        """
        name = args[0]
        session = ctx.ensure_object(Session)
        if name != WORKER:
            session.signals.close()  # the word stood for something else
        found = self.get_command(ctx, name)
        if found is None and not name.startswith("-") and not ctx.resilient_parsing:
            close = close_matches(name, self.list_commands(ctx))
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        session.is_short = isinstance(found, LazyCommand) and found.is_short
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; expected errors become one line and their exit code."""
        try:
            return super().invoke(ctx)
        except RoostError as error:
            raise ToldError(error) from error
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        format_options(self, ctx, formatter)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what Roost is, the example, and then the rest."""
        del ctx
        format_text(self, _EXAMPLE, formatter)

    def _arity_of(self, ctx: click.Context, name: str) -> dict[str, int]:
        """Return how many values a command's options take, as far as no plugin need be loaded."""
        self._begin()
        if name in self._own:
            return arity(self.commands[name].get_params(ctx))
        shared = [one for one in self.params if isinstance(one, SharedOption)]
        return {**arity(shared), **dict.fromkeys(ctx.help_option_names, 0)}

    def _begin(self) -> None:
        """Let the core's own plugins register their commands."""
        if self._own:
            return
        from roost_core.plugins.registry import Plugins

        core = Plugins.empty()
        for name, plugin in reversed(CORE.items()):  # the last one is called first
            core.register(plugin, name)
        core.register_commands(self)
        self._own = tuple(self.commands)

    def _extend(self, plugins: Plugins) -> None:
        """Let all other plugins register theirs."""
        self._begin()
        if not self._is_extended:
            self._is_extended = True
            with plugin_output.to_stderr():
                plugins.register_commands(self)

    def _know_all(self, ctx: click.Context) -> Plugins | None:
        """Load all plugins, for help and completion, which must work whatever is wrong."""
        self._begin()
        try:
            plugins = ctx.ensure_object(Session).all_plugins()
        except RoostError as error:
            self._note(ctx, str(error))
            return None
        self._tell(ctx, plugins)
        return plugins

    def _tell(self, ctx: click.Context, plugins: Plugins) -> None:
        for report in plugins.reports():
            if report.status == "broken":
                self._note(ctx, report.error or report.name)

    def _note(self, ctx: click.Context, error: str) -> None:
        """Report once what is missing, but not to a shell that wants completions."""
        if error not in self._told and not ctx.resilient_parsing:
            self._told.add(error)
            note(f"plugins' commands are missing: {error}")


class ToldError(click.ClickException):
    """An expected error as click shows it: one line on standard error."""

    def __init__(self, error: RoostError) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: Any = None) -> None:
        """Print the line."""
        del file
        note(self.message)


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"roost {roost_core.__version__}")
        ctx.exit()


def build() -> RoostGroup:
    """Make a new command line: plugins add their commands to this one only."""
    version = click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_version,
        help="Show the version and exit.",
    )
    return RoostGroup(
        "roost",
        params=[version, *shared_options()],
        help=_HELP,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
