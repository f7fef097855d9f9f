"""Tasks whose first part runs where they are made: they are like any other task."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref

import pytest

from roost_core.stepping.eager import Starter

VARIABLE = contextvars.ContextVar("variable", default=0)


async def run(coroutine_function):
    """Start it eagerly in a fresh context; return its log, and what its task came to."""
    log = []
    host = asyncio.current_task()
    task = Starter().start(coroutine_function(log), contextvars.Context())
    log.append("made")
    assert asyncio.current_task() is host
    try:
        return log, await task
    except asyncio.CancelledError:
        assert 0 == host.cancelling()
        return log, "cancelled"
    finally:
        assert asyncio.current_task() is host


async def test_without_a_wait_it_is_over_at_once():
    """Nothing of it is left for later."""

    async def step(log):
        log.append("ran")
        return 5

    assert (["ran", "made"], 5) == await run(step)


async def test_its_first_part_runs_at_once_and_the_rest_as_in_any_task():
    """One task, one context, from the first line to the last."""

    async def step(log):
        first = asyncio.current_task()
        VARIABLE.set(7)
        log.append("first")
        for _ in range(3):
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
        assert asyncio.current_task() is first
        log.append(VARIABLE.get())
        return "over"

    assert (["first", "made", 7], "over") == await run(step)
    assert 0 == VARIABLE.get()


async def test_what_it_raises_is_raised_where_it_is_awaited():
    """After a wait; what is raised before one comes at once or there."""

    async def step(log):
        await asyncio.sleep(0)
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        await run(step)


async def test_a_timeout_that_is_entered_in_the_first_part():
    """It cancels the task that it was entered in."""

    async def step(log):
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(100)
        except TimeoutError:
            return "in time"

    assert (["made"], "in time") == await run(step)


async def test_a_group_that_is_entered_in_the_first_part():
    """Its error cancels the task, and is raised out of the group."""

    async def fail():
        raise KeyError("child")

    async def step(log):
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.sleep(100)
        except* KeyError:
            log.append("raised")

    assert (["made", "raised"], None) == await run(step)


@pytest.mark.parametrize("when", ["at once", "after a wait"])
async def test_one_that_cancels_itself_and_ends(when):
    """It is cancelled, and nobody else is."""

    async def step(log):
        if when == "after a wait":
            await asyncio.sleep(0)
        asyncio.current_task().cancel()
        return "not heard of"

    assert "cancelled" == (await run(step))[1]


@pytest.mark.parametrize("when", ["at once", "after a wait"])
async def test_one_that_cancels_itself_and_waits(when):
    """It is told where it waits."""

    async def step(log):
        if when == "after a wait":
            await asyncio.sleep(0)
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            log.append("heard")
            raise

    log, came_to = await run(step)
    assert ("cancelled", 1) == (came_to, log.count("heard"))


async def test_one_that_swallows_its_own_cancellation_goes_on():
    """As a task does."""

    async def step(log):
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            log.append("heard")
        await asyncio.sleep(0.001)
        return "on"

    log, came_to = await run(step)
    assert ("on", True) == (came_to, "heard" in log)


async def test_cancelling_it_from_outside():
    """It is told, like any task."""
    heard = []

    async def step():
        try:
            await asyncio.sleep(100)
        finally:
            heard.append(True)

    task = Starter().start(step(), contextvars.Context())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [True] == heard


@pytest.mark.parametrize("rounds", range(4))
async def test_what_it_waits_for_is_cancelled_with_it(rounds):
    """As with any task, even before the loop has continued."""
    heard, inner = [], asyncio.get_running_loop().create_future()

    async def step():
        try:
            await inner
        finally:
            heard.append(True)

    task = Starter().start(step(), contextvars.Context())
    for _ in range(rounds):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ([True], True) == (heard, inner.cancelled())


async def test_many_at_once():
    """Each has a task and a context of its own, however they come and go."""
    starter, seen = Starter(), []

    async def step(number):
        VARIABLE.set(number)
        me = asyncio.current_task()
        for left in range(number % 4):
            await asyncio.sleep(0.001 * (left % 2))
            assert (number, me) == (VARIABLE.get(), asyncio.current_task())
        seen.append(number)
        return number

    async def lane(first):
        for number in range(first, 200, 10):
            context = contextvars.Context()
            assert number == await starter.start(step(number), context)
            assert number == context[VARIABLE]

    await asyncio.gather(*(lane(first) for first in range(10)))
    assert list(range(200)) == sorted(seen)
    starter.close()
    await asyncio.sleep(0)
    assert {asyncio.current_task()} == asyncio.all_tasks()


def keeps(kept):
    """Keep the task."""
    kept.append(asyncio.current_task())


def refers(kept):
    """Keep a weak reference, as libraries that know something by task do."""
    kept.append(weakref.ref(asyncio.current_task()))


def names(_kept):
    """Give it a name."""
    asyncio.current_task().set_name("mine")


def is_told(kept):
    """Ask to be told of its end."""
    asyncio.current_task().add_done_callback(kept.append)


def cancels(_kept):
    """Cancel it."""
    asyncio.current_task().cancel()


@pytest.mark.parametrize("touch", [keeps, refers, names, is_told, cancels])
async def test_a_task_that_somebody_has_touched_is_nobody_elses(touch):
    """The next one has another, and this one ends as any task."""
    starter, kept, found = Starter(), [], []

    async def step(does):
        does(kept)
        found.append(id(asyncio.current_task()))
        return len(found)

    task = starter.start(step(touch), contextvars.Context())
    other = starter.start(step(lambda _: None), contextvars.Context())
    assert 2 == await other
    assert found[0] != found[1]
    if touch is cancels:
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        assert 1 == await task
    await asyncio.sleep(0)
    if touch in (keeps, is_told):
        assert [(True, 1)] == [(one.done(), one.result()) for one in kept]


@pytest.fixture
def no_collector():
    """Let nothing be collected meanwhile: an error's frames refer to the task, too."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python does it by itself")
@pytest.mark.usefixtures("no_collector")
async def test_an_untouched_task_stands_by_for_the_next():
    """It costs the loop nothing to have it run one that waits for nothing."""
    starter, found = Starter(), set()

    async def step(is_bad):
        found.add(id(asyncio.current_task()))
        if is_bad:
            raise ValueError

    for number in range(10):
        task = starter.start(step(number % 2), contextvars.Context())
        assert task.done()
        assert (ValueError if number % 2 else type(None)) is type(task.exception())
    assert 1 == len(found)


async def test_the_next_task_waits_and_looks_like_any_other(capsys):
    """It can be shown, and its stack printed."""

    async def step():
        await asyncio.sleep(100)

    task = Starter().start(step(), contextvars.Context())
    await asyncio.sleep(0)
    assert "step" in repr(task)
    task.print_stack(file=sys.stdout)
    assert "await asyncio.sleep(100)" in capsys.readouterr().out
    task.cancel()
