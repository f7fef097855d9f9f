"""An event loop that engines cannot end.

asyncio lets ``SystemExit`` and ``KeyboardInterrupt`` out of its loop, whichever task or callback
raises them, and any code with access to the loop can stop it. In a worker that may be a task
started by an engine or by a library it uses, and would take down the worker and all other steps.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from roost_core.plugins.calls import is_own
from roost_core.retry import name_of

_T = TypeVar("_T")
_log: Final = logging.getLogger("roost.worker")


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run ``main`` in its own loop, as ``asyncio.run`` does, whatever other code raises in it.

    A ``SystemExit`` or ``KeyboardInterrupt`` that does not come out of ``main`` is logged, and the
    loop continues; whoever awaits the task that raised it still gets it. The loop also continues if
    other code stops it. What comes out of ``main`` is raised, and so is a real Ctrl-C.
    """
    runner = asyncio.Runner()
    try:
        task = runner.get_loop().create_task(main)
        while not task.done():
            waiting = _end_of(task)
            try:
                runner.run(waiting)
            except (SystemExit, KeyboardInterrupt) as error:
                if task.done() or not is_own(error, None):
                    raise
                _tell(error)
            except RuntimeError:
                # asyncio raises this if the loop was stopped. A loop that does not even begin to
                # run is another matter, and would not begin the next time, either.
                if inspect.getcoroutinestate(waiting) != inspect.CORO_SUSPENDED:
                    waiting.close()
                    raise
                _log.error(
                    "a task or callback stopped the worker's event loop, which it must not; "
                    "the worker continues"
                )
        return task.result()
    finally:
        _close(runner)


async def _end_of(task: asyncio.Task[Any]) -> None:
    """Wait for a task; a Ctrl-C, which asyncio makes a cancellation, cancels it."""
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        # Once is enough: cancelling all tasks has cancelled that one, too, and a second time would
        # end its clean-up.
        if not task.cancelling():
            task.cancel()
        await asyncio.wait([task])
        if task.cancelled():
            raise


def _close(runner: asyncio.Runner) -> None:
    """Cancel what is left; it must not decide how the process ends, either."""
    try:
        runner.close()
    except (SystemExit, KeyboardInterrupt) as error:
        if not is_own(error, None):
            raise
        _tell(error)


def _tell(error: BaseException) -> None:
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    code = frame.f_code
    _log.error(
        "a task or callback outside the steps raised %s, which it must not; "
        "the worker continues: %s:%d in %s",
        name_of(error),
        code.co_filename,
        line,
        code.co_name,
    )
