"""One answer for all who ask within a moment: each tab asks for the overview by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import attrs

from roost_core import Roost

_T = TypeVar("_T")
#: How old an answer may be, counted from when it began to be read. Seconds. No more than a live
#: page waits between two readings (PAUSE_MS in live.js), so that its next one is a new answer.
SHARED_SECONDS: Final = 1.0


@attrs.define(eq=False)
class _Reading(Generic[_T]):
    """One answer, there or under way.

    :ivar stamp: what had been done when it began.
    :ivar waiting: how many wait for it.
    """

    stamp: Hashable
    began: float
    task: asyncio.Task[_T]
    waiting: int = 0


class Shared(Generic[_T]):
    """Reads something when it is asked for, and gives the answer to others who ask soon after.

    It is used in the connection's loop only, and does nothing while nobody asks.

    :param load: reads it.
    :param stamp: what changes with everything that people have done: an answer that began to be
        read before that is given to nobody who asks after it.
    :param is_current: asked before an answer is given again: whether nobody has done anything
        since, as far as the stamp cannot tell.
    """

    def __init__(
        self,
        load: Callable[[Roost], Awaitable[_T]],
        stamp: Callable[[], Hashable],
        is_current: Callable[[Roost, _T], Awaitable[bool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._stamp = stamp
        self._is_current = is_current
        self._clock = clock
        self._newest: _Reading[_T] | None = None

    async def get(self, roost: Roost) -> _T:
        """Return an answer that is about a second old at most, and no older than what was done.

        :raises RoostError: what reading it raises; the next one who asks has it read again.
        """
        while True:
            known = self._usable()
            if known is None:
                return await self._wait_for(self._begin(roost))
            answer = await self._wait_for(known)
            if await self._is_current(roost, answer):
                return answer
            if self._newest is known:
                self._newest = None

    def _usable(self) -> _Reading[_T] | None:
        known = self._newest
        if known is None or known.stamp != self._stamp():
            return None
        if not known.task.done():
            return known
        is_good = not known.task.cancelled() and known.task.exception() is None
        return known if is_good and self._clock() - known.began < SHARED_SECONDS else None

    def _begin(self, roost: Roost) -> _Reading[_T]:
        async def read() -> _T:
            return await self._load(roost)

        # The stamp comes first: what is done while it is read may not be in it.
        stamp, began = self._stamp(), self._clock()
        self._newest = _Reading(stamp, began, asyncio.create_task(read()))
        return self._newest

    async def _wait_for(self, reading: _Reading[_T]) -> _T:
        reading.waiting += 1
        try:
            return await asyncio.shield(reading.task)
        finally:
            reading.waiting -= 1
            # Whoever gives up does not end it for the others; with nobody left it is cancelled.
            if not reading.waiting and not reading.task.done():
                reading.task.cancel()
                if self._newest is reading:
                    self._newest = None
