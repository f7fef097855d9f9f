"""A proxy between workers and the server that knows the scripts, and harms single calls to them.

It passes on one request of a connection at a time, so it knows which reply belongs to which
request, and whether the server has carried it out. Nothing else changes for either side.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import hiredis

from roost_core import Settings
from roost_plugins.redis_saq import scripts
from roost_plugins.redis_saq.keys import Keys
from roost_plugins.redis_saq.settings import RedisSettings

#: After one of these the server sends without being asked.
_TALKATIVE = {b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"MONITOR"}


class Harm(enum.StrEnum):
    """What is done to a call."""

    CUT_BEFORE = "cut before it is passed on"
    CUT_AFTER = "cut after it was applied"
    SWALLOW = "black hole for the request"
    SWALLOW_REPLY = "black hole for the reply"
    TRICKLE = "byte by byte"
    DELAY = "delayed"


#: The harms that need the server to have carried the call out.
_AFTER = {Harm.CUT_AFTER, Harm.SWALLOW_REPLY}


@attrs.frozen
class Plan:
    """What is to happen to the next call of a script.

    ``seconds`` is how long a black hole or a delay lasts. ``then`` is run in the proxy's
    thread just before the harm is done.
    """

    script: str
    harm: Harm
    seconds: float = 1.0
    then: Callable[[], object] = attrs.field(default=lambda: None)


class _Cut(Exception):
    """The connection is to be cut."""


class Proxy:
    """Listens on a unix socket in a thread of its own, until :func:`proxied` ends.

    :ivar hits: how often each harm was done, by (script, harm).
    """

    def __init__(self, target: Path, path: Path, settings: Settings) -> None:
        self.path = path
        self.url = f"unix://{path}"
        self.hits: Counter[tuple[str, Harm]] = Counter()
        self._target = target
        self._names = _script_names(settings)
        self._lock = threading.Lock()
        self._plans: list[Plan] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._main, name="proxy")

    def plan(self, *plans: Plan) -> None:
        """Do these harms, each to the next call that it fits."""
        with self._lock:
            self._plans += plans

    def is_calm(self) -> bool:
        """Return whether every planned harm has been done."""
        with self._lock:
            return not self._plans

    def open_plans(self) -> list[str]:
        """Return what is still to be done, for a failing test to report."""
        with self._lock:
            return [f"{one.script}: {one.harm}" for one in self._plans]

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        assert self._is_up.wait(10), "the proxy does not listen"

    def stop(self) -> None:
        """Cut every connection, and wait for the thread to end."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()
        self.path.unlink(missing_ok=True)

    # -- in the thread ---------------------------------------------------------------------

    def _main(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_unix_server(self._accept, str(self.path))
        self._is_up.set()
        await self._over.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ends = [to_near]
        try:
            far, to_far = await asyncio.open_unix_connection(str(self._target))
            ends.append(to_far)
            await self._converse(near, to_near, far, to_far)
        except (OSError, EOFError, _Cut, asyncio.CancelledError):
            pass  # either side is gone, or has to believe so
        finally:
            for end in ends:
                end.transport.abort()
            self._tasks.discard(task)

    async def _converse(
        self,
        near: asyncio.StreamReader,
        to_near: asyncio.StreamWriter,
        far: asyncio.StreamReader,
        to_far: asyncio.StreamWriter,
    ) -> None:
        requests, replies = hiredis.Reader(), hiredis.Reader()
        while True:
            words = await _next(requests, near)
            packed = hiredis.pack_command(tuple(words))
            plan = self._plan_for(words)
            pace = plan is not None and plan.harm is Harm.TRICKLE
            if plan is not None and plan.harm not in _AFTER:
                await self._harm(plan)
            await _write(to_far, packed, by_byte=pace)
            if words[0].upper() in _TALKATIVE:
                await self._pass_on(requests, near, to_near, far, to_far)
                return
            raw, is_error = await _reply(replies, far)
            if plan is not None and plan.harm in _AFTER:
                if is_error:  # NOSCRIPT, say: nothing was applied, so the next call is meant
                    self.plan(plan)
                else:
                    await self._harm(plan)
            await _write(to_near, raw, by_byte=pace)

    async def _pass_on(
        self,
        requests: hiredis.Reader,
        near: asyncio.StreamReader,
        to_near: asyncio.StreamWriter,
        far: asyncio.StreamReader,
        to_far: asyncio.StreamWriter,
    ) -> None:
        """Forward both ways until one side hangs up."""

        async def out() -> None:
            while True:
                to_far.write(hiredis.pack_command(tuple(await _next(requests, near))))

        async def back() -> None:
            while data := await far.read(65536):
                to_near.write(data)
            raise EOFError

        both = [asyncio.ensure_future(out()), asyncio.ensure_future(back())]
        try:
            await asyncio.gather(*both)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    def _plan_for(self, words: list[Any]) -> Plan | None:
        if words[0].upper() not in (b"EVALSHA", b"EVAL"):
            return None
        name = self._names.get(words[1])
        with self._lock:
            found = next((one for one in self._plans if one.script == name), None)
            if found is not None:
                self._plans.remove(found)
        return found

    async def _harm(self, plan: Plan) -> None:
        plan.then()
        self.hits[plan.script, plan.harm] += 1
        if plan.harm not in (Harm.CUT_BEFORE, Harm.CUT_AFTER, Harm.TRICKLE):
            await asyncio.sleep(plan.seconds)
        if plan.harm not in (Harm.TRICKLE, Harm.DELAY):
            raise _Cut


@contextlib.contextmanager
def proxied(target: Path, path: Path, settings: Settings) -> Iterator[Proxy]:
    """Give a proxy that listens on ``path`` for the server on the socket ``target``."""
    proxy = Proxy(target, path, settings)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()


def _script_names(settings: Settings) -> dict[bytes, str]:
    """Return the scripts' names by SHA-1 and by source."""
    keys = Keys(settings.of(RedisSettings).prefix, settings.namespace, settings.queue)
    found = scripts.Scripts(keys, scripts.Bounds.of(settings))
    loaded = [found[name] for name in scripts.names()]
    return {one.sha.encode(): one.name for one in loaded} | {
        one.source.encode(): one.name for one in loaded
    }


async def _next(reader: hiredis.Reader, source: asyncio.StreamReader) -> list[Any]:
    while (value := reader.gets()) is False:
        data = await source.read(65536)
        if not data:
            raise EOFError
        reader.feed(data)
    return list(value)


async def _reply(reader: hiredis.Reader, source: asyncio.StreamReader) -> tuple[bytes, bool]:
    """Return one reply as it came, and whether it is an error."""
    raw = b""
    while (value := reader.gets()) is False:
        data = await source.read(65536)
        if not data:
            raise EOFError
        raw += data
        reader.feed(data)
    return raw, isinstance(value, hiredis.ReplyError)


async def _write(writer: asyncio.StreamWriter, data: bytes, *, by_byte: bool) -> None:
    pieces = [data[n : n + 1] for n in range(len(data))] if by_byte else [data]
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
