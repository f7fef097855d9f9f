"""The one private name of redis-py that Roost uses, and what a pipe does with it."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio

from roost_core.errors import BackendUnavailable
from roost_core.settings import Settings
from roost_plugins.redis_saq import scripts
from roost_plugins.redis_saq.connection.pipe import Call, Pipe
from roost_plugins.redis_saq.keys import Keys

BOUNDS = scripts.Bounds.of(Settings())
SCRIPT = scripts.load("read", Keys("roost", "t-pipe", "default"), BOUNDS)


async def test_a_connections_transport(redis_server):
    """A connection of redis-py's has its writer, and so its transport, under this name."""
    connection = redis.asyncio.UnixDomainSocketConnection(path=str(redis_server.socket))
    assert connection._writer is None
    await connection.connect()
    transport = connection._writer.transport
    assert isinstance(transport, asyncio.Transport)
    assert not transport.is_closing()
    await connection.disconnect()
    assert transport.is_closing()
    assert connection._writer is None


async def test_a_pipe_over_a_real_connection(redis_server):
    """It takes the connection over, calls a script that the server does not know, and ends."""
    loop = asyncio.get_running_loop()
    connection = redis.asyncio.UnixDomainSocketConnection(path=str(redis_server.socket))
    await connection.connect()
    ends = []
    pipe = Pipe("there", lambda *end: ends.append(end))
    pipe.take_over(connection)
    calls = [Call((str(number),), loop.create_future(), SCRIPT) for number in range(3)]
    for call in calls:
        pipe.send(call)
    async with asyncio.timeout(60):
        assert [None] * 3 == await asyncio.gather(*(call.answer for call in calls))
    reason = BackendUnavailable("enough")
    pipe.end(reason)
    pipe.end(BackendUnavailable("again"))
    assert [(pipe, reason)] == ends
    late = Call(("x",), loop.create_future(), SCRIPT)
    pipe.send(late)
    with pytest.raises(BackendUnavailable, match="enough"):
        await late.answer
    await connection.disconnect(nowait=True)
    with pytest.raises(BackendUnavailable, match="it hung up at once"):
        Pipe("there", lambda *end: ends.append(end)).take_over(connection)
