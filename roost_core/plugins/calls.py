"""The bridge between pluggy, which is synchronous, and the event loop.

pluggy does not support ``async``: it would pass on a coroutine as if it were a result. So Roost
gets only the implementations and their order from pluggy, and makes the calls here. Which arguments
an implementation names, and whether it is ``async def``, is settled when plugins load.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import attrs

from roost_core import hookspecs
from roost_core.errors import PluginError
from roost_core.models.snapshot import Snapshot
from roost_core.models.work import WorkItem
from roost_core.retry import name_of
from roost_core.threads import end_if_forked, engine_error, run_in_thread

if TYPE_CHECKING:
    from roost_core.context import StepContext

#: Called on the one plugin that owns the engine.
ENGINE_HOOKS: Final = ("init_snapshot", "step")
#: Called on every plugin, each isolated from the others.
OBSERVER_HOOKS: Final = tuple(name for name in vars(hookspecs) if name.startswith("on_"))
#: These may be ``async def``; all others are ``def``.
ASYNC_HOOKS: Final = frozenset({*ENGINE_HOOKS, *OBSERVER_HOOKS})

#: An observer that has not returned after this many seconds is abandoned.
DEFAULT_OBSERVER_SECONDS: Final = 10.0

_log = logging.getLogger("roost.hooks")


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
        host = _current_task()
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
        return host is not None and _current_task() is host
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


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop is running: a coroutine is being closed
        return None


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it returns a coroutine, as far as one can tell without a call."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method itself is inspected
    )


#: The arguments that an engine's hooks may name; the first call has no snapshot yet.
_ARGUMENTS: Final = ("snapshot", "item", "context")


class EngineHook:
    """One hook of an engine, as the stepper calls it: with every argument that it might name.

    :ivar takes_item: whether it names the work item; what it does not name may be None.
    :ivar takes_context: whether it names the context.
    """

    __slots__ = ("_call", "_positions", "takes_context", "takes_item")

    def __init__(self, call: HookCall) -> None:
        self._call = call
        self._positions = tuple(_ARGUMENTS.index(name) for name in call.names)
        self.takes_item = "item" in call.names
        self.takes_context = "context" in call.names

    def __call__(
        self, snapshot: Snapshot | None, item: WorkItem | None, context: StepContext | None
    ) -> Coroutine[Any, Any, object]:
        """Call it; the stepper judges what it returns."""
        values = (snapshot, item, context)
        return self._call.run([values[position] for position in self._positions])


class StartsFromPayload:
    """Stands in for the ``init_snapshot`` of an engine that has none: the payload is the data."""

    takes_item = True
    takes_context = False

    async def __call__(self, _snapshot: object, item: WorkItem | None, _context: object) -> object:
        """Make the first snapshot."""
        assert item is not None
        payload = item.payload
        is_object = isinstance(payload, Mapping)
        return Snapshot.start(item, data=dict(payload) if is_object else {"payload": payload})


@attrs.frozen(eq=False)
class Engine:
    """One engine, as the stepper sees it.

    :ivar engine_id: the name that work items know it by.
    :ivar plugin_name: the plugin that it comes from.
    :ivar max_steps: its own bound on steps in a row, for work without one; or None.
    """

    engine_id: str
    plugin_name: str
    step: EngineHook = attrs.field(repr=False)
    init_snapshot: EngineHook | StartsFromPayload = attrs.field(repr=False)
    max_steps: int | None = None

    @classmethod
    def of(
        cls,
        engine_id: str,
        step: HookCall,
        init_snapshot: HookCall | None,
        max_steps: int | None = None,
    ) -> Engine:
        """Make one of its hooks; the first may be missing."""
        init = StartsFromPayload() if init_snapshot is None else EngineHook(init_snapshot)
        return cls(engine_id, step.plugin_name, EngineHook(step), init, max_steps)


@attrs.frozen(eq=False)
class Fresh:
    """A value for observers that is made anew for each, so that each may change its own."""

    make: Callable[[], Any]


class Observers:
    """The observer hooks of all plugins. Whatever they do, the runtime continues.

    :param calls: in the order in which they are to be called.
    :param timeout: seconds that each call may take.
    """

    def __init__(
        self, calls: Iterable[HookCall] = (), *, timeout: float = DEFAULT_OBSERVER_SECONDS
    ) -> None:
        gathered: dict[str, list[HookCall]] = {hook: [] for hook in OBSERVER_HOOKS}
        for call in calls:
            gathered[call.hook].append(call)
        self._calls = {hook: tuple(found) for hook, found in gathered.items()}
        self._timeout = timeout
        # None sees what another, or the calling task, has set in its context.
        self._context = contextvars.copy_context()
        self._abandoned: set[asyncio.Task[Any]] = set()

    def has(self, hook: str) -> bool:
        """Whether there is an observer; cheap, so nothing is prepared when there is none."""
        return bool(self._calls[hook])

    async def notify(self, hook: str, **values: Any) -> None:
        """Call each implementation in turn, isolated, logged and bounded in time.

        A value may be :class:`Fresh`.

        Raises only ``CancelledError``, when the caller itself is cancelled. An
        observer that has run out of time is cancelled and not waited for.
        """
        for call in self._calls[hook]:
            args = [values[name] for name in call.names]
            await self._notify_one(
                call, [one.make() if type(one) is Fresh else one for one in args]
            )

    async def _notify_one(self, call: HookCall, args: list[Any]) -> None:
        # In its own task: an observer that swallows cancellation can then be abandoned.
        task = asyncio.get_running_loop().create_task(call.run(args), context=self._context.copy())
        try:
            await asyncio.wait((task,), timeout=self._timeout)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        if not task.done():
            self._abandon(task)
            message = f"took longer than {self._timeout:g} s and was abandoned"
            self._report(call, "observer_timed_out", message, None)
        elif task.cancelled():
            self._report(call, "observer_failed", "was cancelled", None)
        elif (error := task.exception()) is not None:
            self._report(call, "observer_failed", f"raised {name_of(error)}", error)

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        # The loop itself holds tasks weakly, and an unretrieved error would be logged.
        self._abandoned.add(task)
        task.add_done_callback(self._forget)
        task.cancel()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()

    def _report(
        self, call: HookCall, action: str, message: str, error: BaseException | None
    ) -> None:
        _log.error(
            "plugin %s: %s %s",
            call.plugin_name,
            call.hook,
            message,
            exc_info=error,
            extra={"action": action, "plugin": call.plugin_name, "hook": call.hook},
        )


class AroundStep:
    """The ``around_step`` hook of all plugins; false when no plugin implements it.

    The stepper skips it where it can: ``if around: async with around(context): ...``.

    :param calls: outermost first.
    """

    def __init__(self, calls: Iterable[HookCall] = ()) -> None:
        self._calls = tuple(calls)

    def __bool__(self) -> bool:
        return bool(self._calls)

    @asynccontextmanager
    async def __call__(self, context: StepContext) -> AsyncIterator[None]:
        """Enter every plugin's manager, and leave them all in reverse, whatever happens.

        An error of a manager propagates as the step's own. A manager cannot swallow
        the step's error, because it has no snapshot to offer instead.

        :raises PluginError: a plugin returned no async context manager.
        """
        async with AsyncExitStack() as stack:
            for call in self._calls:
                manager = _manager(call, context)
                if manager is not None:
                    guarded = _Guarded(call, manager)
                    await stack.enter_async_context(guarded)
            yield


def _manager(call: HookCall, context: StepContext) -> AbstractAsyncContextManager[Any, Any] | None:
    try:
        manager = call.function(*(context for _ in call.names))
    except Exception:
        raise
    except BaseException as error:
        if not is_own(error, _current_task()):
            raise
        raise engine_error(call.function, error) from error
    if manager is None or isinstance(manager, AbstractAsyncContextManager):
        return manager
    if inspect.iscoroutine(manager):
        manager.close()
    raise PluginError(
        f"plugin {call.plugin_name}: around_step returned {type(manager).__name__}, "
        "not an async context manager; decorate it with contextlib.asynccontextmanager"
    )


@attrs.define(eq=False)
class _Guarded(AbstractAsyncContextManager[None, None]):
    """A plugin's manager that cannot take the loop down, nor swallow what passes through."""

    call: HookCall
    manager: AbstractAsyncContextManager[Any, Any]

    async def __aenter__(self) -> None:
        await self._run(self.manager.__aenter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._run(self.manager.__aexit__, kind, error, traceback)

    async def _run(self, method: Callable[..., Any], *args: Any) -> None:
        host = _current_task()
        try:
            await method(*args)
        except Exception:
            raise
        except BaseException as raised:
            if not is_own(raised, host):
                raise
            raise engine_error(self.call.function, raised) from raised
        finally:
            del host  # no cycle, as above
