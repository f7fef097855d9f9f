"""The engine that ships with Roost: it watches a web page and gathers evidence.

The payload is ``{url, claim, checks_required, delay_seconds}``; only ``url`` is
required. Each step fetches the page once and adds an observation to the
snapshot; the last one writes a JSON evidence report as an artifact. A site that
is down is an observation too, not a failed attempt.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from roost_core.errors import PermanentError
from roost_core.markers import hookimpl
from roost_core.models import Snapshot, WorkItem
from roost_plugins.watchlist import addresses, rules

if TYPE_CHECKING:
    from roost_core.context import StepContext

engine_id = "watchlist"


@hookimpl
async def init_snapshot(item: WorkItem) -> Snapshot:
    """Check the payload and start with no observation.

    :raises PermanentError: the payload is not sound.
    """
    rules.Watch.from_payload(item.payload)
    return Snapshot.start(item, data=rules.initial_data())


@hookimpl
async def step(snapshot: Snapshot, item: WorkItem, context: StepContext) -> Snapshot:
    """Fetch once; running again from the same snapshot just fetches again.

    :raises PermanentError: the payload is not sound, or the operator does not
        allow the address that its URL leads to.
    """
    # aiohttp takes longer to import than all of Roost: only a worker that fetches pays,
    # and the first time it does, other work on its event loop goes on.
    await asyncio.to_thread(import_module, "roost_plugins.watchlist.fetch")
    from roost_plugins.watchlist import fetch

    watch = rules.Watch.from_payload(item.payload)
    done = snapshot.data["checks_completed"]
    context.heartbeat(done / watch.checks_required, "fetching the page")
    allow_private = context.settings.allow_private_addresses
    policy = addresses.allow_all if allow_private else addresses.refuse_non_public
    try:
        page = await fetch.fetch(watch.url, policy=policy)
    except fetch.AddressRefused as error:
        raise PermanentError(
            f"the payload's url leads to {error}; the operator can allow such addresses "
            "with the setting allow_private_addresses (ROOST_ALLOW_PRIVATE_ADDRESSES)"
        ) from error
    except ValueError as error:
        raise PermanentError(f"the payload's url cannot be used: {error}") from error
    data = rules.next_data(snapshot.data, rules.observe(page, watch), watch)
    if not rules.is_complete(data, watch):
        return snapshot.evolve(
            step=rules.step_label(data, watch),
            data=data,
            next_step_delay_seconds=watch.delay_seconds,
        )
    report = await context.artifacts.aput_json(
        rules.report(item.work_id, data, watch), name="evidence report"
    )
    return snapshot.finish(data=data, artifacts=(*snapshot.artifacts, report))
