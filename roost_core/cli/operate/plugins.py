"""``roost plugins``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from roost_core.cli import output
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.plugins.reports import PluginReport, PluginStatus
from roost_core.shown.redaction import redacted
from roost_core.values import Json


@click.command(
    "plugins",
    cls=RoostCommand,
    example=(
        "roost plugins",
        "roost plugins --plugin no:watchlist",
        "roost plugins --plugin ./my_engine.py --verbose",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--verbose", "-v", is_flag=True, help="Show the traceback of each broken plugin.")
@roost_options()
@click.pass_context
def command(ctx: click.Context, as_json: bool, verbose: bool) -> None:
    """List the plugins: what is loaded, blocked or broken, and where each comes from.

    Columns: plugin, status, source, distribution, hooks, location, error. A broken plugin is listed
    with the rest and makes the exit code 1. No server is needed.
    """
    session: Session = ctx.obj
    reports = session.plugins(keep_going=True).reports()
    _print(reports, as_json)
    for report in reports:
        if verbose and report.exception is not None:
            output.note(f"plugin {report.name}:")
            output.show_traceback(report.exception, session.without_secrets)
    if any(report.status is PluginStatus.BROKEN for report in reports):
        ctx.exit(1)


def plugin_json(report: PluginReport) -> dict[str, Json]:
    """Return what became of a plugin as plain JSON."""
    return {
        "plugin": report.name,
        "status": str(report.status),
        "source": str(report.source),
        "distribution": report.home,
        "hooks": list(report.hooks),
        "engine": report.engine_id,
        "location": report.location,
        "error": redacted(report.error),
    }


def _print(reports: Sequence[PluginReport], as_json: bool) -> None:
    rows = list(map(plugin_json, reports))
    if as_json:
        output.json_line(rows, indent=2)
        return
    if output.on_terminal():
        from roost_core.cli.look.catalogue import show

        show(output.console(), rows)
        return
    headings = ["plugin", "status", "source", "distribution", "hooks", "location", "error"]
    for row in rows:
        output.data_row(
            [row[name] if name != "hooks" else " ".join(row["hooks"]) for name in headings]
        )
