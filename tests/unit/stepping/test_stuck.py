"""An event loop that does not move: what is seen, logged, shown, and done about it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roost_core.backend import Failure
from roost_core.codec.records import decode_model, encode_model
from roost_core.errors import BackendError, LeaseLost
from roost_core.models import ErrorRecord, Lease, WorkerInfo
from roost_core.plugins import around_step, calls, engines, observers
from roost_core.stepping import hanging, holds, leases, stuck
from roost_core.stepping.hanging import TICK, Pulse, _theirs
from roost_core.stepping.holds import Hold
from roost_core.stepping.leases import LeaseKeeper
from roost_core.stepping.stuck import EXIT_STUCK, Stall
from tests.unit.stepping.leases_bench import INFO, FakeRenewer

TTL = 15.0


def lease(token):
    """Make a lease."""
    return Lease(f"w-{token}", "worker-1", token, 1, datetime(2026, 1, 1, tzinfo=UTC))


class Giving(FakeRenewer):
    """A renewer that ends leases, or cannot."""

    def __init__(self):
        super().__init__()
        self.ended = []
        self.refusals = {}

    def fail(self, lease, failure):
        """Note it."""
        self._end(lease, ("failed", decode_model(ErrorRecord, failure.error)))

    def interrupt(self, lease, commit_id, reason, delay_ms):
        """Note it."""
        self._end(lease, ("interrupted", reason))

    def _end(self, lease, how):
        if lease.token in self.refusals:
            raise self.refusals[lease.token]
        self.ended.append((lease.token, *how))


class Clock:
    """A clock that a test advances."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        """Return the time."""
        return self.now


def said(caplog):
    """Return what was logged, once all of it is there."""
    for one in threading.enumerate():
        if one is not threading.current_thread() and one.daemon and "Thread-" in one.name:
            one.join(10)
    return [one.getMessage() for one in caplog.records]


class Bench:
    """A stall that looks at a loop that moves only when the test lets it."""

    def __init__(self, clock, *, stuck_after=300.0):
        self.clock = clock
        self.renewer = Giving()
        self.holds = []
        self.exits = []
        self.stall = Stall([self.renewer], INFO, stuck_after, lambda: self.holds, self.exits.append)

    def hold(self, token, *, seconds=3600.0, in_step=True):
        """Hold a lease whose step may take this long."""
        found = Hold(lease(token), self.clock.now, TTL)
        found.blame = lambda record: Failure("f0", encode_model(record), False, 1000)
        found.step_deadline = self.clock.now + seconds
        if in_step:
            found._scope = asyncio.timeout(None)
        self.holds.append(found)
        return found

    def hang(self, seconds, *, step=TICK):
        """Let time pass in which the thread looks and the loop does not move."""
        ends = self.clock.now + seconds
        while self.clock.now < ends and not self.exits:
            self.clock.now += step
            self.stall.look()

    async def move(self):
        """Let the loop move, and the thread see it."""
        await asyncio.sleep(0)
        self.clock.now += TICK
        self.stall.look()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def over_stall(**how):
    """Give a bench whose clock is moved by hand."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        for module in (hanging, holds, stuck, leases):
            patch.setattr(module, "time", clock)
        bench = Bench(clock, **how)
        bench.stall.look()
        await bench.move()
        yield bench


@pytest.fixture
def bench():
    """Give a stall that ends what hangs."""
    return over_stall()


async def test_a_loop_that_moves_is_never_told_of(bench, caplog):
    """However slowly it moves, if it does within five seconds."""
    for _ in range(200):
        bench.hang(4)
        await bench.move()
    assert (None, []) == (bench.stall.stuck, bench.exits)
    assert [] == said(caplog)


async def test_a_hang_is_told_once_with_its_place(bench, caplog):
    """The log says whose step it is and where, and, when it moves again, after how long."""
    holds.current_hold.set(bench.hold("t1"))
    bench.hang(12)
    await bench.move()
    await bench.move()
    hangs, moves = said(caplog)
    assert "the step of w-t1 hangs at" in hangs
    assert "in look" in hangs or "in sight" in hangs
    # The shown stack begins where the frames of the event loop end.
    assert "run_until_complete" not in hangs
    assert "in test_a_hang_is_told_once" in hangs
    assert moves.startswith("the event loop moves again, after 1")
    hang = next(one for one in caplog.records if "hangs at" in one.getMessage())
    assert ("loop_hangs", "w-t1", logging.WARNING) == (hang.action, hang.work_id, hang.levelno)


async def test_the_register_shows_it_after_a_ttl(bench):
    """Since when, in which step, where; and no longer when the loop moves again."""
    holds.current_hold.set(bench.hold("t1"))
    bench.hang(TTL - TICK)
    assert bench.stall.stuck is None
    bench.hang(3 * TICK)
    found = bench.stall.stuck
    assert "w-t1" == found.work_id
    assert " in " in found.where
    await bench.move()
    await bench.move()
    assert bench.stall.stuck is None


async def test_the_end(bench, caplog):
    """The hanging step is blamed, all else is given back, and the process ends with its code."""
    bench.hold("t2")
    guilty = bench.hold("t1")
    bench.hold("t3", in_step=False)
    holds.current_hold.set(guilty)
    bench.hang(298)
    assert ([], []) == (bench.renewer.ended, bench.exits)
    bench.hang(10)
    assert [EXIT_STUCK] == bench.exits
    (token, how, record), *others = bench.renewer.ended
    assert ("t1", "failed", "hung") == (token, how, record.kind)
    assert "blocked its worker's event loop for 300 s, at " in record.message
    assert "in test_the_end" in record.traceback
    reason = "its worker hung in w-t1"
    assert [("t2", "interrupted", reason), ("t3", "interrupted", reason)] == others
    assert any("this worker ends" in one for one in said(caplog))


