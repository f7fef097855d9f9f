"""``roost engines``."""

from __future__ import annotations

import click

from roost_core.cli import output
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.plugins.registry import Plugins
from roost_core.values import Json


@click.command(
    "engines",
    cls=RoostCommand,
    example=("roost engines --plugin ./my_engine.py",),
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@roost_options()
@click.pass_obj
def command(session: Session, as_json: bool) -> None:
    """List the engines that installed plugins offer.

    Columns: engine, plugin, distribution, location. No server is needed.
    """
    plugins = session.plugins()
    rows = engines_json(plugins)
    if as_json:
        output.json_line(rows, indent=2)
        return
    output.table(
        ["engine", "plugin", "distribution", "location"], [list(row.values()) for row in rows]
    )
    if not rows:
        output.note("no engines are installed: see `roost plugins`")


def engines_json(plugins: Plugins) -> list[dict[str, Json]]:
    """Return the engines that plugins offer as plain JSON, by name."""
    homes = {report.name: report for report in plugins.reports()}
    rows: list[dict[str, Json]] = []
    for engine_id, engine in sorted(plugins.engines().items()):
        home = homes.get(engine.plugin_name)
        rows.append(
            {
                "engine": engine_id,
                "plugin": engine.plugin_name,
                "distribution": home and home.home,
                "location": home and home.location,
            }
        )
    return rows
