"""The observer hooks: one plugin's after another's, isolated and bounded in time."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs

from roost_core.plugins.calls import HookCall
from roost_core.plugins.kinds import OBSERVER_HOOKS
from roost_core.retry import name_of

#: An observer that has not returned after this many seconds is abandoned.
DEFAULT_OBSERVER_SECONDS: Final = 10.0

_log = logging.getLogger("roost.hooks")


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
        # No observer sees what another, or the calling task, has set in its context.
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
