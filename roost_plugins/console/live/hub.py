"""One follower of the queue's events for all streams of the process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from datetime import datetime
from typing import Final

from roost_core import Roost, RoostError
from roost_core.errors import BackendUnavailable
from roost_plugins.console.connection import Connection
from roost_plugins.console.live.batches import Inbox
from roost_plugins.console.live.clock import ServerClock
from roost_plugins.console.live.positions import START, before, is_by_person, missed_since, newest

_log = logging.getLogger("roost.console")

#: How often the server is asked for its clock, which tells how old the news is. Seconds.
LOOK_SECONDS: Final = 2.0
#: How long it may take to answer before it counts as lost. Seconds.
ANSWER_SECONDS: Final = 3.0
#: How long nobody may listen before following ends. Seconds.
LINGER_SECONDS: Final = 30.0
#: The pause before following begins again after an error. Seconds.
_PAUSE_SECONDS: Final = 0.5


class NoStream(BackendUnavailable):
    """There can be no stream now: there are too many, or the console ends."""


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
        self._is_closing = threading.Event()
        self._clock = ServerClock()
        # Only the thread that follows changes these.
        self._position: str | None = None
        self._is_gone = False
        self._acts = 0

    # -- for pages and streams -------------------------------------------------------------

    @property
    def age(self) -> float:
        """Seconds since the server was last heard, which it is every two while somebody listens."""
        return self._clock.age

    @property
    def is_gone(self) -> bool:
        """Whether the server is away, as far as is known: that takes listeners."""
        return self._is_gone

    @property
    def acts(self) -> int | None:
        """How often it has heard of what a person did, or lost events that may tell of it.

        None while it does not follow, or hears nothing.
        """
        return None if self._position is None or self._is_gone else self._acts

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._inboxes)

    def now(self) -> datetime:
        """Return the server's clock; at most once a minute this costs a round trip."""
        if self._clock.is_due:
            self._clock.trying()
            with contextlib.suppress(RoostError):
                self._connection.ask(self._look, ANSWER_SECONDS)
        return self._clock.now()

    def enter(self, after: str | None = None, since_ms: int | None = None) -> Inbox:
        """Return an inbox that gets what happens from now on, until :meth:`leave`.

        :param after: the id of the event that the listener heard last; what it has missed comes
            first.
        :param since_ms: without ``after``, the same for what has happened from this time on.
        :raises NoStream: no further listener is allowed.
        """
        inbox = Inbox()
        is_time = False
        if after is None and since_ms is not None:
            after, is_time = before(since_ms), True
        with self._lock:
            if self._is_closing.is_set():
                raise NoStream("the console is ending")
            if len(self._inboxes) >= self._most:
                raise NoStream(
                    f"{self._most} pages are kept up to date already, and ROOST_CONSOLE_STREAMS "
                    "allows no more: close some"
                )
            self._inboxes.add(inbox)
            if self._is_gone:
                inbox.put_gone(True)
            elif self._position is not None and after is None:
                inbox.begin(self._position)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="roost-console-live")
                self._thread.start()
        if after is not None:
            self._catch_up(inbox, after, is_time)
        return inbox

    def leave(self, inbox: Inbox) -> None:
        """Let an inbox get nothing more."""
        with self._lock:
            self._inboxes.discard(inbox)

    def close(self) -> None:
        """End every stream; following ends with the connection."""
        with self._lock:
            self._is_closing.set()
        for inbox in self._listening():
            inbox.close()

    def join(self) -> None:
        """Wait until following has ended."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _catch_up(self, inbox: Inbox, after: str, is_time: bool) -> None:
        try:
            missed = self._connection.ask(lambda roost: missed_since(roost, after, is_time))
        except RoostError:
            # It is away. When it is back, everything has to be read again.
            inbox.put_trimmed(START)
            return
        if missed.is_trimmed:
            inbox.put_trimmed(missed.newest)
        inbox.put_missed(missed.events, missed.newest)

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._has_ended():
            try:
                self._connection.roost.run(self._follow)
            except Exception as error:  # noqa: BLE001 - no fault may end the news for good
                if not isinstance(error, RoostError):
                    _log.exception("following the events has failed, and begins again")
                self._tell_gone(True)
                self._is_closing.wait(_PAUSE_SECONDS)

    def _has_ended(self) -> bool:
        with self._lock:
            if self._inboxes and not self._is_closing.is_set():
                return False
            self._thread, self._position, self._is_gone = None, None, False
            return True

    async def _follow(self, roost: Roost) -> None:
        """Tell what happens until nobody listens any more."""
        await self._find_position(roost)
        tasks = [
            asyncio.create_task(self._tell_events(roost)),
            asyncio.create_task(self._tell_age(roost)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _find_position(self, roost: Roost) -> bool:
        """Find out where to begin; return whether events were lost since the last time."""
        is_trimmed = False
        if self._position is None:
            position = await newest(roost)
        else:
            missed = await missed_since(roost, self._position)
            is_trimmed = missed.is_trimmed
            self._acts += is_trimmed
            position = missed.newest if is_trimmed else self._position
        self._clock.heard()
        self._tell_gone(False)
        with self._lock:
            self._position = position
            inboxes = list(self._inboxes)
        for inbox in inboxes:
            if is_trimmed:
                inbox.put_trimmed(position)
            else:
                inbox.begin(position)
        return is_trimmed

    async def _tell_events(self, roost: Roost) -> None:
        async for event in roost.follow(after=self._position):
            self._clock.heard()
            self._acts += is_by_person(event)
            with self._lock:
                self._position = event.event_id
                inboxes = list(self._inboxes)
            for inbox in inboxes:
                inbox.put(event)

    async def _tell_age(self, roost: Roost) -> None:
        """Ask for the clock until nobody has listened for a while; tell if nothing is heard."""
        idle = 0.0
        while idle < LINGER_SECONDS:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._look(roost)
                    if self._is_gone and await self._find_position(roost):
                        return  # to follow from another position
            except (BackendUnavailable, TimeoutError):
                self._tell_gone(True)
            idle = 0.0 if self._inboxes else idle + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, roost: Roost) -> None:
        self._clock.read(await roost.server.now_ms())

    def _tell_gone(self, is_gone: bool) -> None:
        with self._lock:
            if self._is_gone is is_gone:
                return
            self._is_gone = is_gone
            inboxes = list(self._inboxes)
        for inbox in inboxes:
            inbox.put_gone(is_gone)

    def _listening(self) -> list[Inbox]:
        with self._lock:
            return list(self._inboxes)
