"""Tasks whose first part runs where they are made: they are like any other task."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from roost_core.eager import eager_task

VARIABLE = contextvars.ContextVar("variable", default=0)


def run(coroutine_function):
    """Start it eagerly in a fresh context; return its log, and what its task came to."""
    log = []

    async def main():
        host = asyncio.current_task()
        task = eager_task(coroutine_function(log), contextvars.Context(), host)
        log.append("made")
        assert asyncio.current_task() is host
        try:
            return log, await task
        except asyncio.CancelledError:
            assert 0 == host.cancelling()
            return log, "cancelled"
        finally:
            assert asyncio.current_task() is host

    return asyncio.run(main())


def test_without_a_wait_it_is_over_at_once():
    """Nothing of it is left for later."""

    async def step(log):
        log.append("ran")
        return 5

    assert (["ran", "made"], 5) == run(step)


def test_its_first_part_runs_at_once_and_the_rest_as_in_any_task():
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

    assert (["first", "made", 7], "over") == run(step)
    assert 0 == VARIABLE.get()


def test_what_it_raises_is_raised_where_it_is_awaited():
    """After a wait; what comes before one is raised at once or there."""

    async def step(log):
        await asyncio.sleep(0)
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        run(step)


def test_a_timeout_that_is_entered_in_the_first_part():
    """It cancels the task that it was entered in."""

    async def step(log):
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(100)
        except TimeoutError:
            return "in time"

    assert (["made"], "in time") == run(step)


def test_a_group_that_is_entered_in_the_first_part():
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

    assert (["made", "raised"], None) == run(step)


@pytest.mark.parametrize("when", ["at once", "after a wait"])
def test_one_that_cancels_itself_and_ends(when):
    """It is cancelled, and nobody else is."""

    async def step(log):
        if when == "after a wait":
            await asyncio.sleep(0)
        asyncio.current_task().cancel()
        return "not heard of"

    assert "cancelled" == run(step)[1]


@pytest.mark.parametrize("when", ["at once", "after a wait"])
def test_one_that_cancels_itself_and_waits(when):
    """It hears of that where it waits."""

    async def step(log):
        if when == "after a wait":
            await asyncio.sleep(0)
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            log.append("heard")
            raise

    log, came_to = run(step)
    assert ("cancelled", 1) == (came_to, log.count("heard"))


def test_one_that_swallows_its_own_cancellation_goes_on():
    """As a task does."""

    async def step(log):
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            log.append("heard")
        await asyncio.sleep(0.001)
        return "on"

    log, came_to = run(step)
    assert ("on", True) == (came_to, "heard" in log)


def test_cancelling_it_from_outside():
    """It hears of that, like any task."""

    async def main():
        heard = []

        async def step():
            try:
                await asyncio.sleep(100)
            finally:
                heard.append(True)

        task = eager_task(step(), contextvars.Context(), asyncio.current_task())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [True] == heard

    asyncio.run(main())
