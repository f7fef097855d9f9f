"""An event loop in a thread of its own, for callers without one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator
from typing import Any, Final, TypeVar

from roost_core.errors import RoostError

_T = TypeVar("_T")

#: How long the end waits for the loop's thread. Seconds.
_JOIN_SECONDS: Final = 10.0


class LoopThread:
    """Runs what others wait for: any number of threads may call at once.

    A process that was forked has no such thread, and must not use its parent's connection: each
    call there is refused.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._is_closed = False
        # One that ends with the process, whatever it waits for then.
        self._thread = threading.Thread(target=self._run, name="roost-client", daemon=True)
        self._thread.start()

    def call(self, work: Awaitable[_T]) -> _T:
        """Wait until something is done, and return what it brings; an interrupt cancels it.

        :raises RoostError: the connection is closed or the parent process's, or this is the loop's
            own thread.
        """
        problem = self._problem()
        if problem is not None:
            _drop(work)
            raise RoostError(problem)
        try:
            future = asyncio.run_coroutine_threadsafe(_awaited(work), self._loop)
        except RuntimeError as error:  # closed by another thread just now
            _drop(work)
            raise RoostError(_CLOSED) from error
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise RoostError(_CLOSED) from None
        except BaseException:
            # Unless it has ended by itself, nobody waits for it any more: Ctrl-C.
            future.cancel()
            raise

    def each(self, items: AsyncIterator[_T]) -> Generator[_T, None, None]:
        """Yield what an asynchronous iterator yields; closing this closes that.

        :raises RoostError: as :meth:`call` does.
        """
        try:
            while True:
                try:
                    item = self.call(anext(items))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            # Where there is no connection any more, there is nothing to close.
            if isinstance(items, AsyncGenerator):
                with contextlib.suppress(RoostError):
                    self.call(items.aclose())

    @property
    def is_usable(self) -> bool:
        """Whether :meth:`call` works in this process."""
        return not self._is_closed and os.getpid() == self._pid

    def close(self) -> None:
        """End the loop, and what still waits in it; calls under way are told."""
        if self._is_closed:
            return
        self._is_closed = True
        if os.getpid() != self._pid:
            return  # The thread is the parent's.
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_JOIN_SECONDS)

    def _problem(self) -> str | None:
        if os.getpid() != self._pid:
            return "this connection was made before a fork: connect in each process, after it"
        # Python's end has stopped the thread, and what is cleaned up then must not wait for it.
        if self._is_closed or sys.is_finalizing():
            return _CLOSED
        if threading.current_thread() is self._thread:
            return "called in the connection's own thread, which would wait for itself"
        return None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()


_CLOSED: Final = "not connected any more: the connection was closed"


async def _awaited(work: Awaitable[_T]) -> _T:
    return await work


def _drop(work: Any) -> None:
    """Close a coroutine that nobody will await."""
    close = getattr(work, "close", None)
    if close is not None:
        close()
