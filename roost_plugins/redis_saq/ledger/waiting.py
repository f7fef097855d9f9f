"""Waiting for work to end, and for events: each has one connection for any number of waits.

A message says that a work item has ended. In case one was lost, a check every few seconds serves
all waits together: it asks for places in the indexes, a few hundred work items per command, and
reads none of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from roost_core.errors import BackendError, BackendUnavailable
from roost_plugins.redis_saq.connection.calls import Calls
from roost_plugins.redis_saq.connection.endpoint import COMMAND_TIMEOUT, Endpoint
from roost_plugins.redis_saq.connection.subscription import Subscription, subscribe
from roost_plugins.redis_saq.keys import Keys

#: About how often all waits are checked, in case a message was lost. Seconds.
LOOK_AGAIN: Final = 5.0
#: How many work items one command asks about.
_AT_ONCE: Final = 500
#: A work item in one of the first three has ended; one that is not in the last is gone.
_PLACES: Final = ("done", "failed", "cancelled", "created")
#: How long the server may hold a request for new events: well within what an answer may take.
_BLOCK_MS: Final = int(COMMAND_TIMEOUT / 2 * 1000)


class _Wait:
    """One wait for one work item."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._error: Exception | None = None

    def tell(self, error: Exception | None = None) -> None:
        """Report that it is time to look, or, with an error, that no more news will come."""
        self._error = error
        self._told.set()

    async def until_told(self) -> None:
        """Wait until it is time to read the work item.

        :raises BackendError: no more news of it would come.
        """
        await self._told.wait()
        self._told.clear()
        if self._error is not None:
            raise self._error


class Endings:
    """Tells waits when their work items have ended."""

    def __init__(self, endpoint: Endpoint, keys: Keys, calls: Calls) -> None:
        self._endpoint = endpoint
        self._keys = keys
        self._calls = calls
        self._waits: dict[str, set[_Wait]] = {}
        self._messages: Subscription | None = None
        #: Whether anything was received over the current connection, or the one before.
        self._was_heard = False
        self._connecting: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._to_look_at: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    @contextlib.contextmanager
    def of(self, work_id: str) -> Iterator[_Wait]:
        """Wait for a work item; the wait is told when it may have ended.

        :raises BackendUnavailable: the backend was closed.
        """
        wait = _Wait()
        if self._is_closed:
            raise BackendUnavailable("the backend was closed")
        self._waits.setdefault(work_id, set()).add(wait)
        if self._messages is not None:
            # Even if it is subscribed to already: the confirmation triggers a check.
            self._messages.subscribe([self._keys.ended_channel(work_id)])
        else:
            self._connect_soon()
        if self._timer is None:
            self._look_later()
        try:
            yield wait
        finally:
            self._waits[work_id].discard(wait)
            if not self._waits[work_id]:
                del self._waits[work_id]
                if self._messages is not None:
                    self._messages.unsubscribe([self._keys.ended_channel(work_id)])

    async def close(self) -> None:
        """Close the connection; those who still wait get an error."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = [task for task in (self._connecting, self._looking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        messages, self._messages = self._messages, None
        if messages is not None:
            await messages.close()
        self._tell_all(BackendUnavailable("the backend was closed"))

    def _tell(self, work_id: str) -> None:
        for wait in self._waits.get(work_id, ()):
            wait.tell()

    def _tell_all(self, error: Exception) -> None:
        for waits in self._waits.values():
            for wait in waits:
                wait.tell(error)

    # -- messages --------------------------------------------------------------------------

    def _connect_soon(self) -> None:
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            channels = [self._keys.ended_channel(work_id) for work_id in self._waits]
            messages = await subscribe(self._endpoint, channels, self._heard)
        except Exception as error:  # noqa: BLE001 - each wait gets it, none may wait for ever
            self._tell_all(error)
            return
        self._messages = messages
        # Those that were added meanwhile.
        known = set(channels)
        messages.subscribe(
            channel
            for channel in (self._keys.ended_channel(work_id) for work_id in self._waits)
            if channel not in known
        )
        messages.on_end(self._ended)

    def _heard(self, kind: str, channel: str, _said: bytes) -> None:
        self._was_heard = True
        work_id = channel[len(self._keys.ended_channel("")) :]
        if kind == "message":
            self._tell(work_id)
        else:
            # It may have ended before the server listened.
            self._look_at([work_id])

    def _ended(self, reason: Exception) -> None:
        self._messages = None
        if self._is_closed or not self._waits:
            return
        if self._was_heard:
            self._was_heard = False
            self._connect_soon()
        else:
            # It was cut before anything was received: whoever waits pauses first.
            self._tell_all(reason)

    # -- looking ---------------------------------------------------------------------------

    def _look_later(self) -> None:
        seconds = LOOK_AGAIN * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look_at_all)

    def _look_at_all(self) -> None:
        self._timer = None
        if self._waits and not self._is_closed:
            self._look_at(self._waits)
            self._look_later()

    def _look_at(self, work_ids: Iterable[str]) -> None:
        self._to_look_at.update(work_ids)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while self._to_look_at:
            work_ids = list(islice(self._to_look_at, _AT_ONCE))
            self._to_look_at.difference_update(work_ids)
            try:
                async with asyncio.timeout(2 * COMMAND_TIMEOUT):
                    ended = await self._ended_among(work_ids)
            except (BackendError, TimeoutError) as error:
                self._to_look_at.clear()
                reason = error if isinstance(error, BackendError) else None
                self._tell_all(reason or BackendUnavailable("the server does not answer"))
                return
            for work_id in ended:
                self._tell(work_id)

    async def _ended_among(self, work_ids: Sequence[str]) -> list[str]:
        places = await asyncio.gather(
            *(self._calls.plain("ZMSCORE", self._keys.key(place), *work_ids) for place in _PLACES)
        )
        return [
            work_id
            for work_id, done, failed, cancelled, created in zip(work_ids, *places, strict=True)
            if created is None or not done is failed is cancelled is None
        ]


class Tail:
    """Tells any number of followers that the stream has new events."""

    def __init__(self, endpoint: Endpoint, key: str) -> None:
        self._key = key
        self._calls = Calls(endpoint)
        self._followers: dict[asyncio.Future[None], str] = {}
        self._reading: asyncio.Task[None] | None = None
        #: How often there was something new.
        self.count = 0

    async def beyond(self, after: str, count: int, seconds: float) -> None:
        """Wait up to ``seconds`` until there may be events after ``after``.

        :param count: the tail's count before the caller looked for them.
        :raises BackendUnavailable: no answer, or the backend was closed.
        :raises BackendError: the server refused.
        """
        if self.count != count:
            return
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._followers[told] = after
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(seconds):
                await told
        except TimeoutError:
            return
        finally:
            del self._followers[told]

    async def close(self) -> None:
        """Close the connection; those who still wait get an error."""
        await self._calls.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            await self._calls.open()
            while asking := {
                told: after for told, after in self._followers.items() if not told.done()
            }:
                after = min(asking.values(), key=_position)
                block = ("COUNT", "1", "BLOCK", str(_BLOCK_MS), "STREAMS", self._key, after)
                if await self._calls.plain("XREAD", *block) is not None:
                    self.count += 1
                    self._tell_all(None)
        except Exception as error:  # noqa: BLE001 - each follower gets it, none may wait for ever
            self._tell_all(error)

    def _tell_all(self, error: Exception | None) -> None:
        for told in self._followers:
            if told.done():
                continue
            if error is None:
                told.set_result(None)
            else:
                told.set_exception(error)


def _position(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)
