"""``roost doctor``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import click

from roost_core.backend.messages import SUSPECTED_AFTER
from roost_core.backend.reports import Finding
from roost_core.cli import colours, output, plugin_output
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.progress import on_stderr
from roost_core.cli.session import Session
from roost_core.client.engine import held_finding
from roost_core.client.roost import Roost
from roost_core.errors import NoWorkHere, PluginError, RoostError, SettingsError
from roost_core.models.standing import WorkRow
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.plugins.registry import Plugins
from roost_core.plugins.reports import PluginStatus
from roost_core.settings.core import Settings
from roost_core.settings.declaring import declared
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
    findings += _of_settings(settings, plugins)
    findings += _of_plugins(plugins)
    if any((one.level, one.subject) == ("problem", "settings") for one in findings):
        return findings
    findings += asyncio.run(_of_server(Roost.connect(settings, plugins=plugins, create=False)))
    findings += _of_artifacts(plugins, settings)
    findings += _of_workspaces(plugins, settings)
    return findings


def _of_settings(settings: Settings, plugins: Plugins) -> list[Finding]:
    try:
        plugins.check_settings(settings)
    except SettingsError as error:
        return [Finding("problem", "settings", str(error))]
    text = (
        f"queue {settings.queue}, namespace {settings.namespace}, home {settings.home.absolute()}"
    )
    for kind in plugins.declarations():
        for name, one in declared(kind).items():
            value = getattr(settings.of(kind), one.field.name)
            if value != one.field.default:
                text += f", {name} {one.shown(value)}"
    found = [Finding("info", "settings", text)]
    if settings.lease_ttl < 1:
        message = f"a lease TTL of {settings.lease_ttl} s leaves no room for a slow network"
        found.append(Finding("warning", "settings", message))
    return found


def _of_plugins(plugins: Plugins) -> list[Finding]:
    found = []
    for report in plugins.reports():
        home = output.distribution(report) or report.location or report.source
        subject = f"plugin {report.name}"
        if report.status is PluginStatus.OK:
            found.append(Finding("ok", subject, f"loaded from {home}"))
        elif report.status is PluginStatus.BROKEN:
            found.append(Finding("problem", subject, report.error or "broken"))
        else:
            found.append(Finding("info", subject, f"{report.status} {report.error or ''}"))
    found += [Finding("warning", "plugins", line) for line in plugins.vain_blocks()]
    if not plugins.engines():
        found.append(Finding("warning", "engines", "no engine is installed: workers have no work"))
    return found


async def _of_server(roost: Roost) -> Sequence[Finding]:
    found: list[Finding] = []
    try:
        async with contextlib.AsyncExitStack() as stack:
            with plugin_output.to_stderr():
                await stack.enter_async_context(roost)
            found.append(Finding("ok", "server", roost.ledger.description))
            found += await roost.server.diagnose()
            found += await roost.ledger.diagnose()
            found += await _of_work(roost)
    except NoWorkHere as nothing:
        # Not a fault: the first enqueue or worker makes it.
        text = f"{nothing}; `roost enqueue` and `roost worker` make it"
        found.append(Finding("info", "server", text))
    except RoostError as error:
        # Earlier findings may be the reason.
        found.append(Finding("problem", "server", str(error)))
    return found


async def _of_work(roost: Roost) -> list[Finding]:
    counts = {state: count for state, count in (await roost.counts()).items() if count}
    text = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none"
    found = [Finding("info", "work", text)]
    found += [held_finding(one) for one in await roost.held_engines()]
    workers = await roost.workers()
    found += _of_workers(workers)
    if unreadable := len(await roost.ledger.workers()) - len(workers):
        message = f"the records of {unreadable} live workers do not decode"
        found.append(Finding("warning", "workers", message))
    if counts.get(State.QUEUED):
        offered = {engine for worker in workers for engine in worker.engines}
        rows = await roost.list(State.QUEUED, limit=1000)
        for engine in sorted({row.meta.engine for row in rows} - offered):
            message = f"work is queued for the engine {engine}, and no live worker offers it"
            found.append(Finding("warning", "work", message))
        # Otherwise work that waits would look as if no worker wanted it.
        if suspected := sum(map(_is_suspected, rows)):
            message = (
                f"{suspected} of what is queued may run only apart from other work, in groups "
                "or alone, because workers died that ran it (suspicions in roost status)"
            )
            found.append(Finding("info", "work", message))
    if counts.get(State.FAILED):
        count = counts[State.FAILED]
        waits = "1 dead letter waits" if count == 1 else f"{count} dead letters wait"
        message = f"{waits} for a person: roost list --state failed"
        found.append(Finding("warning", "work", message))
    return found


def _is_suspected(row: WorkRow) -> bool:
    return row.meta.suspicions + row.meta.recoveries >= SUSPECTED_AFTER


def _of_workers(workers: Sequence[WorkerInfo]) -> list[Finding]:
    stuck = [(worker.worker_id, worker.stuck) for worker in workers if worker.stuck is not None]
    text = f"{len(workers)} alive" + (f", {len(stuck)} stuck" if stuck else "")
    found = [Finding("info", "workers", text)]
    # As long as another one moves, work continues, if more slowly.
    level = "problem" if len(stuck) == len(workers) else "warning"
    for worker_id, one in stuck:
        message = (
            f"has hung since {output.when(one.since)}, at {one.where}, in "
            f"{f'the step of {one.work_id}' if one.work_id else 'no step'}"
        )
        found.append(Finding(level, f"worker {worker_id}", message))
    for worker in workers:
        if worker.lost:
            is_full = worker.lost > worker.concurrency
            message = f"{worker.lost} of its steps still run although they were ended" + (
                "; it takes no more work: restart it" if is_full else ""
            )
            found.append(Finding("warning", f"worker {worker.worker_id}", message))
    return found


def _of_artifacts(plugins: Plugins, settings: Settings) -> list[Finding]:
    try:
        with plugin_output.to_stderr():
            store = plugins.make_artifact_store(settings)
        return [Finding("info", "artifacts", store.description), *store.diagnose()]
    except RoostError as error:
        return [Finding("problem", "artifacts", str(error))]


def _of_workspaces(plugins: Plugins, settings: Settings) -> list[Finding]:
    try:
        with plugin_output.to_stderr():
            workspaces = plugins.make_workspaces(settings)
            return [
                Finding("info", "workspaces", workspaces.description),
                *workspaces.diagnose(),
            ]
    except RoostError as error:
        return [Finding("problem", "workspaces", str(error))]
