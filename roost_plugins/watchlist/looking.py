"""One look at a page: what to fetch, whether that is allowed, and what to do with the result."""

from __future__ import annotations

from roost_core.context import StepContext
from roost_core.errors import PermanentError
from roost_core.models import Snapshot, WorkItem
from roost_plugins.watchlist import addresses, fetch, rules
from roost_plugins.watchlist.settings import WatchlistSettings


async def look(snapshot: Snapshot, item: WorkItem, context: StepContext) -> Snapshot:
    """Fetch the page once and add what was seen; the last look adds a report.

    :raises PermanentError: the payload is invalid, or the operator does not allow the address that
        its URL leads to.
    """
    watch = rules.Watch.from_payload(item.payload)
    done = snapshot.data["checks_completed"]
    context.heartbeat(done / watch.checks_required, "fetching the page")
    allow_private = context.settings.of(WatchlistSettings).allow_private_addresses
    policy = addresses.allow_all if allow_private else addresses.refuse_non_public
    try:
        page = await fetch.fetch(watch.url, policy=policy)
    except fetch.AddressRefused as error:
        raise PermanentError(
            f"the payload's url leads to {error}; the operator can allow such addresses "
            "with the setting watchlist_allow_private_addresses "
            "(ROOST_WATCHLIST_ALLOW_PRIVATE_ADDRESSES)"
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
