"""Calls of engines: what they are given, where they run, and what their errors become."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.errors import EngineError
from roost_core.models import Snapshot, WorkItem
from roost_core.plugins.engines import OfferedEngine
from tests.unit.plugins.calls_bench import ERRORS, FATAL, ITEM, PATIENCE, call, raising


def engine(step: Callable[..., Any], init: Callable[..., Any] | None = None) -> OfferedEngine:
    """Return an engine of plain functions."""
    return OfferedEngine.of(
        "e", call("step", step), None if init is None else call("init_snapshot", init)
    )


async def run_step(step: Callable[..., Any]) -> object:
    """Run one step with stand-ins for its three arguments."""
    return await engine(step).step("snapshot", ITEM, "context")


NAMES = ("snapshot", "item", "context")


@given(
    names=st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    is_async=st.booleans(),
)
async def test_an_engine_gets_the_arguments_that_it_names(
    names: tuple[str, ...], is_async: bool
) -> None:
    """Any choice in any order works, for def and for async def."""
    kind = "async def" if is_async else "def"
    scope: dict[str, Any] = {}
    exec(f"{kind} step({', '.join(names)}):\n    return [{', '.join(names)}]", scope)
    values = {"snapshot": "snapshot", "item": ITEM, "context": "context"}
    assert [values[name] for name in names] == await run_step(scope["step"])


async def test_a_plain_def_runs_in_a_thread_and_async_def_does_not() -> None:
    """Only an async step may touch the loop's own thread."""

    def plain() -> int:
        return threading.get_ident()

    async def coroutine() -> int:
        return threading.get_ident()

    assert threading.get_ident() != await run_step(plain)
    assert threading.get_ident() == await run_step(coroutine)


async def test_an_awaitable_from_a_plain_def_is_awaited() -> None:
    """A decorated coroutine function, or one called through another, still works."""

    async def inner(value: object) -> tuple[object, int]:
        return value, threading.get_ident()

    def step(snapshot: object) -> Awaitable[object]:
        return inner(snapshot)

    assert ("snapshot", threading.get_ident()) == await run_step(step)


async def test_a_callable_object_may_be_async() -> None:
    """An object with an async __call__ is awaited on the loop."""

    class Step:
        async def __call__(self, snapshot: object) -> object:
            return snapshot, threading.get_ident()

    assert ("snapshot", threading.get_ident()) == await run_step(Step())


async def test_the_result_is_not_judged() -> None:
    """Whatever an engine returns goes to the stepper, None included."""
    assert await run_step(lambda: None) is None
    assert 7 == await run_step(lambda: 7)


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        ({"a": 1}, {"a": 1}),
        ({}, {}),
        ([1, 2], {"payload": [1, 2]}),
        (None, {"payload": None}),
        ("text", {"payload": "text"}),
    ],
)
async def test_the_default_first_snapshot_is_the_payload(
    payload: Any, data: dict[str, Any]
) -> None:
    """An object becomes the data, anything else goes under ``payload``."""
    item = WorkItem(work_id="w", engine="e", payload=payload)
    first = await engine(lambda: None).init_snapshot(None, item, None)
    assert Snapshot(work_id="w", engine="e", data=data) == first
    assert isinstance(first, Snapshot)
    assert first.data is not payload


@pytest.mark.parametrize("is_async", [True, False])
async def test_an_engine_makes_its_own_first_snapshot(is_async: bool) -> None:
    """init_snapshot gets what it names, too."""

    def plain(context: str, item: WorkItem) -> object:
        return context, item.work_id

    async def coroutine(context: str, item: WorkItem) -> object:
        return context, item.work_id

    made = engine(lambda: None, coroutine if is_async else plain)
    assert ("context", "w") == await made.init_snapshot(None, ITEM, "context")


@pytest.mark.parametrize("kind", ["async", "def", "returned"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_engine_error_comes_as_it_is(error: Exception, kind: str) -> None:
    """The stepper tells PermanentError and RetryLater from the rest, so they are not wrapped."""
    with pytest.raises(type(error)) as raised:
        await run_step(raising(error, kind))
    assert error is raised.value


@pytest.mark.parametrize("kind", ["async", "def", "returned"])
@pytest.mark.parametrize("error", FATAL, ids=lambda error: type(error).__name__)
async def test_a_step_cannot_take_the_loop_down(error: BaseException, kind: str) -> None:
    """An exit, or a cancellation of its own making, counts as a failed attempt like any other."""
    with pytest.raises(EngineError, match=type(error).__name__) as raised:
        await engine(raising(error, kind)).step(None, ITEM, None)
    assert error is raised.value.__cause__


@pytest.mark.parametrize("kind", ["async", "def", "returned"])
async def test_cancelling_a_step_is_a_cancellation(kind: str) -> None:
    """A step that its worker cancels ends with CancelledError at once, in a thread or not."""
    started, release = threading.Event(), threading.Event()

    async def coroutine() -> None:
        started.set()
        await asyncio.Event().wait()

    def plain() -> None:
        started.set()
        release.wait(PATIENCE)

    step = {"async": coroutine, "def": plain, "returned": lambda: coroutine()}[kind]

    try:
        task = asyncio.create_task(engine(step).step(None, ITEM, None))
        await asyncio.to_thread(started.wait, PATIENCE)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    finally:
        release.set()


async def test_a_timeout_around_a_step_is_a_timeout() -> None:
    """asyncio.timeout works by cancelling, and has to see its cancellation again."""

    async def step() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await engine(step).step(None, ITEM, None)


async def test_a_closed_coroutine_is_no_failure() -> None:
    """What is thrown into a call that nothing runs any more passes through, and is no error."""

    async def step() -> None:
        await asyncio.sleep(100)

    coroutine = engine(step).step(None, ITEM, None)
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    coroutine.close()  # raises, if the call makes an error of it
    task.cancel()
    await asyncio.wait([task])
    # The task finds nothing left to run, and no error of the engine's.
    assert not isinstance(task.exception(), EngineError)


def test_a_real_ctrl_c_is_a_stop() -> None:
    """Where a signal raises in the middle of whatever runs, it is not the step that has raised."""

    async def step() -> None:
        signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        await engine(step).step(None, ITEM, None)

    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(main())
    finally:
        signal.signal(signal.SIGINT, before)
