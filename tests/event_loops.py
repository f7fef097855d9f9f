"""How an ``async def`` test runs, and an event loop whose time leaps instead of passing.

A test has a loop of its own, as with :func:`asyncio.run`, and under ``@given`` each example has
one. A fixture that sets something up inside
that loop returns an async context manager; it is entered in the test's own task, and the test is
given what it yields::

    @pytest.fixture
    @contextlib.asynccontextmanager
    async def bench():
        bench = Bench()
        yield bench
        await bench.close()

    async def test_something(bench):
        ...

It is entered only where a test names it as an argument; a fixture that takes another of this kind
gets the context manager, and enters it itself.

``pytestmark = leaping(module, ...)`` lets the time leap in all tests of a file: when nothing is
ready, the time of the next timer is now, and the named modules' ``time.monotonic`` is the loop's.
``@real_time`` exempts a test in such a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import selectors
from types import SimpleNamespace

import pytest


class _LeapingSelector(selectors.DefaultSelector):
    """Never waits: when nothing is ready, the time of the next timer is now."""

    now = 0.0

    def select(self, timeout=None):
        ready = super().select(0)
        if ready or timeout is None:
            return ready or super().select(timeout)
        self.now += max(0.0, timeout)
        return []


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop on which an hour takes no time. Threads must not be waited for here."""

    def __init__(self):
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)

    def time(self):
        """Return the leaping time."""
        return self._leaping.now


def leaping(*clocks):
    """Return the mark by which a test's time leaps, and with it the clocks of these modules."""
    return pytest.mark.event_loop(LeapingLoop, clocks)


#: The mark of a test whose time passes, in a file whose others leap.
real_time = pytest.mark.event_loop(None, ())


def make_plain(item):
    """Give a test that is a coroutine function a plain function in its place."""
    mark = item.get_closest_marker("event_loop") or real_time.mark
    handle = getattr(item.obj, "hypothesis", None)
    if inspect.iscoroutinefunction(item.obj):
        item.obj = _plain(item.obj, *mark.args)
    elif handle is not None and inspect.iscoroutinefunction(handle.inner_test):
        # What @given calls for each example.
        handle.inner_test = _plain(handle.inner_test, *mark.args)


def _plain(test, loop_factory, clocks):
    """Return a function that runs a test to its end on a new loop."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=loop_factory) as runner, pytest.MonkeyPatch.context() as p:
            clock = SimpleNamespace(monotonic=runner.get_loop().time)
            for module in clocks:
                p.setattr(module, "time", clock)
            return runner.run(_entered(test, args, kwargs))

    return run


async def _entered(test, args, kwargs):
    """Enter those of a test's arguments that have to be entered, and run it."""
    async with contextlib.AsyncExitStack() as stack:
        for name, value in kwargs.items():
            if isinstance(value, contextlib.AbstractAsyncContextManager):
                kwargs[name] = await stack.enter_async_context(value)
        return await test(*args, **kwargs)
