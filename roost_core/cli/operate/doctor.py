"""``roost doctor``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import click

from roost_core.backend.reports import Finding
from roost_core.cli import colours, output, plugin_output
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.progress import on_stderr
from roost_core.cli.session import Session
from roost_core.client import examining
from roost_core.client.roost import Roost
from roost_core.errors import NoWorkHere, PluginError, RoostError
from roost_core.plugins.registry import Plugins
from roost_core.shown.redaction import redacted

#: How levels look on a terminal.
_STYLES: Final = {"ok": colours.GOOD, "warning": colours.WARNING, "problem": colours.VERY_BAD}
#: A repair reports its progress on a terminal each time this many work items were checked.
_TELL_EVERY: Final = 10_000


@click.command(
    "doctor",
    cls=RoostCommand,
    example=(
        "roost doctor --redis-url redis://db.example.com:6379/0",
        "roost doctor --repair --dry-run",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option(
    "--repair-log",
    is_flag=True,
    help="First cut off what is damaged at the end of the embedded server's file; keep a copy.",
)
@click.option(
    "--repair",
    "repairs",
    is_flag=True,
    help="Repair indexes and resource holds from the stored work.",
)
@click.option("--dry-run", is_flag=True, help="With --repair: only report what it would do.")
@roost_options()
@click.pass_context
def command(
    ctx: click.Context, as_json: bool, repair_log: bool, repairs: bool, dry_run: bool
) -> None:
    """Look for what would lose data or stop work: settings, plugins, server, artifacts, workspaces.

    Columns: level (ok, info, warning, problem), subject, finding. Exits with 1 if
    there is a problem. An unreachable server and broken plugins are findings too:
    everything else is still checked.

    If a file of the embedded server is damaged, by a power loss for example, the finding states how
    much of it is intact. --repair-log cuts off the rest.

    With --repair it checks all work instead, and fixes whatever disagrees with it: missing or
    surplus entries in an index, resources that nothing holds any more, idempotency keys. Workers
    may keep running. Columns: outcome (mended, found, left), subject, how many, finding, examples;
    nothing is printed if all is well. Exits with 1 if something is left: what a dry run would mend,
    or what only a person can fix.
    """
    if dry_run and not repairs:
        raise click.UsageError("--dry-run is for --repair")
    if repair_log and repairs:
        raise click.UsageError("run --repair-log first, then --repair")
    if repairs:
        _repair(ctx, as_json=as_json, dry_run=dry_run)
        return
    findings = _repair_log(ctx.obj) if repair_log else []
    findings += examine(ctx.obj)
    if as_json:
        output.json_line(redacted([attrs.asdict(one) for one in findings]), indent=2)
    else:
        output.table(
            ["level", "subject", "finding"],
            [(one.level, one.subject, one.message) for one in findings],
            styles=_STYLES,
        )
    if any(one.level == "problem" for one in findings):
        ctx.exit(1)


def _repair_log(session: Session) -> list[Finding]:
    try:
        plugins = session.plugins()
        with plugin_output.to_stderr():
            server = plugins.make_server(session.settings)
        return list(server.repair_log())
    except RoostError as error:
        return [Finding("problem", "log", str(error))]


def _repair(ctx: click.Context, *, as_json: bool, dry_run: bool) -> None:
    session: Session = ctx.obj
    try:
        found = session.read(lambda roost: roost.repair(dry_run=dry_run, progress=_progress()))
    except NoWorkHere as nothing:
        output.note(nothing)
        found = ()
    if as_json:
        output.json_line(redacted([attrs.asdict(one) for one in found]), indent=2)
    else:
        output.table(
            ["outcome", "subject", "how many", "finding", "examples"],
            [
                (one.outcome, one.subject, one.count, one.message, ", ".join(one.examples))
                for one in found
            ],
        )
    if any(one.outcome != "mended" for one in found):
        ctx.exit(1)


def _progress() -> Callable[[int], None] | None:
    """Return what reports progress on a terminal, every 10,000 work items."""
    if not on_stderr():
        return None
    told = 0

    def tell(looked: int) -> None:
        nonlocal told
        if looked - told >= _TELL_EVERY:
            told = looked
            output.note(f"{looked} work items checked")

    return tell


def examine(session: Session) -> list[Finding]:
    """Return all findings; each part is independent of the others."""
    try:
        settings = session.settings
    except RoostError as error:
        return [Finding("problem", "settings", str(error))]
    try:
        plugins = session.plugins(keep_going=True)
    except PluginError as error:
        # A name that names nothing; the installed plugins are still worth checking.
        findings = [Finding("problem", "plugins", str(error))]
        try:
            with plugin_output.to_stderr():
                plugins = Plugins.load(explicit=(), environment=(), strict=False)
        except PluginError as second:
            return [*findings, Finding("problem", "plugins", str(second))]
    else:
        findings = []
    findings += examining.of_settings(settings, plugins)
    findings += examining.of_plugins(plugins)
    if any((one.level, one.subject) == ("problem", "settings") for one in findings):
        return findings
    findings += asyncio.run(_of_server(Roost.connect(settings, plugins=plugins, create=False)))
    with plugin_output.to_stderr():
        findings += examining.of_folders(plugins, settings)
    return findings


async def _of_server(roost: Roost) -> Sequence[Finding]:
    try:
        async with contextlib.AsyncExitStack() as stack:
            with plugin_output.to_stderr():
                await stack.enter_async_context(roost)
            return await examining.of_server(roost)
    except NoWorkHere as nothing:
        # Not a fault: the first enqueue or worker makes it.
        text = f"{nothing}; `roost enqueue` and `roost worker` make it"
        return [Finding("info", "server", text)]
    except RoostError as error:
        # Earlier findings may be the reason.
        return [Finding("problem", "server", str(error))]
