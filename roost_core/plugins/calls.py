"""The bridge between pluggy, which is synchronous, and the event loop.

pluggy does not support ``async``: it would pass on a coroutine as if it were a result. So Roost
gets only the implementations and their order from pluggy, and makes the calls here. Which arguments
an implementation names, and whether it is ``async def``, is settled when plugins load.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from roost_core.threads import end_if_forked, engine_error, run_in_thread


@attrs.define(eq=False)
class HookCall:
    """One plugin's implementation of one hook, ready to be called.

    :ivar names: the hook's arguments that it takes, in its own order.
    """

    hook: str
    plugin_name: str
    function: Callable[..., Any]
    names: tuple[str, ...]
    is_async: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Settle how it is called."""
        self.is_async = is_async(self.function)

    async def run(self, args: Sequence[Any]) -> Any:
        """Call it with its own arguments: awaited here if ``async def``, else in a thread.

        An awaitable that a plain ``def`` returns is awaited too. Errors that would take the event
        loop down (``SystemExit``, ``KeyboardInterrupt``), a ``GeneratorExit``, and a
        ``CancelledError`` although this task was not cancelled, are raised as ``EngineError``. If
        the function forks, the child ends here.
        """
        host = current_task()
        pid = os.getpid()
        try:
            if self.is_async:
                return await self.function(*args)
            result = await run_in_thread(self.function, *args)
            if inspect.isawaitable(result):
                result = await result
            return result
        except Exception:
            raise
        except BaseException as error:
            end_if_forked(pid, error)
            if not is_own(error, host):
                raise
            raise engine_error(self.function, error) from error
        finally:
            end_if_forked(pid)
            # An error holds this frame, and the task its error: avoid a cycle.
            del host


def is_own(error: BaseException, host: asyncio.Task[Any] | None) -> bool:
    """Whether a plugin's code raised this itself, so that it must not propagate unchanged.

    :param host: the task in which that code was called.

    What comes from outside propagates: the cancellation of the task, the end of a coroutine that
    nothing runs any more, and a real Ctrl-C.
    """
    if isinstance(error, asyncio.CancelledError):
        return host is not None and host.cancelling() == 0
    if isinstance(error, GeneratorExit):
        # A coroutine that is closed is not being run by its task.
        return host is not None and current_task() is host
    if isinstance(error, KeyboardInterrupt):
        return not _raises_on_ctrl_c()
    return True


def _raises_on_ctrl_c() -> bool:
    """Whether a Ctrl-C raises here, in the middle of whatever runs.

    It does not where a worker runs by itself: the command line and ``asyncio.run`` both
    have a handler of their own.
    """
    return (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )


def current_task() -> asyncio.Task[Any] | None:
    """Return the running task, or None if no loop runs, as when a coroutine is closed."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it returns a coroutine, as far as one can tell without a call."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method itself is inspected
    )
