"""How a queue is read: work items, counts, workers, and waiting for a work item to end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from roost_core.backend import (
    ListQuery,
    Reading,
    StoredHistory,
    StoredWork,
)
from roost_core.codec.strict_json import MAX_PAYLOAD_BYTES, loads
from roost_core.errors import CodecError
from roost_core.models import TERMINAL_STATES, State
from roost_core.settings import Settings
from roost_plugins.redis_saq.connection.calls import Calls
from roost_plugins.redis_saq.connection.endpoint import Endpoint
from roost_plugins.redis_saq.connection.refusals import translated
from roost_plugins.redis_saq.keys import PLACES
from roost_plugins.redis_saq.ledger.events import RedisEvents
from roost_plugins.redis_saq.ledger.waiting import Endings
from roost_plugins.redis_saq.record.answers import time_of
from roost_plugins.redis_saq.record.standing import stored_work
from roost_plugins.redis_saq.scripts import with_place

#: A worker that has been silent for this many of its own lease times does not count as live.
_SILENT_TTLS: Final = 3
#: How many members one call of the ``list`` script checks.
_SCAN: Final = 10_000
#: Listing order: soonest first where the set is ordered by due time or place in line.
_FORWARD: Final = frozenset({State.QUEUED, State.SLEEPING, State.RETRY_WAIT, State.BLOCKED})


class RedisReading(RedisEvents, Reading):
    """Reads the work of one queue, and the register of its workers."""

    def __init__(self, settings: Settings, queue: str, endpoint: Endpoint, calls: Calls) -> None:
        super().__init__(settings, queue, endpoint, calls)
        self._endings = Endings(endpoint, self.keys, calls)

    async def close(self) -> None:
        """Close the connection; those who still wait get an error."""
        await self._endings.close()
        await super().close()

    async def read(self, work_id: str) -> StoredWork | None:
        """Return one work item, read atomically, or None."""
        row = await self._call("read", work_id)
        return None if row is None else stored_work(row)

    async def history(self, work_id: str) -> StoredHistory | None:
        """Return what is kept of a work item's versions, or None."""
        from roost_plugins.redis_saq.record.history import stored_history

        answer = await self._call("history", work_id)
        return None if answer is None else stored_history(answer)

    async def counts(self) -> Mapping[State, int]:
        """Return how many work items are in each state."""
        pipeline = self.calls.client.pipeline(transaction=True)
        for place in PLACES.values():
            pipeline.zcard(self.keys.key(place))
        with translated(self.endpoint.description):
            return dict(zip(PLACES, await pipeline.execute(), strict=True))

    async def wait_terminal(self, work_id: str, timeout: float | None) -> StoredWork | None:
        """Wait until a work item is terminal, as notified by the server."""
        work = await self.read(work_id)
        if work is None or work.state in TERMINAL_STATES or timeout == 0:
            return work
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        with self._endings.of(work_id) as wait:
            while work is not None and work.state not in TERMINAL_STATES:
                try:
                    async with asyncio.timeout_at(deadline):
                        await wait.until_told()
                except TimeoutError:
                    return await self.read(work_id)
                work = await self.read(work_id)
        return work

    async def workers(self) -> Sequence[tuple[bytes, int]]:
        """Return live workers and when each was last seen."""
        pipeline = self.calls.client.pipeline(transaction=True)
        pipeline.hgetall(self.keys.key("workers"))
        pipeline.zrange(self.keys.key("seen"), 0, -1, withscores=True)
        pipeline.time()
        with translated(self.endpoint.description):
            infos, seen, (seconds, microseconds) = await pipeline.execute()
        now = seconds * 1000 + microseconds // 1000
        live = []
        for worker_id, at in seen:
            info = infos.get(worker_id)
            # A time in the future is damaged: a live worker corrects it.
            if info is not None and abs(now - at) <= _silence_allowed_ms(info):
                live.append((info, time_of(at)))
        return live

    async def worker(self, worker_id: str) -> bytes | None:
        """Return one worker's encoded ``WorkerInfo``, or None."""
        found: bytes | None = await self.calls.plain("HGET", self.keys.key("workers"), worker_id)
        return found

    async def list(self, query: ListQuery) -> Sequence[StoredWork]:
        """Return a page of work items."""
        place = "created" if query.state is None else PLACES[query.state]
        script = with_place(self.scripts["list"], self.keys, place)
        reverse = int(query.state not in _FORWARD)
        rank, skip = (0, query.offset) if query.engine else (query.offset, 0)
        found: list[StoredWork] = []
        while rank >= 0 and len(found) < skip + query.limit:
            wanted = skip + query.limit - len(found)
            rank, rows = await self.calls(script, rank, wanted, reverse, query.engine or "", _SCAN)
            found.extend(stored_work(row) for row in rows)
        return found[skip:]


def _silence_allowed_ms(info: bytes) -> float:
    try:
        plain: Any = loads(info, "a worker's info", MAX_PAYLOAD_BYTES)
        return max(5.0, _SILENT_TTLS * float(plain["lease_ttl_seconds"])) * 1000
    except (CodecError, KeyError, TypeError, ValueError, OverflowError):
        return 60_000.0
