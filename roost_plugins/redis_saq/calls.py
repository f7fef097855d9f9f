"""Script calls over one connection, grouped.

Calls that are made while others are under way leave together, in one write, and
their answers are read together: the lanes of a worker share the cost of each
round trip. The connection is redis-py's, taken from a client's pool. Only the
packing of EVALSHA is ours: a script's name and keys are always the same bytes,
and redis-py would encode each of them anew for every call.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import redis.asyncio
import redis.exceptions

from roost_core.errors import BackendUnavailable
from roost_plugins.redis_saq.connection import Endpoint, translated
from roost_plugins.redis_saq.scripts import Script

#: More calls than this do not leave together, so that the first need not wait for all.
_GROUP: Final = 128

#: The script, the call as the server reads it, and where the answer goes.
_Call = tuple[Script, bytes, "asyncio.Future[Any]"]


class Calls:
    """Calls scripts on an endpoint's server; for many tasks of one event loop at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client: redis.asyncio.Redis | None = None
        self._connection: redis.asyncio.Connection | None = None
        self._waiting: list[_Call] = []
        self._idle: asyncio.Future[None] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._mending: asyncio.Task[None] | None = None

    @property
    def client(self) -> redis.asyncio.Redis:
        """The client, for the few plain commands.

        :raises BackendUnavailable: not opened.
        """
        if self._client is None:
            raise BackendUnavailable("the backend is not open")
        return self._client

    async def open(self) -> None:
        """Make sure that there is a server, and a client for it."""
        await self._endpoint.ensure()
        if self._client is None:
            self._client = self._endpoint.client()
            self._pump = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Close the client; calls that still wait fail."""
        for task in (self._pump, self._mending):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._pump = self._mending = None
        waiting, self._waiting = self._waiting, []
        _fail(waiting, BackendUnavailable("the backend was closed"))
        await self._hang_up()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def __call__(self, script: Script, *args: Any) -> asyncio.Future[Any]:
        """Call a script; its answer is to be awaited.

        :raises BackendUnavailable: no answer; it may or may not have run.
        :raises BackendError: the server refused.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._pump is None:
            answer.set_exception(BackendUnavailable("the backend is not open"))
            return answer
        # Packed here, so that an argument that cannot be sent is its own caller's error only.
        self._waiting.append((script, _packed(script, args), answer))
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        return answer

    # -- the pump --------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._waiting:
                self._idle = loop.create_future()
                await self._idle
            # Whoever has given up waiting wants nothing sent: a claim would be nobody's.
            group = [call for call in self._waiting[:_GROUP] if not call[2].done()]
            self._waiting = self._waiting[_GROUP:]
            if not group:
                continue
            try:
                await self._exchange(group)
            except asyncio.CancelledError:
                _fail(group, BackendUnavailable("the backend was closed"))
                raise
            except Exception as error:  # noqa: BLE001 - each caller gets it, none may wait for ever
                _fail(group, self._in_our_words(error))
                # Answers may still be on their way: a new connection cannot mix them up.
                await self._hang_up()
                self._mend(error)

    async def _exchange(self, group: list[_Call]) -> None:
        unknown = await self._send(group)
        if unknown:
            for script in {call[0].sha: call[0] for call in unknown}.values():
                await self.client.script_load(script.source)
            still_unknown = await self._send(unknown)
            _fail(still_unknown, BackendUnavailable("the server forgets its scripts at once"))

    async def _send(self, group: list[_Call]) -> list[_Call]:
        """Send calls and settle their answers; return those whose script is not known."""
        if self._connection is None:
            pool: Any = self.client.connection_pool  # typed only in part
            self._connection = await pool.get_connection()
        connection = self._connection
        await connection.send_packed_command(b"".join([call[1] for call in group]))
        unknown = []
        is_replica = False
        for call in group:
            answer = call[2]
            try:
                value = await connection.read_response()
            except redis.exceptions.NoScriptError:
                unknown.append(call)
            except redis.exceptions.ResponseError as error:
                is_replica |= isinstance(error, redis.exceptions.ReadOnlyError)
                _fail([call], self._in_our_words(error))
            else:
                if not answer.done():
                    answer.set_result(value)
        if is_replica:
            # After a failover the same name may lead to the new primary.
            await self._hang_up()
        return unknown

    def _in_our_words(self, error: Exception) -> Exception:
        try:
            with translated(self._endpoint.description):
                raise error
        except Exception as ours:  # noqa: BLE001 - handed on to the callers
            return ours

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.disconnect(nowait=True)
            if self._client is not None:
                with contextlib.suppress(Exception):
                    await self._client.connection_pool.release(connection)

    # -- the embedded server ---------------------------------------------------------------

    def _mend(self, error: Exception) -> None:
        """See in the background to it that the embedded server runs again."""
        gone = isinstance(error, redis.exceptions.ConnectionError | OSError)
        if gone and self._endpoint.is_embedded and (self._mending is None or self._mending.done()):
            self._mending = asyncio.create_task(self._restart())

    async def _restart(self) -> None:
        try:
            await self._endpoint.ensure()
        except BackendUnavailable:
            return  # The next call that fails tries again.
        old, self._client = self._client, self._endpoint.client()
        await self._hang_up()
        if old is not None:
            await old.aclose()


def _packed(script: Script, args: tuple[Any, ...]) -> bytes:
    """Encode a call as the protocol's array of bulk strings (RESP2)."""
    parts = [b"*%d\r\n" % (script.head_count + len(args)), script.packed_head]
    for arg in args:
        raw = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)


def _fail(group: list[_Call], error: Exception) -> None:
    for _, _, answer in group:
        if not answer.done():
            answer.set_exception(error)
