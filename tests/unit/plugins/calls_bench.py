"""What the tests of hook calls share: calls, and errors of all kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from roost_core.errors import PermanentError, RetryLater
from roost_core.models import WorkItem
from roost_core.plugins.calls import HookCall
from roost_core.plugins.checks import argument_names

PATIENCE = 30.0

ITEM = WorkItem(work_id="w", engine="e", payload={"a": 1})


def call(hook: str, function: Callable[..., Any], plugin: str = "p") -> HookCall:
    """Resolve an implementation as the plugin manager does."""
    return HookCall(hook, plugin, function, argument_names(function))


ERRORS = [ValueError("bad"), PermanentError("no"), RetryLater(3), TimeoutError()]


class Unspeakable(BaseException):
    """An error that raises SystemExit when its text is asked for."""

    def __str__(self) -> str:
        raise SystemExit(9)

    __repr__ = __str__


FATAL = [
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
    BaseExceptionGroup("g", [SystemExit(1)]),
    Unspeakable(),
]


def raising(error: BaseException, kind: str) -> Callable[[], Any]:
    """Return a step that raises, in one of the ways in which a step can."""

    async def coroutine() -> None:
        raise error

    def plain() -> None:
        raise error

    return {"async": coroutine, "def": plain, "returned": lambda: coroutine()}[kind]
