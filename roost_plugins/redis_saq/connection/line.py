"""A connection that an event loop made itself, or took over from redis-py.

redis-py handles TLS, logins and sentinels; a plain unix socket, as the embedded server has, needs
none of that, and so no redis-py.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
from typing import Any

from roost_plugins.redis_saq.connection.refusals import silent


class Line(asyncio.Protocol, abc.ABC):
    """One end of a connection; the subclass decides what is sent over it.

    :param where: the server, as error messages name it.
    :ivar ended: why it is unusable, or None.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._loop = asyncio.get_running_loop()
        self.ended: Exception | None = None
        self._transport: Any = None
        self._former: Any = None

    def take_over(self, connection: Any) -> None:
        """Take over a connection that redis-py made: it handles TLS, logins and sentinels.

        :raises BackendUnavailable: it is already closed.
        """
        # The one private name of redis-py that Roost uses; a test holds every version to it.
        writer = connection._writer
        if writer is None or writer.transport.is_closing():
            # Nothing would notify this protocol of its end.
            raise silent(self._where, "it hung up at once")
        transport = writer.transport
        self._former = transport.get_protocol()
        transport.set_protocol(self)
        self.connection_made(transport)

    @abc.abstractmethod
    def end(self, reason: Exception) -> None:
        """Close the connection. May be called twice."""

    # -- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Record that it is closed."""
        if self._former is not None:
            self._former.connection_lost(error)
        self.end(silent(self._where, error or "the connection was closed"))


async def give_back(pool: Any, connection: Any) -> None:
    """Give a connection back to its pool of redis-py's, closed."""
    with contextlib.suppress(Exception):
        await connection.disconnect(nowait=True)
    with contextlib.suppress(Exception):
        await pool.release(connection)
