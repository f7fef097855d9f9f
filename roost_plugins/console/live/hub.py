"""One follower of the queue's events for all streams of the process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from roost_core import Roost, RoostError
from roost_core.errors import BackendUnavailable
from roost_core.models import Event
from roost_plugins.console.connection import Connection
from roost_plugins.console.live.batches import Batch, Inbox

#: How often the server is asked for its clock, which tells how old the news is. Seconds.
LOOK_SECONDS: Final = 2.0
#: How long it may take to answer before it counts as lost. Seconds.
_ANSWER_SECONDS: Final = 3.0
#: How long a clock that was read is good for. Seconds.
_CLOCK_SECONDS: Final = 60.0
#: How long nobody may listen before following ends. Seconds.
_LINGER_SECONDS: Final = 30.0


class TooManyStreams(RoostError):
    """No further stream is allowed."""


class Hub:
    """Follows the queue's events while somebody listens, and tells every listener.

    :param most: most listeners at the same time.
    """

    def __init__(self, connection: Connection, most: int) -> None:
        self._connection = connection
        self._most = most
        self._lock = threading.Lock()
        self._inboxes: set[Inbox] = set()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._last_id: str | None = None
        self._offset_ms: float | None = None
        self._heard = time.monotonic()
        self._clock_read = 0.0
        self._is_gone = False

    # -- for pages and streams -------------------------------------------------------------

    @property
    def age(self) -> float:
        """Seconds since the server was last heard."""
        return time.monotonic() - self._heard

    def now(self) -> datetime:
        """Return the server's clock; at most once a minute this costs a round trip."""
        if self._offset_ms is None or abs(time.time() - self._clock_read) > _CLOCK_SECONDS:
            with contextlib.suppress(BackendUnavailable):
                self._connection.ask(self._look, _ANSWER_SECONDS)
        local = time.time() * 1000
        return datetime.fromtimestamp((local + (self._offset_ms or 0)) / 1000, UTC)

    @contextlib.contextmanager
    def listening(self) -> Iterator[Inbox]:
        """Listen to what happens from now on.

        :raises TooManyStreams: no further listener is allowed.
        :raises RoostError: the console is ending.
        """
        inbox = Inbox()
        with self._lock:
            if self._is_closed:
                raise RoostError("the console is ending")
            if len(self._inboxes) >= self._most:
                raise TooManyStreams(f"there are {self._most} live pages already")
            self._inboxes.add(inbox)
            if self._is_gone:
                inbox.put_gone()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="roost-console-live")
                self._thread.start()
        try:
            yield inbox
        finally:
            with self._lock:
                self._inboxes.discard(inbox)

    def close(self) -> None:
        """End every stream, and what feeds them."""
        with self._lock:
            self._is_closed = True
            inboxes, thread = list(self._inboxes), self._thread
        for inbox in inboxes:
            inbox.close()
        if thread is not None:
            thread.join()

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._has_ended():
            try:
                self._connection.roost.run(self._follow)
            except RoostError:
                self._tell_gone()
                time.sleep(0.2)

    def _has_ended(self) -> bool:
        with self._lock:
            if self._is_closed or (self._is_idle() and not self._inboxes):
                self._thread = None
                return True
            return False

    def _is_idle(self) -> bool:
        return not self._inboxes

    async def _follow(self, roost: Roost) -> None:
        """Tell what happens until nobody listens any more."""
        loops = (self._tell_events(roost), self._tell_age(roost))
        tasks = [asyncio.create_task(one) for one in loops]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _tell_events(self, roost: Roost) -> None:
        async for event in roost.follow(after=self._last_id):
            self._last_id = event.event_id
            for inbox in self._listeners():
                inbox.put(event)

    async def _tell_age(self, roost: Roost) -> None:
        idle = 0.0
        while not self._is_closed and idle < _LINGER_SECONDS:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._look(roost)
            except (BackendUnavailable, TimeoutError):
                self._tell_gone()
            else:
                self._tell_back()
            idle = 0.0 if self._inboxes else idle + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, roost: Roost) -> None:
        now = await roost.server.now_ms()
        self._clock_read = time.time()
        self._offset_ms = now - self._clock_read * 1000
        self._heard = time.monotonic()

    def _listeners(self) -> list[Inbox]:
        with self._lock:
            return list(self._inboxes)

    def _tell_gone(self) -> None:
        if not self._is_gone:
            self._is_gone = True
            for inbox in self._listeners():
                inbox.put_gone()

    def _tell_back(self) -> None:
        if self._is_gone:
            self._is_gone = False
            for inbox in self._listeners():
                inbox.put_back()


__all__ = ["Batch", "Event", "Hub", "Inbox", "TooManyStreams"]
