"""Daemon threads alongside the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.errors import EngineError, PermanentError
from roost_core.threads import DaemonThreads, _Job, run_in_thread

#: Long enough for a busy machine; nothing waits for it when the code is right.
PATIENCE = 30.0


@pytest.fixture
def threads() -> Iterator[DaemonThreads]:
    """Return threads that end with the test."""
    threads = DaemonThreads("test", idle_seconds=PATIENCE)
    yield threads
    threads.close()


class Odd(BaseException):
    """Not an Exception, and of no known kind."""


class Unspeakable(BaseException):
    """An error that raises SystemExit when its text is asked for."""

    def __str__(self) -> str:
        raise SystemExit(9)

    __repr__ = __str__


def test_a_call_runs_elsewhere_and_returns(threads: DaemonThreads) -> None:
    """The function gets its arguments, in a daemon thread, and its result comes back."""

    def function(left: int, right: int) -> tuple[int, threading.Thread]:
        return left + right, threading.current_thread()

    total, thread = asyncio.run(threads.run(function, 1, 2))
    assert 3 == total
    assert thread.daemon
    assert thread is not threading.current_thread()
    assert thread.name.startswith("test-")


async def test_context_variables_are_copied(threads: DaemonThreads) -> None:
    """The function sees the caller's context, and what it sets stays with it."""
    variable = contextvars.ContextVar("variable", default="unset")

    def function() -> str:
        seen = variable.get()
        variable.set("from the thread")
        return seen

    variable.set("from the loop")
    assert "from the loop" == await threads.run(function)
    assert "from the loop" == variable.get()


async def test_an_idle_thread_is_used_again(threads: DaemonThreads) -> None:
    """Calls one after the other share one thread."""
    assert 1 == len({await threads.run(threading.get_ident) for _ in range(50)})


@given(sizes=st.lists(st.integers(min_value=1, max_value=8), min_size=1, max_size=5))
async def test_no_more_threads_than_calls_at_a_time(sizes: list[int]) -> None:
    """However calls come in waves, there are as many threads as in the largest, and all return."""
    threads = DaemonThreads("wave", idle_seconds=PATIENCE)
    seen = set()

    async def wave(size: int) -> list[int]:
        barrier = threading.Barrier(size)

        def function(number: int) -> int:
            barrier.wait(PATIENCE)  # all of them run at the same time
            seen.add(threading.get_ident())
            return number

        return list(await asyncio.gather(*(threads.run(function, one) for one in range(size))))

    try:
        assert [list(range(size)) for size in sizes] == [await wave(size) for size in sizes]
        assert max(sizes) == len(seen)
    finally:
        threads.close()


