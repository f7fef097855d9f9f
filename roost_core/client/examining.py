"""What would lose data or stop work, for ``roost doctor`` and for programs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from roost_core.backend.reports import SUSPECTED_AFTER, Finding
from roost_core.client.engine import held_finding
from roost_core.client.roost import Roost
from roost_core.errors import RoostError, SettingsError
from roost_core.large_values import least_for
from roost_core.models.standing import WorkRow
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.plugins.registry import Plugins
from roost_core.plugins.reports import PluginStatus
from roost_core.settings.core import Settings
from roost_core.settings.declaring import declared
from roost_core.shown.mending import worker_command


async def examine(roost: Roost) -> list[Finding]:
    """Look for what would lose data or stop work, over an open connection; nothing is changed.

    That is what ``roost doctor`` looks at: settings, plugins, the server, the work, artifacts and
    workspaces, each independent of the others. What fails is a finding.
    """
    settings, plugins = roost.settings, roost.plugins
    found = [*of_settings(settings, plugins), *of_plugins(plugins)]
    try:
        found += await of_server(roost)
    except RoostError as error:
        found.append(Finding("problem", "server", str(error)))
    return [*found, *await asyncio.to_thread(of_folders, plugins, settings)]


def of_folders(plugins: Plugins, settings: Settings) -> list[Finding]:
    """Examine artifacts and workspaces."""
    return [*_of_artifacts(plugins, settings), *_of_workspaces(plugins, settings)]


async def of_server(roost: Roost) -> list[Finding]:
    """Examine the server and the work, over an open connection.

    :raises RoostError: no answer, or it refuses.
    """
    found = [Finding("ok", "server", roost.ledger.description)]
    found += await roost.server.diagnose()
    found += await roost.ledger.diagnose()
    return [*found, *await _of_work(roost), *_of_texts(roost)]


def _of_texts(roost: Roost) -> list[Finding]:
    """Say where large texts of snapshots are kept."""
    try:
        store = roost.store_of_queue
    except RoostError:
        return []  # what is wrong with it is said of the artifacts
    least = roost.settings.large_values
    if least_for(roost.server, store, least) and store.values is not None:
        text = (
            f"from {least:,} bytes on they are kept beside the server: {store.values.description}"
        )
    elif not least:
        text = "they are in the server: ROOST_LARGE_VALUES is 0"
    else:
        away = f"not all workers may reach the artifact store, {store.description}"
        text = f"they are in the server: {away}"
    return [Finding("info", "large texts", text)]


def of_settings(settings: Settings, plugins: Plugins) -> list[Finding]:
    """Examine what is set."""
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


def of_plugins(plugins: Plugins) -> list[Finding]:
    """Examine the plugins."""
    found = []
    for report in plugins.reports():
        home = report.home or report.location or report.source
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


async def _of_work(roost: Roost) -> list[Finding]:
    counts = {state: count for state, count in (await roost.counts()).items() if count}
    text = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none"
    found = [Finding("info", "work", text)]
    found += [held_finding(one) for one in await roost.held_engines()]
    workers = await roost.workers()
    found += of_workers(workers)
    if unreadable := len(await roost.ledger.workers()) - len(workers):
        message = f"the records of {unreadable} live workers do not decode"
        found.append(Finding("warning", "workers", message))
    if counts.get(State.QUEUED):
        offered = {engine for worker in workers for engine in worker.engines}
        rows = await roost.list(State.QUEUED, limit=1000)
        for engine in sorted({row.meta.engine for row in rows} - offered):
            starts = worker_command(engine, roost.plugins.options_for(engine))
            message = (
                f"work is queued for the engine {engine}, and no live worker offers it: `{starts}`"
            )
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
        message = f"{waits} for a person: `roost list --state failed`"
        found.append(Finding("warning", "work", message))
    return found


def _is_suspected(row: WorkRow) -> bool:
    return row.meta.suspicions + row.meta.recoveries >= SUSPECTED_AFTER


def of_workers(workers: Sequence[WorkerInfo]) -> list[Finding]:
    """Examine the live workers."""
    stuck = [(worker, worker.stuck) for worker in workers if worker.stuck is not None]
    text = f"{len(workers)} alive" + (f", {len(stuck)} stuck" if stuck else "")
    found = [Finding("info", "workers", text)]
    # As long as another one moves, work continues, if more slowly.
    level = "problem" if len(stuck) == len(workers) else "warning"
    for worker, one in stuck:
        message = (
            f"has hung since {one.since:%Y-%m-%dT%H:%M:%SZ}, at {one.where}, in "
            f"{f'the step of {one.work_id}' if one.work_id else 'no step'}"
        )
        found.append(Finding(level, f"worker {worker.worker_id}", message))
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
        store = plugins.make_artifact_store(settings)
        return [Finding("info", "artifacts", store.description), *store.diagnose()]
    except RoostError as error:
        return [Finding("problem", "artifacts", str(error))]


def _of_workspaces(plugins: Plugins, settings: Settings) -> list[Finding]:
    try:
        workspaces = plugins.make_workspaces(settings)
        return [Finding("info", "workspaces", workspaces.description), *workspaces.diagnose()]
    except RoostError as error:
        return [Finding("problem", "workspaces", str(error))]
