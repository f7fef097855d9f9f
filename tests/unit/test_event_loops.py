"""How async tests run: each on a loop of its own, inside what their fixtures set up."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.event_loops import LeapingLoop, leaping, make_plain, real_time

CLOCKED = SimpleNamespace(time=time)


class Item:
    """A collected test, with the mark that is closest to it."""

    def __init__(self, test, mark=None):
        self.obj = test
        self.mark = mark

    def get_closest_marker(self, name):
        """Return the mark."""
        assert "event_loop" == name
        return self.mark and self.mark.mark

    def run(self, **arguments):
        """Run the test as pytest does."""
        make_plain(self)
        return self.obj(**arguments)


def test_each_has_a_loop_of_its_own():
    """Its tasks end with it, and none of them sees another test's loop."""
    loops = []

    async def test():
        loops.append(asyncio.get_running_loop())

    Item(test).run()
    Item(test).run()
    assert loops[0] is not loops[1]
    assert [True, True] == [one.is_closed() for one in loops]


def test_one_that_fails_fails():
    """So it does inside a fixture's context manager, which gets to see the error."""
    told = []

    @contextlib.asynccontextmanager
    async def bench():
        try:
            yield "bench"
        except AssertionError:
            told.append(asyncio.current_task())
            raise

    async def test(bench, other):
        told.append(asyncio.current_task())
        assert (1, 2) == (bench, other)

    with pytest.raises(AssertionError, match="bench"):
        Item(test).run(bench=bench(), other=2)
    assert told[0] is told[1]


def test_a_plain_one_is_left_as_it_is():
    """It has no loop."""

    def test():
        return "as it is"

    assert test is (item := Item(test)).obj
    assert ("as it is", test) == (item.run(), item.obj)


@pytest.mark.parametrize("mark", [leaping(CLOCKED), real_time, None])
def test_time_leaps_where_it_is_marked(mark):
    """The named modules' clock follows the loop's, until the test is over."""
    leaps = mark not in (real_time, None)

    async def test():
        loop = asyncio.get_running_loop()
        assert leaps == isinstance(loop, LeapingLoop)
        began = CLOCKED.time.monotonic()
        await asyncio.sleep(3600 if leaps else 0)
        assert leaps == (CLOCKED.time.monotonic() - began >= 3600)

    Item(test, mark).run()
    assert time is CLOCKED.time


def test_each_example_has_a_loop_of_its_own():
    """Under @given the test runs once an example."""
    loops = []

    @given(number=st.integers(0, 9))
    async def test(number):
        loops.append(asyncio.get_running_loop())

    Item(test).run()
    assert len(loops) > 5
    assert all(one.is_closed() for one in loops)
    assert len(loops) == len(set(loops))


async def test_this_one_runs(request):
    """The hook is in place: what pytest runs is no longer a coroutine function."""
    assert asyncio.current_task() is not None
    assert not inspect.iscoroutinefunction(request.node.obj)
