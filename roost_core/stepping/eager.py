"""Tasks whose first part runs where they are started, at no cost to the event loop.

A step has its own task, and most steps have nothing to wait for. From Python 3.12 on, a task can
start at once; one that ends right then never meets the event loop. Before that, asyncio starts each
task in the loop's next iteration and reports its end in another: two more iterations of a loop
whose iterations cost as much as a step, and lanes that run in lockstep.

So for Python 3.11 the same is built here from asyncio's hooks for custom tasks (``_enter_task`` and
``_leave_task``, in its page "Extending"). A spare task stands by. While the first part of a
coroutine runs, that is the current task. If the coroutine ends with it, and nobody has touched the
task, it stands by for the next; if not, it continues the coroutine as if it had been its task from
the beginning.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import weakref
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine, Generator
from types import CodeType
from typing import Any, Final, Generic, TypeVar

_T = TypeVar("_T")


class Ended(Generic[_T]):
    """The outcome of a coroutine that ended at once, with the interface of its task."""

    __slots__ = ("_error", "_result")

    def __init__(self, result: Any, error: BaseException | None) -> None:
        self._result = result
        self._error = error

    def done(self) -> bool:
        """Return that it has ended."""
        return True

    def cancelled(self) -> bool:
        """Whether it ended by cancellation."""
        return isinstance(self._error, asyncio.CancelledError)

    def exception(self) -> BaseException | None:
        """Return its error, if it ended with one."""
        return self._error

    def result(self) -> _T:
        """Return its result, or raise its error."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                del self  # the error holds this frame: avoid a cycle
        result: _T = self._result
        return result

    def cancel(self) -> bool:
        """Return that it is too late for that."""
        return False

    def __await__(self) -> Generator[Any, None, _T]:
        """Return its result; there is nothing to wait for."""
        yield from ()
        return self.result()


class Starter:
    """Starts tasks for one event loop."""

    def __init__(self) -> None:
        self._spare: _Spare | None = None

    def start(
        self, coroutine: Coroutine[Any, Any, _T], context: contextvars.Context
    ) -> asyncio.Future[_T] | Ended[_T]:
        """Run a coroutine as a task, its first part at once.

        :returns: the task, or what stands for it if the coroutine has ended already.
        """
        if sys.version_info >= (3, 12):
            loop = asyncio.get_running_loop()
            return asyncio.Task(coroutine, loop=loop, context=context, eager_start=True)
        spare, self._spare = self._spare or _Spare(asyncio.get_running_loop()), None
        begun = spare.begin(coroutine, context)
        if type(begun) is Ended:
            self._spare = spare
        return begun

    def close(self) -> None:
        """Release the spare task."""
        if self._spare is not None and self._spare.task is not None:
            self._spare.task.cancel()
        self._spare = None


class _Spare(Coroutine[Any, Any, Any]):
    """A task that stands by, and what it runs: nothing, until there is something to continue.

    Not an ``async def``: one that has not begun could not notice a cancellation.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        #: Set when there is something to continue.
        self._gate: asyncio.Future[None] = loop.create_future()
        self._coroutine: Coroutine[Any, Any, Any] | None = None
        self._context: contextvars.Context | None = None
        #: What the coroutine awaited at the end of its first part, and whether the task has yet to
        #: learn of it.
        self._waits_for: Any = None
        self._is_news = False
        #: The outcome of its first part, value or error, if it ended with that.
        self._outcome: tuple[Any, BaseException | None] | None = None
        # Without the context of whoever comes first, which does not concern later ones.
        empty = contextvars.Context()
        task: asyncio.Task[Any] = asyncio.Task(self, loop=loop, name="roost-step", context=empty)
        self._name = task.get_name()
        self.task: asyncio.Task[Any] | None = task

    def begin(
        self, coroutine: Coroutine[Any, Any, Any], context: contextvars.Context
    ) -> asyncio.Future[Any] | Ended[Any]:
        """Run a coroutine's first part.

        :returns: the task, if it continues; the coroutine's outcome, if it has ended and the task
            can stand by for the next.
        """
        task, loop = self.task, self._loop
        host = asyncio.current_task(loop)
        assert task is not None
        assert host is not None
        handles = sys.getrefcount(task), weakref.getweakrefcount(task)
        outcome: tuple[Any, BaseException | None] | None = None
        _leave_task(loop, host)
        _enter_task(loop, task)
        try:
            self._waits_for = context.run(coroutine.send, None)
        except StopIteration as stop:
            outcome = stop.value, None
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the task's outcome
            outcome = None, error
        except BaseException:
            task.cancel()
            raise
        finally:
            # Whichever task is current now: the coroutine may run anything.
            current = asyncio.current_task(loop)
            if current is not None:
                _leave_task(loop, current)
            _enter_task(loop, host)
            del current
        if outcome is not None:
            found = sys.getrefcount(task), weakref.getweakrefcount(task)
            if found == handles and self._is_untouched(task):
                try:
                    return Ended(*outcome)
                finally:
                    del outcome  # an error's frames hold this one: avoid a cycle
        self._coroutine, self._context, self._outcome = coroutine, context, outcome
        self._is_news = True
        if not self._gate.done():
            self._gate.set_result(None)
        self.task = None  # avoid a cycle
        return task

    def _is_untouched(self, task: Any) -> bool:
        return bool(
            task.cancelling() == 0
            and not task._must_cancel
            and not task._callbacks
            and task.get_name() is self._name
        )

    # -- what the task runs ----------------------------------------------------------------

    def send(self, value: Any, /) -> Any:
        """Continue, or stand by."""
        if self._coroutine is None:
            # What a future's own iterator does before it yields the future to a task.
            self._gate._asyncio_future_blocking = True
            return self._gate
        if self._outcome is not None:
            (result, error), self._outcome = self._outcome, None
            raise StopIteration(result) if error is None else error
        if self._is_news:
            self._is_news = False
            waits_for, self._waits_for = self._waits_for, None
            return waits_for
        assert self._context is not None
        return self._context.run(self._coroutine.send, value)

    def throw(self, error: Any, *_: Any) -> Any:
        """Throw an error into the coroutine: its task was cancelled."""
        try:
            if self._coroutine is None or self._outcome is not None:
                self._outcome = None
                raise error
            assert self._context is not None
            if self._is_news:
                self._is_news = False
                waits_for, self._waits_for = self._waits_for, None
                # The task does not know what it waits for, so that was not cancelled with it.
                if asyncio.isfuture(waits_for) and waits_for.cancel():
                    return waits_for
            return self._context.run(self._coroutine.throw, error)
        finally:
            del error  # its frames hold this one: avoid a cycle

    def close(self) -> None:
        """End the coroutine."""
        if self._coroutine is not None:
            self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        """Refuse: only the task may do this."""
        raise TypeError("it must not be awaited")

    # -- for those who look at the task ----------------------------------------------------

    @property
    def cr_frame(self) -> Any:
        """The frame of the coroutine, for stacks."""
        return getattr(self._coroutine, "cr_frame", None)

    @property
    def cr_code(self) -> Any:
        """The code of the coroutine, for people."""
        return getattr(self._coroutine, "cr_code", None)

    @property
    def cr_running(self) -> bool:
        """Whether the coroutine runs."""
        return getattr(self._coroutine, "cr_running", False)

    @property
    def cr_await(self) -> Any:
        """What the coroutine waits for."""
        return getattr(self._coroutine, "cr_await", None)


#: Frames of these have the context in which the rest of a coroutine runs as ``self._context``.
IN_CONTEXT: Final[tuple[CodeType, ...]] = (_Spare.send.__code__, _Spare.throw.__code__)
