"""The events of a queue: its stream, and each work item's own history."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from roost_core.models import Event
from roost_core.settings import Settings
from roost_plugins.redis_saq.connection.calls import Calls
from roost_plugins.redis_saq.connection.endpoint import Endpoint
from roost_plugins.redis_saq.connection.refusals import translated
from roost_plugins.redis_saq.ledger import trail
from roost_plugins.redis_saq.ledger.one_queue import OneQueue
from roost_plugins.redis_saq.ledger.waiting import Tail
from roost_plugins.redis_saq.record.events import event

#: No entry of a stream can come after this one.
_LAST_EVENT: Final = f"{2**64 - 1}-{2**64 - 1}"
#: How many events one call searches for those of one work item.
_LOOK_AT: Final = 1_000


class RedisEvents(OneQueue):
    """Reads and follows events."""

    def __init__(self, settings: Settings, queue: str, endpoint: Endpoint, calls: Calls) -> None:
        super().__init__(settings, queue, endpoint, calls)
        self._tail = Tail(endpoint, self.keys.key("events"))

    async def close(self) -> None:
        """Close the connection; those who still follow get an error."""
        await self._tail.close()

    async def events(
        self,
        *,
        after: str | None = None,
        work_id: str | None = None,
        limit: int = 100,
        block_ms: int | None = None,
    ) -> Sequence[Event]:
        """Return events in order."""
        if after is None:
            return await self._newest_events(work_id, limit)
        found: list[Event] = []
        deadline = time.monotonic() + (block_ms or 0) / 1000
        while len(found) < limit:
            count = self._tail.count
            page = await self._events_after(after, limit)
            if page:
                after = page[-1].event_id
                found.extend(one for one in page if work_id in (None, one.work_id))
                continue
            left = deadline - time.monotonic()
            if found or left <= 0:
                break
            await self._tail.beyond(after, count, left)
        return found[:limit]

    async def _events_after(self, after: str, limit: int) -> Sequence[Event]:
        if after == _LAST_EVENT:
            return []
        # Over the one connection for calls: there may be any number of followers.
        page = ("XRANGE", self.keys.key("events"), f"({after}", "+", "COUNT", str(max(limit, 100)))
        return [
            event((event_id, dict(zip(fields[::2], fields[1::2], strict=True))))
            for event_id, fields in await self.calls.plain(*page)
        ]

    async def trail(self, work_id: str) -> Sequence[Event] | None:
        """Return a work item's own history, in one call."""
        found = await self._call("trail", work_id)
        return None if found is None else trail.events(*found)

    async def newest_of(
        self, work_id: str, *, limit: int, look: int | None = None
    ) -> Sequence[Event]:
        """Search the stream for one work item's events; only those are sent."""
        found: list[Event] = []
        before: Any = "+"
        # What is alone in its queue needs no more than are wanted.
        looked, count = 0, min(limit, _LOOK_AT)
        while before and len(found) < limit and (look is None or looked < look):
            before, page = await self._call("story", work_id, before, count)
            found.extend(event((at, {b"event": text})) for at, text in page)
            looked, count = looked + count, _LOOK_AT
        return found[:limit][::-1]

    async def _newest_events(self, work_id: str | None, limit: int) -> Sequence[Event]:
        if work_id is not None:
            return await self.newest_of(work_id, limit=limit)
        key = self.keys.key("events")
        found: list[Event] = []
        before = "+"
        while len(found) < limit:
            with translated(self.endpoint.description):
                count = min(limit - len(found), 1000)
                entries: Any = await self.calls.client.xrevrange(key, before, "-", count)
            if not entries:
                break
            before = f"({entries[-1][0].decode()}"
            found.extend(event(entry) for entry in entries)
        return found[limit - 1 :: -1] if len(found) > limit else found[::-1]