@pytest.mark.parametrize("error", [BackendError("cannot"), LeaseLost("gone"), None])
async def test_the_end_comes_whatever_the_server_says(bench, error):
    """A server that refuses is not asked again; a lost lease is left alone."""
    guilty = bench.hold("t1")
    bench.hold("t2")
    holds.current_hold.set(guilty)
    if error is not None:
        bench.renewer.refusals["t1"] = error
    bench.hang(310)
    assert [EXIT_STUCK] == bench.exits
    expected = {BackendError: [], LeaseLost: ["t2"]}.get(type(error), ["t1", "t2"])
    assert expected == [token for token, *_ in bench.renewer.ended]


async def test_a_hang_outside_of_any_step_blames_nobody(bench, caplog):
    """All work is given back."""
    bench.hold("t1")
    holds.current_hold.set(None)
    bench.hang(310)
    assert [("t1", "interrupted")] == [one[:2] for one in bench.renewer.ended]
    assert any("something outside of any step hangs at" in one for one in said(caplog))


async def test_never():
    """With 0 the process is left alone."""
    async with over_stall(stuck_after=0) as bench:
        holds.current_hold.set(bench.hold("t1"))
        bench.hang(3000)
        assert ([], []) == (bench.exits, bench.renewer.ended)
        assert bench.stall.stuck is not None


async def test_a_process_that_was_stopped_did_not_hang(bench, caplog):
    """SIGSTOP for hours, also in a step that blocks: only waking time counts."""
    bench.hold("t1")
    for _ in range(3):
        bench.hang(1)
        bench.clock.now += 3 * 3600
        bench.hang(2)
        await bench.move()
    assert ([], None) == (bench.exits, bench.stall.stuck)
    assert [] == said(caplog)


async def test_a_step_a_ttl_beyond_its_time(bench):
    """A hung worker's work is given up as its step timeout says: the hanging step is blamed."""
    guilty = bench.hold("t1", seconds=60)
    bench.hold("t2", seconds=30)
    bench.hold("t3", seconds=3600)
    holds.current_hold.set(guilty)
    bench.hang(30 + TTL - 2)
    assert [] == bench.renewer.ended
    bench.hang(3)
    assert [("t2", "interrupted")] == [one[:2] for one in bench.renewer.ended]
    bench.hang(60)
    assert ("t1", "failed") == bench.renewer.ended[-1][:2]
    assert {"t1", "t2"} == bench.stall.given_back
    assert [] == bench.exits


async def test_the_keeper_of_a_hung_loop(bench):
    """It renews what is held until the end, between steps too; not what it has given up."""
    keeper = LeaseKeeper([bench.renewer], INFO, stuck_after=300)
    between = keeper.hold(lease("t1"), bench.clock.now)
    holds.current_hold.set(between)
    keeper._look()
    for _ in range(200):
        bench.clock.now += TICK
        keeper._look()
    keeper._renew(keeper._turns[0], bench.clock.now)
    assert ["t1"] == bench.renewer.tokens[-1]
    told = bench.renewer.rounds[-1][0]
    assert isinstance(told, WorkerInfo)
    assert "w-t1" == told.stuck.work_id
    keeper._stall.given_back.add("t1")
    keeper._renew(keeper._turns[0], bench.clock.now)
    assert [] == bench.renewer.tokens[-1]


@pytest.mark.parametrize("in_task", [False, True])
async def test_what_a_thread_sees(in_task):
    """Another thread finds the step, also by a task or a callback that the step has begun."""
    entered, release, found = threading.Event(), threading.Event(), []

    def block():
        entered.set()
        release.wait(60)

    pulse = Pulse()
    hold = Hold(lease("t1"), 0.0, TTL)

    def look():
        entered.wait(60)
        found.append(pulse.sight())
        release.set()

    watcher = threading.Thread(target=look)
    watcher.start()

    async def step():
        block()

    async with asyncio.timeout(None) as scope:
        hold.begin_step(scope, 10)
        if in_task:
            asyncio.get_running_loop().call_soon(block)
            await asyncio.sleep(0)
        else:
            await asyncio.create_task(step())
    hold.end_step()
    watcher.join()
    assert hold is found[0].hold
    assert "release.wait(60)" in found[0].stack
    assert "asyncio" not in found[0].stack
    assert found[0].place.split(" in ")[1] == "wait"


async def test_between_two_steps(bench):
    """What hangs beside a step, say an observer, belongs to the work that is held, while it is."""
    hold = bench.hold("t1", in_step=False)
    assert hold is holds.current_hold.get()
    bench.hang(TTL + 2)
    assert "w-t1" == bench.stall.stuck.work_id
    await bench.move()
    await bench.move()
    hold.close()
    bench.hang(TTL + 2)
    assert bench.stall.stuck.work_id is None


@pytest.mark.parametrize(
    "door", [around_step, calls, engines, observers], ids=lambda door: door.__name__
)
def test_what_led_to_a_plugin_is_left_out(door):
    """Whoever's backend runs the lanes: their frames say nothing about the step that hangs."""
    way = [
        ("/site-packages/somebody_elses/lanes.py", 1, "run", "run()"),
        (door.__file__, 2, "call", "call()"),
        (str(Path(door.__file__).with_name("errors.py")), 3, "inner", "inner()"),
    ]
    engine = [
        ("/srv/engine.py", 4, "step", "library()"),
        ("/site-packages/library.py", 5, "library", "sleep()"),
    ]
    frames = traceback.StackSummary.from_list([*way, *engine])
    assert [4, 5] == [one.lineno for one in _theirs(frames)]
