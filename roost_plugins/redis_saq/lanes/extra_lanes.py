"""Lanes beside SAQ's, in place of those lost to steps that do not end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from roost_core.backend import Claim, LostLanes
from roost_plugins.redis_saq.lanes.lanes import Lanes

_log = logging.getLogger("roost.worker")


class ExtraLanes:
    """As many lanes as are lost, up to the bound; they leave when the lost ones come back."""

    def __init__(
        self, lanes: Lanes, lost: LostLanes, handle: Callable[[Claim], Awaitable[None]]
    ) -> None:
        self._lanes = lanes
        self._lost = lost
        self._handle = handle
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Task[None]] = set()
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Stop making up for lost lanes; lanes that are at work are left for the caller to end."""
        self._keeping.cancel()
        for task in list(self._waiting):
            task.cancel()
        await asyncio.gather(self._keeping, *self._waiting, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            await self._lost.changed.wait()
            self._lost.changed.clear()
            wanted = min(self._lost.lanes, self._lost.bound)
            while len(self._tasks) < wanted:
                task = asyncio.create_task(self._lane())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            for task in list(self._waiting)[: max(0, len(self._tasks) - wanted)]:
                task.cancel()
            # Whether there is room for claims may have changed as well.
            self._lanes.look_again()

    async def _lane(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while len(self._tasks) <= self._lost.lanes:
            self._waiting.add(task)
            try:
                claim = await self._lanes.next_claim()
            finally:
                self._waiting.discard(task)
            try:
                await self._handle(claim)
            except Exception:  # noqa: BLE001 - a bug in one claim must not cost a lane
                _log.exception("the lane of %s ended", claim.lease.work_id)
