"""A connection that listens to channels and notices when the other end is gone.

A quiet channel and a cut cable look the same. So a connection that has been silent for a while is
pinged, and an unanswered ping ends it; the listener then makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

import hiredis

from roost_core.errors import BackendUnavailable
from roost_plugins.redis_saq.connection.endpoint import Endpoint
from roost_plugins.redis_saq.connection.line import Line, give_back
from roost_plugins.redis_saq.connection.refusals import garbled, refused, silent, translated
from roost_plugins.redis_saq.connection.urls import CONNECT_TIMEOUT

#: A connection that was silent for this long is pinged. Seconds.
PING_AFTER: Final = 5.0
#: A ping not answered within this time means that nobody is there. Seconds.
ANSWER_WITHIN: Final = 5.0

#: Called with a kind, ``subscribe`` or ``message``, the channel, and what the message says.
Heard = Callable[[str, str, bytes], None]


class Subscription(Line):
    """A connection that listens; made by :func:`subscribe`.

    :param heard: called with the kind of each message, its channel and what it says.
    """

    def __init__(self, where: str, heard: Heard) -> None:
        super().__init__(where)
        self._heard = heard
        self._reader = hiredis.Reader()
        self._heard_at = self._loop.time()
        self._asked_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: What closes a redis-py connection, and the task that does so.
        self.hang_up: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._hanging_up: asyncio.Task[None] | None = None
        self._end: asyncio.Future[None] = self._loop.create_future()
        # Waiting for the end is optional.
        self._end.add_done_callback(lambda end: end.exception())

    def subscribe(self, channels: Iterable[str]) -> None:
        """Also listen to these; each is confirmed with ``subscribe`` when the server listens."""
        self._ask_for("SUBSCRIBE", channels)

    def unsubscribe(self, channels: Iterable[str]) -> None:
        """Stop listening to these."""
        self._ask_for("UNSUBSCRIBE", channels)

    async def until_end(self) -> None:
        """Wait until the connection is unusable, and raise the reason.

        :raises BackendError: always.
        """
        await asyncio.shield(self._end)

    def end(self, reason: Exception) -> None:
        """Close the connection."""
        if self.ended is not None:
            return
        self.ended = reason
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        if self.hang_up is not None:
            self._hanging_up = self._loop.create_task(self.hang_up())
        self._end.set_exception(reason)

    async def close(self) -> None:
        """Close the connection, because nothing listens any more."""
        self.end(BackendUnavailable("nobody listens any more"))
        if self._hanging_up is not None:
            await asyncio.gather(self._hanging_up, return_exceptions=True)

    def on_end(self, call: Callable[[Exception], None]) -> None:
        """Call a function with the reason when it has ended."""

        def ended(_: object) -> None:
            if self.ended is not None:
                call(self.ended)

        self._end.add_done_callback(ended)

    def _ask_for(self, verb: str, channels: Iterable[str]) -> None:
        # Without a channel it would be an error, or mean all of them.
        if wanted := tuple(channels):
            self._ask(verb, *wanted)

    def _ask(self, *words: str) -> None:
        if self.ended is not None:
            return
        command: tuple[Any, ...] = words  # typed as one word in hiredis
        self._transport.write(hiredis.pack_command(command))
        if self._asked_at is None:
            self._asked_at = self._loop.time()
        self._look_within(ANSWER_WITHIN)

    def _look_within(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Ping the connection if it is silent; end it if it does not answer."""
        now = self._loop.time()
        if self._asked_at is not None:
            left = self._asked_at + ANSWER_WITHIN - now
            if left > 0:
                self._look_within(left)
            else:
                self.end(silent(self._where, f"nothing for {now - self._heard_at:.0f} s"))
            return
        left = self._heard_at + PING_AFTER - now
        if left > 0:
            self._look_within(left)
        else:
            self._ask("PING")

    # -- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        self._look_within(PING_AFTER)

    def data_received(self, data: bytes) -> None:
        """Pass on what is heard."""
        self._heard_at = self._loop.time()
        self._asked_at = None
        try:
            self._reader.feed(data)
            while (value := self._reader.gets()) is not False:
                self._take(value)
        except hiredis.HiredisError as error:
            self.end(garbled(self._where, error))

    def _take(self, value: Any) -> None:
        if isinstance(value, hiredis.ReplyError):
            if str(value).startswith("MISCONF"):
                # A server that cannot write to its disk refuses pings as well, which is still an
                # answer: it is there.
                return
            self.end(refused(self._where, str(value)))
        elif isinstance(value, list) and len(value) == 3:
            kind, channel, said = value
            if kind in (b"subscribe", b"message"):
                # A confirmation says how many channels are listened to.
                text = said if isinstance(said, bytes) else b""
                self._heard(kind.decode(), channel.decode(errors="replace"), text)


async def subscribe(endpoint: Endpoint, channels: Iterable[str], heard: Heard) -> Subscription:
    """Connect and subscribe to ``channels``.

    :param heard: see :class:`Subscription`.
    :raises BackendUnavailable: there is no connection.
    :raises BackendError: the server refused.
    """
    with translated(endpoint.description):
        found = await _connected(endpoint, heard)
    found.subscribe(channels)
    return found


async def _connected(endpoint: Endpoint, heard: Heard) -> Subscription:
    found = Subscription(endpoint.description, heard)
    path = endpoint.plain_socket
    if path is not None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await loop.create_unix_connection(lambda: found, path)
        return found
    client = endpoint.client()
    pool: Any = client.connection_pool  # typed only in part
    connection = None
    try:
        connection = await pool.get_connection()
        found.take_over(connection)
    except BaseException:
        if connection is not None:
            await give_back(pool, connection)
        await client.aclose()
        raise

    async def hang_up() -> None:
        await give_back(pool, connection)
        with contextlib.suppress(Exception):
            await client.aclose()

    found.hang_up = hang_up
    if found.ended is not None:
        raise found.ended
    return found
