"""Script calls on one server: over one connection, made anew when it breaks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from roost_core.errors import BackendUnavailable, RoostError
from roost_plugins.redis_saq.connection.endpoint import Endpoint
from roost_plugins.redis_saq.connection.line import give_back
from roost_plugins.redis_saq.connection.pipe import Call, Pipe
from roost_plugins.redis_saq.connection.refusals import translated
from roost_plugins.redis_saq.connection.urls import CONNECT_TIMEOUT
from roost_plugins.redis_saq.scripts import Script

if TYPE_CHECKING:
    import redis.asyncio


class Calls:
    """Calls scripts on an endpoint's server; for many tasks of one event loop at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._is_open = False
        #: Whose calls they are, once opened: looking it up takes as long as making the future.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: redis.asyncio.Redis | None = None
        self._pipe: Pipe | None = None
        self._waiting: list[Call] = []
        self._connecting: asyncio.Task[None] | None = None
        self._hanging_up: set[asyncio.Task[None]] = set()
        self._mending: asyncio.Task[None] | None = None
        #: Whether the server has carried out a script for this login.
        self._was_served = False

    @property
    def client(self) -> redis.asyncio.Redis:
        """The redis-py client, for anything but script calls; made at first use.

        :raises BackendUnavailable: not opened.
        """
        if not self._is_open:
            raise BackendUnavailable("the backend is not open")
        if self._client is None:
            self._client = self._endpoint.client()
        return self._client

    async def now_ms(self) -> int:
        """Return the server's clock."""
        with translated(self._endpoint.description):
            seconds, microseconds = await self.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def open(self) -> None:
        """Make sure that there is a server."""
        await self._endpoint.ensure()
        self._loop = asyncio.get_running_loop()
        self._is_open = True

    async def close(self) -> None:
        """Close every connection; calls that still wait fail."""
        closed = BackendUnavailable("the backend was closed")
        # From here on nothing new is started, neither a connection nor a repair.
        self._is_open = False
        client, self._client = self._client, None
        tasks = [task for task in (self._connecting, self._mending) if task is not None]
        self._connecting = self._mending = None
        for task in tasks:
            task.cancel()
        self._fail_waiting(closed)
        if self._pipe is not None:
            self._pipe.end(closed)
        try:
            await asyncio.gather(*tasks, *self._hanging_up, return_exceptions=True)
        finally:
            if client is not None:
                await client.aclose()

    def __call__(self, script: Script, *args: Any, at_once: bool = False) -> asyncio.Future[Any]:
        """Call a script; await its answer.

        :param at_once: whether others wait for this, so that it must not wait to be batched, and of
            answers that come together this is handed out first.
        :raises BackendUnavailable: no answer; it may or may not have run.
        :raises BackendError: the server refused.
        """
        loop = self._loop or asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        return self._send(Call(args, answer, script, at_once=at_once))

    def plain(self, *words: str | bytes) -> asyncio.Future[Any]:
        """Send a command that is not a script call, as :meth:`__call__` does."""
        return self._send(Call(words, asyncio.get_running_loop().create_future()))

    def _send(self, call: Call) -> asyncio.Future[Any]:
        if self._pipe is not None:
            self._pipe.send(call)
        elif not self._is_open:
            call.fail(BackendUnavailable("the backend is not open"))
        else:
            self._waiting.append(call)
            if self._connecting is None or self._connecting.done():
                self._connecting = asyncio.create_task(self._connect())
        return call.answer

    # -- the connection --------------------------------------------------------------------

    async def _connect(self) -> None:
        try:
            with translated(self._endpoint.description, was_served=self._was_served):
                self._pipe = await self._new_pipe()
            self._pipe.was_served = self._was_served
        except Exception as error:  # noqa: BLE001 - each caller gets it, none may wait for ever
            self._fail_waiting(error)
            self._mend(error)
        else:
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                self._pipe.send(call)

    async def _new_pipe(self) -> Pipe:
        path = self._endpoint.plain_socket
        if path is not None:
            loop = asyncio.get_running_loop()
            pipe = Pipe(self._endpoint.description, self._pipe_ended)
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await loop.create_unix_connection(lambda: pipe, path)
            if pipe.ended is not None:
                raise pipe.ended
            return pipe
        pool: Any = self.client.connection_pool  # typed only in part
        connection = await pool.get_connection()

        def ended(pipe: Pipe, reason: Exception) -> None:
            self._hang_up(pool, connection)
            self._pipe_ended(pipe, reason)

        pipe = Pipe(self._endpoint.description, ended)
        try:
            pipe.take_over(connection)
        except Exception:
            self._hang_up(pool, connection)
            raise
        return pipe

    def _fail_waiting(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.fail(error)

    def _pipe_ended(self, pipe: Pipe, reason: Exception) -> None:
        self._was_served |= pipe.was_served
        if self._pipe is pipe:
            self._pipe = None
        self._mend(reason)

    def _hang_up(self, pool: Any, connection: Any) -> None:
        """Give a connection back to its pool, closed."""
        hanging_up = asyncio.get_running_loop().create_task(give_back(pool, connection))
        self._hanging_up.add(hanging_up)
        hanging_up.add_done_callback(self._hanging_up.discard)

    # -- the embedded server ---------------------------------------------------------------

    def _mend(self, error: Exception) -> None:
        """Make sure in the background that the embedded server runs again."""
        gone = self._is_open and isinstance(error, BackendUnavailable)
        if gone and self._endpoint.is_embedded and (self._mending is None or self._mending.done()):
            self._mending = asyncio.create_task(self._restart())

    async def _restart(self) -> None:
        try:
            await self._endpoint.ensure()
        except RoostError:
            return  # The next call that fails tries again.
        if self._pipe is not None:
            return  # It is up: the server was there, only the connection was cut.
        # New connections go to where the server is now.
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
