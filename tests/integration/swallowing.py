"""A proxy on a unix socket that can go silent: connections stay open, and nothing arrives."""

from __future__ import annotations

import asyncio
import contextlib


class Swallowing:
    """Forwards to the server at ``target``, until it is told to swallow some connections.

    :ivar swallowed: how many connections have gone silent.
    """

    def __init__(self, target, path):
        self._target = target
        self.path = path
        self.url = f"unix://{path}"
        self.swallowed = 0
        self._open = []
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_unix_server(self._accept, str(self.path))
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        there, to_there = await asyncio.open_unix_connection(str(self._target))
        one = {"said": b"", "silent": False}
        self._open.append(one)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, to_there, one, is_asking=True))
                group.create_task(self._pump(there, writer, one, is_asking=False))
        finally:
            self._open.remove(one)
            self._tasks.discard(task)
            for end in (writer, to_there):
                end.close()
                with contextlib.suppress(Exception):
                    await end.wait_closed()

    async def _pump(self, reader, writer, one, *, is_asking):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if is_asking:
                    one["said"] = (one["said"] + data)[-65536:]
                if not one["silent"]:
                    writer.write(data)
        writer.close()

    def swallow(self, word):
        """Swallow all that goes over connections on which ``word`` was said; return how many."""
        found = [one for one in self._open if word in one["said"] and not one["silent"]]
        for one in found:
            one["silent"] = True
        self.swallowed += len(found)
        return len(found)
