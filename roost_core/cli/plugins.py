"""``roost plugins``."""

from __future__ import annotations

import click

from roost_core.cli import output
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.views import redacted


@click.command(
    "plugins",
    cls=RoostCommand,
    short_help="What plugins are loaded, blocked or broken.",
    example=(
        "roost plugins",
        "roost plugins --plugin no:watchlist",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@roost_options()
@click.pass_obj
def command(session: Session, as_json: bool) -> None:
    """List the plugins: what is loaded, blocked or broken, and where each comes from.

    Columns: plugin, status, source, distribution, hooks, location, error. Broken
    plugins do not stop this command. No server is needed.
    """
    reports = session.plugins().reports()
    rows = [
        {
            "plugin": report.name,
            "status": str(report.status),
            "source": str(report.source),
            "distribution": output.distribution(report),
            "hooks": list(report.hooks),
            "engine": report.engine_id,
            "location": report.location,
            "error": redacted(report.error),
        }
        for report in reports
    ]
    if as_json:
        output.json_line(rows, indent=2)
        return
    headings = ["plugin", "status", "source", "distribution", "hooks", "location", "error"]
    output.table(
        headings,
        [
            [row[name] if name != "hooks" else " ".join(row["hooks"]) for name in headings]
            for row in rows
        ],
    )
