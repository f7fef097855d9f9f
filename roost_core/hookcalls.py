"""The bridge between pluggy, which is synchronous, and the event loop.

pluggy knows no ``async``: it would hand a coroutine on as if it were a result.
So Roost asks pluggy only which implementations there are, and in which order,
and makes the calls here. What can be known when plugins load is settled then:
which arguments an implementation names, and whether it is ``async def``.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import attrs

from roost_core.errors import PluginError
from roost_core.models import Snapshot, WorkItem
from roost_core.threads import engine_error, run_in_thread

if TYPE_CHECKING:
    from roost_core.context import StepContext

#: Called on the one plugin that owns the engine.
ENGINE_HOOKS: Final = ("init_snapshot", "step")
#: Called on every plugin, each isolated from the others.
OBSERVER_HOOKS: Final = (
    "on_lease_lost",
    "on_dead_letter",
    "on_step_committed",
    "on_worker_start",
    "on_worker_stop",
)
#: These may be ``async def``; all others are ``def``.
ASYNC_HOOKS: Final = frozenset({*ENGINE_HOOKS, *OBSERVER_HOOKS})

#: An observer that has not come back after this many seconds is left alone.
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

        An awaitable that a plain ``def`` returns is awaited too. What would take
        the event loop down (``SystemExit``), and a ``CancelledError`` although
        nobody cancelled this task, come out as ``EngineError``.
        """
        try:
            if self.is_async:
                return await self.function(*args)
            result = await run_in_thread(self.function, *args)
            if inspect.isawaitable(result):
                result = await result
            return result
        except (Exception, KeyboardInterrupt, GeneratorExit):
            raise
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            raise engine_error(self.function, error) from error
        except BaseException as error:
            raise engine_error(self.function, error) from error


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it returns a coroutine, as far as can be told without a call."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method itself is looked at
    )


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


class Engine:
    """The two hooks of one engine, as the stepper calls them.

    They return whatever the engine returned: the stepper judges it.

    :ivar engine_id: the name that work items know it by.
    :ivar plugin_name: the plugin that it comes from.
    :ivar max_steps: its own bound on steps in a row, for work that says nothing else; or None.
    """

    __slots__ = (
        "_init",
        "_init_positions",
        "_step",
        "_step_positions",
        "engine_id",
        "max_steps",
        "plugin_name",
    )

    def __init__(
        self,
        engine_id: str,
        step: HookCall,
        init_snapshot: HookCall | None,
        max_steps: int | None = None,
    ) -> None:
        self.engine_id = engine_id
        self.max_steps = max_steps
        self.plugin_name = step.plugin_name
        self._step = step
        self._step_positions = _positions(step, ("snapshot", "item", "context"))
        self._init = init_snapshot
        self._init_positions = (
            () if init_snapshot is None else _positions(init_snapshot, ("item", "context"))
        )

    def __repr__(self) -> str:
        return f"<Engine {self.engine_id!r} of plugin {self.plugin_name!r}>"

    async def init_snapshot(self, item: WorkItem, context: StepContext) -> object:
        """Make the first snapshot; an engine without this hook starts from the payload."""
        if self._init is None:
            payload = item.payload
            is_object = isinstance(payload, Mapping)
            return Snapshot.start(item, data=dict(payload) if is_object else {"payload": payload})
        values = (item, context)
        return await self._init.run([values[position] for position in self._init_positions])

    async def step(self, snapshot: Snapshot, item: WorkItem, context: StepContext) -> object:
        """Run one step."""
        values = (snapshot, item, context)
        return await self._step.run([values[position] for position in self._step_positions])


def _positions(call: HookCall, names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(names.index(name) for name in call.names)


class Observers:
    """The observer hooks of all plugins. Whatever they do, the runtime goes on.

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
        self._abandoned: set[asyncio.Task[Any]] = set()

    def has(self, hook: str) -> bool:
        """Whether anybody observes this; cheap, so that nothing need be prepared for nobody."""
        return bool(self._calls[hook])

    async def notify(self, hook: str, **values: Any) -> None:
        """Call each implementation in turn, isolated, logged and bounded in time.

        Raises only ``CancelledError``, when the caller itself is cancelled. An
        observer that has run out of time is cancelled and not waited for.
        """
        for call in self._calls[hook]:
            await self._notify_one(call, [values[name] for name in call.names])

    async def _notify_one(self, call: HookCall, args: list[Any]) -> None:
        # In a task of its own: an observer that swallows cancellation can then be left behind.
        task = asyncio.ensure_future(call.run(args))
        try:
            await asyncio.wait((task,), timeout=self._timeout)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        if not task.done():
            self._abandon(task)
            message = f"took longer than {self._timeout:g} s and was left behind"
            self._report(call, "observer_timed_out", message, None)
        elif task.cancelled():
            self._report(call, "observer_failed", "was cancelled", None)
        elif (error := task.exception()) is not None:
            self._report(call, "observer_failed", f"raised {type(error).__name__}", error)

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        # The loop itself holds tasks weakly, and an error that nobody fetches would be announced.
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

        An error of a manager goes on as the step's own. A manager cannot swallow
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
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
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
        try:
            await method(*args)
        except (Exception, KeyboardInterrupt, GeneratorExit):
            raise
        except asyncio.CancelledError as raised:
            if _is_cancelled():
                raise
            raise engine_error(self.call.function, raised) from raised
        except BaseException as raised:
            raise engine_error(self.call.function, raised) from raised
