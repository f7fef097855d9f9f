"""What the tests of calls share: opened calls, and a server whose answers a test controls."""

from __future__ import annotations

import asyncio
import contextlib
import gc

from roost_plugins.redis_saq.connection.calls import Calls
from tests.event_loops import LeapingLoop


@contextlib.asynccontextmanager
async def opened(server):
    """Give opened calls to a server, which listens meanwhile; no task is left behind."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: server.unseen.append(context))
    async with server.listening():
        calls = Calls(server)
        await calls.open()
        try:
            async with asyncio.timeout(10_000 if isinstance(loop, LeapingLoop) else 60):
                yield calls
        finally:
            await calls.close()
            await calls.close()
        # The server may still be accepting what was given up meanwhile.
        for _ in range(1000):
            if {asyncio.current_task()} == asyncio.all_tasks():
                break
            await asyncio.sleep(0)
        assert {asyncio.current_task()} == asyncio.all_tasks()
        await server.until(lambda: not any(peer.is_open for peer in server.peers))
        gc.collect(1)


def words_of(script, *arguments):
    """Return a call by name as the server sees it."""
    keys = [key.encode() for key in script.keys]
    return [b"EVALSHA", script.sha.encode(), str(len(keys)).encode(), *keys, *arguments]


async def outcomes(*answers):
    """Wait for all; return the answers, and the types of errors."""
    found = await asyncio.gather(*answers, return_exceptions=True)
    return [type(one) if isinstance(one, Exception) else one for one in found]


async def ours(true):
    """Wait until something is true that only the client's side knows."""
    while not true():  # noqa: ASYNC110 - bounded by the test's time
        await asyncio.sleep(0)


async def turns(number=5):
    """Let the loop run some turns."""
    for _ in range(number):
        await asyncio.sleep(0)
