"""The events of a queue, and of one work item."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from roost_core.backend.ledger import Ledger
from roost_core.backend.trail import completed, is_complete
from roost_core.client.waiting import FOLLOW_PATIENCE_SECONDS, repeated
from roost_core.models.events import Event

#: How long one request for the next event may wait at the server, in milliseconds.
_BLOCK_MS: Final = 5_000
#: Before the first event.
_START: Final = "0-0"
#: The most events that one request returns.
_PAGE: Final = 500


async def of_work(
    ledger: Ledger, work_id: str, after: str | None, limit: int
) -> Sequence[Event] | None:
    """Return a work item's newest events, or those after an event id, in order.

    What the queue's stream has already dropped comes from the item's own trail.

    :returns: None if there is no such work item, and no event about it.
    """
    found = await ledger.events(after=after, work_id=work_id, limit=limit)
    if after is not None or len(found) >= limit or is_complete(found):
        return found
    trail = await ledger.trail(work_id)
    if trail is None and not found:
        return None
    return completed(found, trail or ())[-limit:]


async def follow(
    ledger: Ledger, work_id: str | None, after: str | None
) -> AsyncGenerator[Event, None]:
    """Yield events as they happen, of one work item or of all, for ever.

    :param after: an event id to continue from; None starts with the next event.
    :raises BackendUnavailable: the server was unreachable for 30 s.
    """
    if after is None:
        newest = await ledger.events(limit=1)
        # Where there is none, "the newest" would be asked for again and again, without a wait.
        after = newest[-1].event_id if newest else _START

    async def once() -> Sequence[Event]:
        return await ledger.events(after=after, work_id=work_id, limit=_PAGE, block_ms=_BLOCK_MS)

    while True:
        for event in await repeated(once, FOLLOW_PATIENCE_SECONDS, waits=True):
            after = event.event_id
            yield event
