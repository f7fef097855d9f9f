"""The ``around_step`` hook: what plugins run around every step."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import attrs

from roost_core.errors import PluginError
from roost_core.plugins.calls import HookCall, current_task, is_own
from roost_core.threads import engine_error

if TYPE_CHECKING:
    from roost_core.context import StepContext


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
        if not is_own(error, current_task()):
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
        host = current_task()
        try:
            await method(*args)
        except Exception:
            raise
        except BaseException as raised:
            if not is_own(raised, host):
                raise
            raise engine_error(self.call.function, raised) from raised
        finally:
            # An error holds this frame, and the task its error: avoid a cycle.
            del host
