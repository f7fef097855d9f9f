"""Script calls over one client, grouped.

Calls that are made while another is under way leave together, as one pipeline:
many lanes of one worker then share the cost of writing and reading. A call that
is alone goes out at once.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import redis.asyncio
import redis.exceptions

from roost_core.errors import BackendUnavailable
from roost_plugins.redis_saq.connection import Endpoint, translated
from roost_plugins.redis_saq.scripts import Script

#: More calls than this do not go into one pipeline, so that the first need not wait for all.
_GROUP: Final = 128

_Call = tuple[Script, tuple[Any, ...], "asyncio.Future[Any]"]


class Calls:
    """Calls scripts on an endpoint's server; safe to use from many tasks at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client: redis.asyncio.Redis | None = None
        self._waiting: list[_Call] = []
        self._under_way = False
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

    async def close(self) -> None:
        """Close the client; calls that still wait fail."""
        for task in (self._pump, self._mending):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._pump = self._mending = None
        for _, _, answer in self._waiting:
            if not answer.done():
                answer.set_exception(BackendUnavailable("the backend was closed"))
        self._waiting.clear()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def __call__(self, script: Script, *args: Any) -> Any:
        """Call a script and return its answer.

        :raises BackendUnavailable: no answer; it may or may not have run.
        :raises BackendError: the server refused.
        """
        if self._under_way:
            answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._waiting.append((script, args, answer))
            return await answer
        self._under_way = True
        try:
            return await self._alone(script, args)
        finally:
            if self._waiting:
                self._pump = asyncio.create_task(self._send_groups())
            else:
                self._under_way = False

    async def _alone(self, script: Script, args: tuple[Any, ...]) -> Any:
        try:
            with translated(self._endpoint.description):
                try:
                    return await self._evalsha(self.client, script, args)
                except redis.exceptions.NoScriptError:
                    await self.client.script_load(script.source)
                    return await self._evalsha(self.client, script, args)
        except BackendUnavailable:
            self._mend()
            raise

    @staticmethod
    def _evalsha(target: Any, script: Script, args: tuple[Any, ...]) -> Any:
        return target.execute_command("EVALSHA", *script.head, *args)

    async def _send_groups(self) -> None:
        try:
            while self._waiting:
                group = [call for call in self._waiting[:_GROUP] if not call[2].done()]
                del self._waiting[:_GROUP]
                await self._send(group)
        finally:
            self._under_way = False

    async def _send(self, group: list[_Call]) -> None:
        try:
            answers = await self._pipelined(group)
            missing = [i for i, one in enumerate(answers) if _is_noscript(one)]
            if missing:
                with translated(self._endpoint.description):
                    for script in {group[i][0].sha: group[i][0] for i in missing}.values():
                        await self.client.script_load(script.source)
                again = await self._pipelined([group[i] for i in missing])
                for i, one in zip(missing, again, strict=True):
                    answers[i] = one
        except Exception as error:  # noqa: BLE001 - each caller gets it, none may wait for ever
            answers = [error] * len(group)
        except asyncio.CancelledError:
            for _, _, future in group:
                future.cancel()
            raise
        for (_, _, future), answer in zip(group, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                try:
                    with translated(self._endpoint.description):
                        raise answer
                except Exception as error:  # noqa: BLE001 - handed on to the caller
                    if isinstance(error, BackendUnavailable):
                        self._mend()
                    future.set_exception(error)
            else:
                future.set_result(answer)

    async def _pipelined(self, group: list[_Call]) -> list[Any]:
        pipeline = self.client.pipeline(transaction=False)
        for script, args, _ in group:
            self._evalsha(pipeline, script, args)
        with translated(self._endpoint.description):
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    def _mend(self) -> None:
        """See in the background to it that the embedded server runs again."""
        if self._endpoint.is_embedded and (self._mending is None or self._mending.done()):
            self._mending = asyncio.create_task(self._restart())

    async def _restart(self) -> None:
        try:
            await self._endpoint.ensure()
        except BackendUnavailable:
            return  # The next call that fails tries again.
        old, self._client = self._client, self._endpoint.client()
        if old is not None:
            await old.aclose()


def _is_noscript(answer: Any) -> bool:
    return isinstance(answer, redis.exceptions.NoScriptError)
