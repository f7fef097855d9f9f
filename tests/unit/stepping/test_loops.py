"""A loop that continues, whatever a task or callback raises in it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import pytest

from roost_core.markers import hookimpl
from roost_core.models import State
from roost_core.stepping import loops
from roost_core.testing import run_to_end


async def raises(error):
    """Raise it."""
    raise error


@pytest.fixture
def nobody_listens():
    """Let no Ctrl-C raise here, as in a worker."""
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_task_cannot_end_the_loop(error, nobody_listens, caplog):
    """Whoever awaits it gets the error; the loop continues, and the log says who it was."""

    async def main():
        with pytest.raises(type(error)):
            await asyncio.create_task(raises(error))
        return "done"

    assert "done" == loops.run(main())
    (record,) = caplog.records
    assert logging.ERROR == record.levelno
    assert type(error).__name__ in record.message
    assert "test_loops.py" in record.message


def test_a_callback_cannot_end_the_loop(caplog):
    """Nor can several of them in one round: none of the others is skipped."""

    async def main():
        loop = asyncio.get_running_loop()
        last = loop.create_future()
        loop.call_soon(sys.exit, 1)
        loop.call_soon(sys.exit, 2)
        loop.call_soon(last.set_result, "last")
        return await last

    assert "last" == loops.run(main())
    assert 2 == len(caplog.records)


def test_stopping_the_loop_does_not_end_it(caplog):
    """Once, again, and in the round in which everything is done."""

    async def main():
        loop = asyncio.get_running_loop()
        loop.stop()
        await asyncio.sleep(0.01)
        loop.call_soon(loop.stop)
        await asyncio.sleep(0.01)
        loop.stop()
        return "done"

    assert "done" == loops.run(main())
    assert 2 <= len(caplog.records)
    assert all("stopped the worker's event loop" in one.message for one in caplog.records)


def test_a_loop_that_cannot_go_on_ends():
    """It does not try forever where no task can be made any more."""

    def refuses(_loop, coro, **_options):
        coro.close()
        raise RuntimeError("no tasks")

    async def main():
        asyncio.get_running_loop().set_task_factory(refuses)
        asyncio.get_running_loop().stop()
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="no tasks"):
        loops.run(main())


@pytest.mark.parametrize("order", [1, -1])
def test_cancelling_all_tasks_cancels_main_once(order):
    """In whichever order: it gets the chance to clean up."""

    def cancel_all():
        for task in sorted(asyncio.all_tasks(), key=lambda one: one is the_main)[::order]:
            task.cancel()

    async def main():
        nonlocal the_main
        the_main = asyncio.current_task()
        asyncio.get_running_loop().call_soon(cancel_all)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            return "in order"

    the_main = None
    assert "in order" == loops.run(main())


def test_what_is_left_cannot_decide_the_end(caplog):
    """A task that is cancelled at the end, and exits for that, changes nothing."""

    async def exits():
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            sys.exit(9)

    async def main():
        task = asyncio.create_task(exits())
        await asyncio.sleep(0)
        assert not task.done()
        return "done"

    assert "done" == loops.run(main())
    assert "SystemExit" in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), ValueError("no")])
def test_what_main_raises_comes_out(error):
    """The caller gets it."""
    with pytest.raises(type(error)):
        loops.run(raises(error))


def test_a_real_ctrl_c_cancels_and_comes_out():
    """As with ``asyncio.run``, where Python's own handler was there before."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    told = []

    async def main():
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    try:
        with pytest.raises(KeyboardInterrupt):
            loops.run(main())
    finally:
        signal.signal(signal.SIGINT, former)
    assert ["cancelled"] == told


class Exits:
    """An engine that exits, or a child task of it."""

    engine_id = "exits"

    def __init__(self, error, *, in_child):
        self.error = error
        self.in_child = in_child

    @hookimpl
    async def step(self, snapshot):
        """Exit."""
        exits = raises(self.error)
        await (asyncio.create_task(exits) if self.in_child else exits)


@pytest.mark.parametrize(
    ("error", "in_child"),
    [(SystemExit(3), True), (SystemExit(3), False), (KeyboardInterrupt(), False)],
)
def test_the_test_kit_fares_as_a_worker(error, in_child):
    """What a step or a child task raises is a failed attempt there, too."""
    meta = run_to_end(Exits(error, in_child=in_child)).status.meta
    assert (State.FAILED, "exception") == (meta.state, meta.error.kind)
    assert repr(error) in meta.error.message