@pytest.mark.parametrize("error", [ValueError("bad"), PermanentError("no"), TimeoutError()])
def test_an_ordinary_error_comes_back_as_it_is(threads: DaemonThreads, error: Exception) -> None:
    """The very same object is raised where the call is awaited."""

    def function() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        asyncio.run(threads.run(function))
    assert error is raised.value


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        Odd("odd"),
        Unspeakable(),
        type("Nameless", (Odd,), {"__str__": lambda self: 1 / 0})(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_no_exception_becomes_one(
    threads: DaemonThreads, error: BaseException
) -> None:
    """Nothing that a function raises ends the thread or the loop, or looks like a cancellation."""

    def function() -> None:
        raise error

    with pytest.raises(EngineError, match=type(error).__name__) as raised:
        await threads.run(function)
    assert error is raised.value.__cause__
    assert 1 == await threads.run(lambda: 1)


def test_stop_iteration_becomes_a_runtime_error(threads: DaemonThreads) -> None:
    """A coroutine cannot raise StopIteration, and a future cannot hold one."""

    def function() -> None:
        raise StopIteration("over")

    with pytest.raises(RuntimeError) as raised:
        asyncio.run(threads.run(function))
    assert isinstance(raised.value.__cause__, StopIteration)


async def test_cancelling_does_not_wait_for_the_function(threads: DaemonThreads) -> None:
    """The wait ends at once, the next call has another thread, and the old result is dropped."""
    started, release, left = threading.Event(), threading.Event(), threading.Event()

    def hang() -> str:
        started.set()
        release.wait(PATIENCE)
        left.set()
        return "too late"

    task = asyncio.create_task(threads.run(hang))
    await threads.run(started.wait, PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not left.is_set()
    assert "next" == await threads.run(lambda: "next")
    release.set()
    await threads.run(left.wait, PATIENCE)
    assert left.is_set()


def test_a_dropped_coroutine_is_closed(threads: DaemonThreads) -> None:
    """A coroutine that comes too late is not announced as never awaited."""
    started, release = threading.Event(), threading.Event()

    async def coroutine() -> None:
        pass

    made = []

    def hang() -> object:
        started.set()
        release.wait(PATIENCE)
        made.append(weakref.ref(late := coroutine()))
        return late

    async def main() -> None:
        task = asyncio.create_task(threads.run(hang))
        await threads.run(started.wait, PATIENCE)
        task.cancel()
        await asyncio.wait([task])
        release.set()

    asyncio.run(main())
    threads.close()
    while not made or made[0]() is not None:  # until the thread has dropped it
        gc.collect()


async def test_a_call_cancelled_before_it_starts_is_not_made() -> None:
    """A call that nobody waits for when its thread gets to it is skipped."""
    calls: list[int] = []
    loop = asyncio.get_running_loop()
    future: asyncio.Future[tuple[object, Exception | None]] = loop.create_future()
    job = _Job(calls.append, (1,), contextvars.copy_context(), loop, future)
    future.cancel()
    assert (None, None) == job.run()
    assert [] == calls


def test_an_answer_for_a_closed_loop_is_dropped(threads: DaemonThreads) -> None:
    """A thread outlives the loop that it worked for, and can serve the next one."""
    started, release = threading.Event(), threading.Event()

    def hang() -> int:
        started.set()
        release.wait(PATIENCE)
        return threading.get_ident()

    async def main() -> None:
        task = asyncio.create_task(threads.run(hang))
        await threads.run(started.wait, PATIENCE)
        task.cancel()

    asyncio.run(main())
    release.set()
    assert 2 == asyncio.run(threads.run(lambda: 2))


def test_idle_threads_end_after_a_while() -> None:
    """A thread without work goes away by itself."""
    threads = DaemonThreads("brief", idle_seconds=0.001)
    thread = asyncio.run(threads.run(threading.current_thread))
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert 0 == threads.idle
    assert 1 == asyncio.run(threads.run(lambda: 1))
    threads.close()


def test_closing_ends_idle_threads_and_refuses_calls(threads: DaemonThreads) -> None:
    """After close() nothing starts, and closing twice is no error."""
    thread = asyncio.run(threads.run(threading.current_thread))
    threads.close()
    threads.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(threads.run(int))


async def test_closing_lets_a_running_call_finish(threads: DaemonThreads) -> None:
    """A call in flight is answered, and then its thread ends."""
    started, release = threading.Event(), threading.Event()

    def work() -> threading.Thread:
        started.set()
        release.wait(PATIENCE)
        return threading.current_thread()

    task = asyncio.create_task(threads.run(work))
    await threads.run(started.wait, PATIENCE)
    threads.close()
    release.set()
    thread = await task
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_forgotten_pool_ends_its_threads() -> None:
    """Idle threads do not keep a pool alive that nobody refers to."""
    threads = DaemonThreads("forgotten", idle_seconds=PATIENCE)
    thread = asyncio.run(threads.run(threading.current_thread))
    del threads
    gc.collect()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_each_loop_has_its_own_threads() -> None:
    """What one loop has used ends with it; the next one starts afresh."""
    first = asyncio.run(run_in_thread(threading.current_thread))
    second = asyncio.run(run_in_thread(threading.current_thread))
    assert first is not second
    gc.collect()
    for thread in (first, second):
        thread.join(PATIENCE)
        assert not thread.is_alive()


async def test_an_idle_thread_keeps_no_result_alive(threads: DaemonThreads) -> None:
    """Arguments and results are not held until the next call."""

    class Large:
        pass

    reference = weakref.ref(await threads.run(Large))
    await threads.run(int)  # the thread is certainly past the first call
    gc.collect()
    assert reference() is None


def test_a_hung_thread_does_not_keep_the_process() -> None:
    """The process ends with its main thread, whatever still hangs."""
    script = """
import asyncio, threading
from roost_core.threads import run_in_thread

async def main():
    try:
        await asyncio.wait_for(run_in_thread(threading.Event().wait), 0.01)
    except TimeoutError:
        print("left behind")

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (0, "left behind\n", "") == (done.returncode, done.stdout, done.stderr)
