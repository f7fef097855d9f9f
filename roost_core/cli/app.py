"""The ``roost`` group: commands found lazily, errors told in one line."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

import roost_core
from roost_core.cli import plugin_output
from roost_core.cli.options import format_example, format_options, shared_options
from roost_core.cli.output import note
from roost_core.cli.session import Session
from roost_core.errors import RoostError
from roost_core.wording.suggestions import close_matches

#: The built-in commands and the modules that hold them, each as ``command``.
COMMANDS: Final = {
    "engines": "operate.engines",
    "plugins": "operate.plugins",
    "enqueue": "work.enqueue",
    "worker": "operate.worker",
    "status": "work.status",
    "list": "work.list",
    "events": "work.events",
    "watch": "work.watch",
    "artifact-show": "work.artifact_show",
    "workspace-path": "work.workspace_path",
    "doctor": "operate.doctor",
    "demo": "operate.demo",
}

#: The exit code after Ctrl-C: 128 and the number of SIGINT.
INTERRUPTED: Final = 130

_HELP: Final = """Run long-lived agent work that survives crashes.

Settings come from options, else from ROOST_ variables, else from the file that
--config names. Without --redis-url Roost runs a server of its own in the home
folder. Data goes to standard output, messages to standard error; exit codes are 0
(done), 1 (not possible) and 2 (wrong usage).

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
    """A group that imports a command when it is typed and asks plugins only for other names."""

    _extended = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the built-in commands in their order, then those of plugins."""
        try:
            self._extend(ctx)
        except RoostError as error:
            # Help has to appear above all when something is wrong.
            note(f"plugins' commands are missing: {error}")
        return [*COMMANDS, *(name for name in sorted(self.commands) if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; a plugin cannot replace a built-in one."""
        if cmd_name in COMMANDS:
            module = import_module(f"roost_core.cli.{COMMANDS[cmd_name]}")
            found: click.Command = module.command
            return found
        self._extend(ctx)
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with.

        :raises click.UsageError: there is none; the text has the closest names.
        """
        name = args[0]
        if name == "worker" and not ctx.resilient_parsing:
            # Unless it listens already; so that a stop is obeyed before plugins are loaded.
            signals = ctx.ensure_object(Session).signals
            signals.install()
            ctx.call_on_close(signals.close)
        if name not in COMMANDS and not name.startswith("-"):
            # The command may come from a plugin that is named after it.
            named = _values_of("--plugin", args[1:])
            session = ctx.ensure_object(Session)
            before = list(session.explicit)
            session.explicit.extend(named)
            found = self.get_command(ctx, name)
            session.explicit[:] = before
            if found is None and not ctx.resilient_parsing:
                close = close_matches(name, self.list_commands(ctx))
                hint = f" Did you mean {' or '.join(close)}?" if close else ""
                raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
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

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        super().format_epilog(ctx, formatter)
        format_example(_EXAMPLE, formatter)

    def _extend(self, ctx: click.Context) -> None:
        if not self._extended:
            # Set first: whoever registers a command asks for the list of those that are there.
            self._extended = True
            plugins = ctx.ensure_object(Session).plugins()
            with plugin_output.to_stderr():
                plugins.register_commands(self)


class ToldError(click.ClickException):
    """An expected error as click shows it: one line on standard error."""

    def __init__(self, error: RoostError) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: Any = None) -> None:
        """Print the line."""
        del file
        note(self.message)


def _values_of(option: str, args: Sequence[str]) -> list[str]:
    found = [arg.partition("=")[2] for arg in args if arg.startswith(f"{option}=")]
    return found + [value for arg, value in itertools.pairwise(args) if arg == option]


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"roost {roost_core.__version__}")
        ctx.exit()


def build() -> RoostGroup:
    """Make the command line anew: plugins add their commands to this one only."""
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
