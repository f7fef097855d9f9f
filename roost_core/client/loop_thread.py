"""An event loop in a thread of its own, for callers without one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Coroutine, Generator
from typing import Any, Final, TypeVar

from roost_core.errors import RoostError

_T = TypeVar("_T")

_log = logging.getLogger("roost.client")

#: How long the end waits for the loop's thread. Seconds.
_JOIN_SECONDS: Final = 10.0
#: How long calls that are cancelled may take to let go of what they have. Seconds.
_LET_GO_SECONDS: Final = 2.0
#: How often a wait looks for signals. Seconds. The operating system may hand one to any thread, and
#: then does not wake the one that waits, in which Python runs its handler.
_SIGNALS_SECONDS: Final = 0.5


class LoopThread:
    """Runs what others wait for: any number of threads may call at once.

    A process that was forked has no such thread, and must not use its parent's connection: each
    call there is refused.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._is_closed = False
        # A call that has begun is in the loop before that is told to end: otherwise it might come
        # after the last thing that it does. A signal's handler may call while its thread begins to.
        self._gate = threading.RLock()
        self._calls: set[asyncio.Task[Any]] = set()  # only the loop's own thread looks at it
        # One that ends with the process, whatever it waits for then.
        self._thread = threading.Thread(target=self._run, name="roost-client", daemon=True)
        self._thread.start()

    def call(self, work: Awaitable[_T]) -> _T:
        """Wait until something is done, and return what it brings; an interrupt cancels it.

        :raises RoostError: the connection is closed or the parent process's, or this is the loop's
            own thread.
        """
        is_over = threading.Event()
        future = self._begun(work, is_over)
        try:
            return _result(future)
        except concurrent.futures.CancelledError:
            raise RoostError(_CLOSED) from None
        except BaseException:
            # Unless it has ended by itself, nobody waits for it any more: Ctrl-C. What it was about
            # can be used again once it has let go.
            if future.cancel():
                is_over.wait(_LET_GO_SECONDS)
            raise

    def _begun(
        self, work: Awaitable[_T], is_over: threading.Event
    ) -> concurrent.futures.Future[_T]:
        # In a forked process nobody would ever open the gate.
        problem = self._problem()
        if problem is None:
            with self._gate:
                problem = self._problem()
                if problem is None:
                    awaited = self._awaited(work, is_over)
                    return asyncio.run_coroutine_threadsafe(awaited, self._loop)
        _drop(work)
        raise RoostError(problem)

    def each(
        self,
        items: AsyncIterator[_T],
        owner: object = None,  # noqa: ARG002  # referred to as long as this runs
    ) -> Generator[_T, None, None]:
        """Yield what an asynchronous iterator yields; closing this closes that.

        :param owner: is kept alive meanwhile.
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
                # One that does not let go of its last item ends with that.
                with contextlib.suppress(RoostError, RuntimeError):
                    self.call(items.aclose())

    def close(self, last: Coroutine[Any, Any, object] | None = None) -> None:
        """End the calls under way, which are told, then do one last thing, and end the loop.

        Where the loop does not run, in a forked process or at Python's end, nothing is done.

        :raises RoostError: this is the loop's own thread.
        """
        problem = self._problem()
        if problem is None:
            with self._gate:
                problem = self._problem()
                self._is_closed = self._is_closed or problem is None
        if problem is not None:
            _drop(last)
            if threading.current_thread() is self._thread:
                raise RoostError(problem)
            return
        try:
            _result(asyncio.run_coroutine_threadsafe(self._finish(last), self._loop))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_JOIN_SECONDS)

    def abandon(self, last: Coroutine[Any, Any, object]) -> None:
        """End it as :meth:`close` does, without waiting. Safe in any thread, and in any state."""
        if self._is_closed or os.getpid() != self._pid or sys.is_finalizing():
            _drop(last)
            return
        self._is_closed = True

        def end() -> None:
            task = self._loop.create_task(self._finish(last))
            task.add_done_callback(self._ended)

        try:
            self._loop.call_soon_threadsafe(end)
        except RuntimeError:  # closed by another thread just now
            _drop(last)

    def _ended(self, last: asyncio.Task[None]) -> None:
        if not last.cancelled() and last.exception() is not None:
            _log.warning("a connection that nobody has closed: %s", last.exception())
        self._loop.stop()

    async def _finish(self, last: Coroutine[Any, Any, object] | None) -> None:
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=_LET_GO_SECONDS)
        if last is not None:
            await last

    async def _awaited(self, work: Awaitable[_T], is_over: threading.Event) -> _T:
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        try:
            if self._is_closed:  # just now, by another thread
                _drop(work)
                raise asyncio.CancelledError
            return await work
        finally:
            self._calls.discard(call)
            is_over.set()

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


def _result(future: concurrent.futures.Future[_T]) -> _T:
    """Wait for a result, and hear signals meanwhile."""
    while True:
        with contextlib.suppress(TimeoutError):
            future.exception(_SIGNALS_SECONDS)
        if future.done():
            return future.result()


def _drop(work: Any) -> None:
    """Close a coroutine that nobody will await."""
    close = getattr(work, "close", None)
    if close is not None:
        close()
