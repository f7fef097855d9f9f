"""A plugin that adds a command: ``roost summary`` counts work by engine and state.

``RoostCommand`` and ``roost_options`` give it the options of every command (``--queue``,
``--redis-url`` and so on); the session it gets opens the connection that they ask for.

Run it, in this folder::

    export ROOST_PLUGINS=./countdown.py,./summary_command.py
    roost enqueue --engine countdown --payload '{"from": 1}'
    roost enqueue --engine countdown --payload '{"from": 2}'
    roost worker --burst
    roost summary
    roost summary --help
"""

from collections import Counter

import click

from roost_core import hookimpl
from roost_core.cli.options import RoostCommand, roost_options


@click.command("summary", cls=RoostCommand, example=("roost summary --limit 100",))
@click.option("--limit", type=click.IntRange(1), default=1000, help="Look at the newest N only.")
@roost_options()
@click.pass_obj
def summary(session, limit):
    """Count work items by engine and state."""
    rows = session.read(lambda roost: roost.list(limit=limit))
    found = Counter((row.meta.engine, str(row.meta.state)) for row in rows)
    for (engine, state), count in sorted(found.items()):
        click.echo(f"{engine}\t{state}\t{count}")


@hookimpl
def register_commands(cli):
    cli.add_command(summary)
