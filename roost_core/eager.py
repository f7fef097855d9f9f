"""Starting a task at once instead of in the event loop's next round.

A step has a task and a context of its own. A task that begins a round later makes lanes
go in lockstep: all of them begin, then all step, then all commit, and the server waits
meanwhile. So the task's first part, up to where it first waits, runs where it is made.
Python does that by itself from 3.12 on; before, it is done here with what asyncio has for
those who make tasks of their own (its page "Extending": ``_enter_task``, ``_leave_task``).
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import types
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

_T = TypeVar("_T")


def eager_task(
    coroutine: Coroutine[Any, Any, _T], context: contextvars.Context, host: asyncio.Task[Any]
) -> asyncio.Future[_T]:
    """Run a coroutine as a task with this context, its first part at once.

    :param host: the task that runs now.
    :returns: the task, or what stands for it if the coroutine has ended already.
    """
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, context=context, eager_start=True)
    return _begun(coroutine, context, host, loop)


class _Rest:
    """What is left of a coroutine whose first part has run."""

    coroutine: Coroutine[Any, Any, Any] | None = None
    #: What it waits for.
    first: Any = None


def _begun(
    coroutine: Coroutine[Any, Any, _T],
    context: contextvars.Context,
    host: asyncio.Task[Any],
    loop: asyncio.AbstractEventLoop,
) -> asyncio.Future[_T]:
    rest = _Rest()
    first = task = asyncio.Task(_go_on(rest), loop=loop, context=context)
    _leave_task(loop, host)
    _enter_task(loop, first)
    try:
        rest.first = context.run(coroutine.send, None)
        if task.cancelling():
            # By itself. It hears of that where it waits, which is where it stands now; and the task
            # itself would not begin any more.
            rest.first = context.run(coroutine.throw, asyncio.CancelledError())
            task = asyncio.Task(_go_on(rest), loop=loop, context=context)
        rest.coroutine = coroutine
    except StopIteration as stop:
        ended: asyncio.Future[_T] = loop.create_future()
        if task.cancelling():
            ended.cancel()
        else:
            ended.set_result(stop.value)
        return ended
    except asyncio.CancelledError:
        ended = loop.create_future()
        ended.cancel()
        return ended
    finally:
        _leave_task(loop, first)
        _enter_task(loop, host)
    return task


async def _go_on(rest: _Rest) -> Any:
    if rest.coroutine is None:
        return None  # It has ended in its first part; nobody waits for this.
    return await _driven(rest.coroutine, rest.first)


@types.coroutine
def _driven(coroutine: Coroutine[Any, Any, _T], waits_for: Any) -> Generator[Any, Any, _T]:
    """Go on with a coroutine that waits for something."""
    try:
        while True:
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - each is the coroutine's to hear of
                waits_for = coroutine.throw(error)
            else:
                waits_for = coroutine.send(None)
    except StopIteration as stop:
        value: _T = stop.value
        return value
