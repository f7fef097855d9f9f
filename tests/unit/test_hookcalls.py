"""The bridge from pluggy's implementations to the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core import hookspecs
from roost_core.errors import EngineError, PermanentError, PluginError, RetryLater
from roost_core.models import Snapshot, WorkItem
from roost_core.plugins.calls import (
    ASYNC_HOOKS,
    ENGINE_HOOKS,
    OBSERVER_HOOKS,
    AroundStep,
    Engine,
    Fresh,
    HookCall,
    Observers,
)
from roost_core.plugins.checks import argument_names

PATIENCE = 30.0
ITEM = WorkItem(work_id="w", engine="e", payload={"a": 1})


def call(hook: str, function: Callable[..., Any], plugin: str = "p") -> HookCall:
    """Resolve an implementation as the plugin manager does."""
    return HookCall(hook, plugin, function, argument_names(function))


def engine(step: Callable[..., Any], init: Callable[..., Any] | None = None) -> Engine:
    """Return an engine of plain functions."""
    return Engine.of("e", call("step", step), None if init is None else call("init_snapshot", init))


async def run_step(step: Callable[..., Any]) -> object:
    """Run one step with stand-ins for its three arguments."""
    return await engine(step).step("snapshot", ITEM, "context")


def test_every_hook_has_its_kind() -> None:
    """The three kinds of hooks are all the hooks there are."""
    specs = {name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), "roost_spec")}
    others = {"around_step", "backend", "artifact_store", "register_commands"}
    assert specs == {*ENGINE_HOOKS, *OBSERVER_HOOKS} | others
    assert ASYNC_HOOKS == specs - others


# -- engines -----------------------------------------------------------------------------------

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
    """A decorated coroutine function, or one called for its caller, still works."""

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
    """An object becomes the data, anything else stands under ``payload``."""
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


ERRORS = [ValueError("bad"), PermanentError("no"), RetryLater(3), TimeoutError()]


class Unspeakable(BaseException):
    """An error whose text cannot be had, in the worst way."""

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


@pytest.mark.parametrize("kind", ["async", "def", "returned"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_engine_error_comes_as_it_is(error: Exception, kind: str) -> None:
    """The stepper tells PermanentError and RetryLater from the rest, so they stay themselves."""
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
    """asyncio.timeout works through cancellation, and must find it again."""

    async def step() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await engine(step).step(None, ITEM, None)


async def test_a_closed_coroutine_is_no_failure() -> None:
    """What is thrown into a call that nobody runs any more goes through, and is no error."""

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
    """Where a signal raises in the midst of whatever runs, it is not the step that has raised."""

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


# -- observers ---------------------------------------------------------------------------------


async def notify(observers: Observers, snapshot: object = "snapshot") -> None:
    """Tell observers of a committed step."""
    await observers.notify("on_step_committed", item=ITEM, snapshot=snapshot)


def observers(*functions: Callable[..., Any], timeout: float = PATIENCE) -> Observers:
    """Return observers of committed steps, their plugins numbered from 0."""
    calls = [
        call("on_step_committed", function, str(number))
        for number, function in enumerate(functions)
    ]
    return Observers(calls, timeout=timeout)


async def test_observers_are_called_one_by_one_with_what_they_name() -> None:
    """Plain and async ones alike, in the given order, each with its arguments."""
    seen: list[object] = []

    def first(snapshot: object) -> None:
        seen.append(("first", snapshot, threading.get_ident()))

    async def second(snapshot: object, item: WorkItem) -> None:
        await asyncio.sleep(0)
        seen.append(("second", snapshot, item.work_id, threading.get_ident()))

    def third() -> None:
        seen.append("third")

    await notify(observers(first, second, third))
    here = threading.get_ident()
    assert ["first", "snapshot"] == list(seen[0][:2])
    assert here != seen[0][2]
    assert [("second", "snapshot", "w", here), "third"] == seen[1:]


def test_has_tells_whether_anybody_observes() -> None:
    """Nobody means nothing to prepare; a hook that does not exist is a mistake of the caller."""
    some = observers(lambda: None)
    assert some.has("on_step_committed")
    assert not some.has("on_dead_letter")
    assert not any(map(Observers().has, OBSERVER_HOOKS))
    with pytest.raises(KeyError):
        some.has("on_step_commited")


async def test_observers_do_not_see_each_other() -> None:
    """Neither what one sets in its context, nor what it changes in place; nor the caller's own."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[object] = []

    async def first(snapshot: list[int]) -> None:
        seen.append((variable.get(), list(snapshot)))
        variable.set("first")
        snapshot.append(1)

    def second(snapshot: list[int]) -> None:
        seen.append((variable.get(), list(snapshot)))
        variable.set("second")
        snapshot.append(2)

    many = observers(first, second, first)
    variable.set("the caller")
    await many.notify("on_step_committed", item=ITEM, snapshot=Fresh(list))
    assert [("unset", [])] * 3 == seen


@pytest.mark.parametrize("kind", ["async", "def", "returned"])
@pytest.mark.parametrize("error", [*ERRORS, *FATAL], ids=lambda error: type(error).__name__)
async def test_t6_a_raising_observer_stops_nobody(
    error: BaseException, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """T6: the others are still called, and the log names the plugin."""
    seen = []
    await notify(observers(lambda: seen.append(0), raising(error, kind), lambda: seen.append(2)))
    assert [0, 2] == seen
    (record,) = caplog.records
    expected = ("roost.hooks", logging.ERROR, "observer_failed", "1", "on_step_committed")
    found = (record.name, record.levelno, record.action, record.plugin, record.hook)
    assert expected == found
    assert record.getMessage().startswith("plugin 1: on_step_committed raised ")
    assert record.exc_info is not None


async def test_a_slow_observer_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """One that hangs in a thread, one that waits for ever, one that resists cancelling."""
    release = threading.Event()
    seen = []

    def hangs() -> None:
        release.wait(PATIENCE)

    async def waits() -> None:
        await asyncio.Event().wait()

    resisted = []

    async def resists() -> None:
        for _ in range(3):
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            resisted.append(1)
            if len(resisted) == 1:
                raise ValueError("after it was left behind")

    try:
        await notify(observers(hangs, waits, resists, lambda: seen.append(3), timeout=0.01))
    finally:
        release.set()
    # The last one is quick, but a busy machine may need longer than a hundredth of a second.
    late = [record.plugin for record in caplog.records]
    assert ["0", "1", "2"] == late[:3]
    assert {"observer_timed_out"} == {record.action for record in caplog.records}
    assert [1] == resisted
    assert [3] == seen or late[3:] == ["3"]


async def test_cancelling_the_caller_passes_through(caplog: pytest.LogCaptureFixture) -> None:
    """A worker that is shut down does not wait for observers, and does not call more of them."""
    seen = []
    cancelled = []

    started = asyncio.Event()

    async def waits() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    many = observers(waits, lambda: seen.append("next"))
    task = asyncio.create_task(many.notify("on_step_committed", item=ITEM, snapshot=None))
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert [] == seen
    assert [True] == cancelled
    assert [] == caplog.records


# -- around_step -------------------------------------------------------------------------------


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
    """Managers that fail or swallow at any point: all entered ones are left, and errors go on."""
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
    """It has no snapshot to offer instead, so the error goes on, through the outer ones too."""
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
