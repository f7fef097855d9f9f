"""The engine that ships with Roost: it watches a web page and gathers evidence.

The payload is ``{url, claim, checks_required, delay_seconds}``; only ``url`` is
required. Each step fetches the page once and adds an observation to the
snapshot; the last one writes a JSON evidence report as an artifact. A site that
is down is an observation too, not a failed attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core import hookimpl
from roost_core.models import Snapshot
from roost_plugins.watchlist.settings import WatchlistSettings

if TYPE_CHECKING:
    import click

    from roost_core.context import StepContext
    from roost_core.models import WorkItem

engine_id = "watchlist"
#: What ``roost dev watchlist`` offers to try it with.
example_payload = {"url": "https://example.com/", "claim": "Example Domain", "delay_seconds": 10}


@hookimpl
def register_settings() -> type[WatchlistSettings]:
    """Declare which pages may be watched."""
    return WatchlistSettings


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add the demo."""
    # Only a command line has click.
    from roost_core.cli.lazy import LazyCommand

    target = "roost_plugins.watchlist.demo:command"
    cli.add_command(LazyCommand("demo", target, "See a worker die and its work continue."))


# Most commands load this plugin, and only workers watch: what they need is imported then.


@hookimpl
async def init_snapshot(item: WorkItem) -> Snapshot:
    """Check the payload and start with no observation.

    :raises PermanentError: the payload is invalid.
    """
    from roost_plugins.watchlist import rules

    rules.Watch.from_payload(item.payload)
    return Snapshot.start(item, data=rules.initial_data())


@hookimpl
async def step(snapshot: Snapshot, item: WorkItem, context: StepContext) -> Snapshot:
    """Fetch once; running again from the same snapshot just fetches again.

    :raises PermanentError: the payload is invalid, or the operator does not allow the address that
        its URL leads to.
    """
    # aiohttp takes longer to import than all of Roost, so only a worker that fetches pays. Not in a
    # thread: two that import at the same time can deadlock.
    from roost_plugins.watchlist import looking

    return await looking.look(snapshot, item, context)
