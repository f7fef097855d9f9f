"""What runs around a step: managers that are entered and left whatever happens."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.errors import EngineError, PluginError
from roost_core.plugins.around_step import AroundStep
from roost_core.plugins.calls import HookCall
from tests.unit.plugins.calls_bench import FATAL, call


def around(
    name: str, seen: list[str], *, enter: BaseException | None = None,
    leave: BaseException | None = None, swallow: bool = False,
) -> HookCall:  # fmt: skip
    """Return an around_step that notes what happens to it."""

    class Manager:
        async def __aenter__(self) -> None:
            seen.append(f"+{name}")
            if enter is not None:
                raise enter

        async def __aexit__(self, kind: object, error: object, traceback: object) -> bool:
            seen.append(f"-{name} {type(error).__name__}" if error else f"-{name}")
            if leave is not None:
                raise leave
            return swallow

    return call("around_step", lambda context: Manager(), name)


async def enter(calls: list[HookCall], body: Callable[[], Coroutine[Any, Any, object]]) -> object:
    """Run a body within the managers."""
    async with AroundStep(calls)("context"):
        return await body()


async def nothing() -> str:
    """Do nothing: the body of a step."""
    return "result"


async def test_around_step_of_nobody_is_false() -> None:
    """The stepper can skip it, and entering it does no harm."""
    assert not AroundStep()
    assert AroundStep([around("a", [])])
    assert "result" == await enter([], nothing)


async def test_around_step_nests() -> None:
    """The first is outermost: entered first, left last."""
    seen: list[str] = []
    calls = [around(name, seen) for name in "abc"]
    assert "result" == await enter(calls, nothing)
    assert ["+a", "+b", "+c", "-c", "-b", "-a"] == seen


async def test_around_step_gets_the_context_and_may_decline() -> None:
    """A plugin takes the context only if it names it; None means not this time."""
    seen = []

    @asynccontextmanager
    async def manager(context: object) -> AsyncIterator[None]:
        seen.append(context)
        yield

    calls = [call("around_step", lambda: None), call("around_step", manager)]
    assert "result" == await enter(calls, nothing)
    assert ["context"] == seen


@given(
    enters=st.lists(st.booleans(), min_size=1, max_size=5),
    body_fails=st.booleans(),
    data=st.data(),
)
async def test_whatever_was_entered_is_left(
    enters: list[bool], body_fails: bool, data: st.DataObject
) -> None:
    """Managers that fail or swallow anywhere: all entered ones are left, and errors propagate."""
    seen: list[str] = []
    calls = [
        around(
            str(number),
            seen,
            enter=None if works else ValueError("enter"),
            leave=data.draw(st.sampled_from([None, KeyError("leave")])),
            swallow=data.draw(st.booleans()),
        )
        for number, works in enumerate(enters)
    ]

    async def body() -> str:
        if body_fails:
            raise OSError("body")
        return "result"

    entered = list(itertools.takewhile(bool, enters))
    raised: Exception | None = None
    try:
        await enter(calls, body)
    except (ValueError, OSError, KeyError) as error:
        raised = error
    left = [name[1] for name in seen if name.startswith("-")]
    assert [str(number) for number in reversed(range(len(entered)))] == left
    if not all(enters) or body_fails:
        assert raised is not None


async def test_a_manager_cannot_swallow_the_steps_error() -> None:
    """It has no snapshot to offer instead, so the error continues, through the outer ones too."""
    seen: list[str] = []

    async def body() -> None:
        raise OSError("body")

    with pytest.raises(OSError, match="body"):
        await enter([around("a", seen), around("b", seen, swallow=True)], body)
    assert ["+a", "+b", "-b OSError", "-a OSError"] == seen


@pytest.mark.parametrize("where", ["call", "enter", "leave"])
@pytest.mark.parametrize("error", FATAL, ids=lambda error: type(error).__name__)
async def test_a_manager_cannot_take_the_loop_down(error: BaseException, where: str) -> None:
    """An exit in a manager counts as the step's own failure."""

    def raises(context: object) -> None:
        raise error

    one = call("around_step", raises)
    if where != "call":
        one = around("a", [], **{where: error})
    with pytest.raises(EngineError, match=type(error).__name__):
        await enter([one], nothing)


async def test_cancelling_passes_through_managers() -> None:
    """A cancelled step leaves its managers and stays cancelled."""
    seen: list[str] = []
    started = asyncio.Event()

    async def work() -> None:
        async with AroundStep([around("a", seen, swallow=True)])("context"):
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert ["+a", "-a CancelledError"] == seen


async def forgot() -> None:
    """Stand for a coroutine where a manager belongs."""


@pytest.mark.parametrize("made", [7, suppress, forgot], ids=["number", "sync", "coroutine"])
async def test_what_is_no_async_context_manager_is_named(made: Any) -> None:
    """The error names the plugin and says what to do; the managers before it are left."""
    seen: list[str] = []

    def wrong() -> object:
        return made() if callable(made) else made

    with pytest.raises(PluginError, match=r"plugin wrong: around_step returned .*asynccontextmana"):
        await enter([around("a", seen), call("around_step", wrong, "wrong")], nothing)
    assert ["+a", "-a PluginError"] == seen
