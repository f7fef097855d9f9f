"""The keeper's renewals, without waiting for them."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from roost_core.errors import BackendUnavailable
from roost_core.models import Heartbeat
from roost_core.stepping import hanging, holds, leases
from roost_core.stepping.leases import LeaseKeeper
from roost_core.stepping.outcome import Ending
from tests.event_loops import leaping, real_time
from tests.unit.stepping.leases_bench import INFO, TTL, Bench, FakeRenewer, lease

pytestmark = leaping(hanging, holds, leases)


async def test_a_report_of_loss_ends_the_step():
    """The step in flight is cancelled at once, and the reason is known; others continue."""
    bench = Bench()
    hold, other = bench.hold("t1"), bench.hold("t2")
    bench.renewer.lost = ["t1"]
    began = bench.loop.time()

    async def step():
        async with asyncio.timeout(1000) as scope:
            hold.begin_step(scope, 1000)
            await bench.renew()
            await asyncio.sleep(500)

    with pytest.raises(TimeoutError):
        await step()
    assert began == bench.loop.time()
    assert "somebody else owns the work now" == hold.lost
    assert other.lost is None
    assert 15 == other.trusted_until


async def test_a_report_of_a_wish_ends_the_step():
    """The step in flight is cancelled at once; its lease is kept until it has let go."""
    bench = Bench()
    hold, other = bench.hold("t1"), bench.hold("t2")
    bench.renewer.wanted = ["t1"]
    began = bench.loop.time()

    async def step():
        async with asyncio.timeout(1000) as scope:
            hold.begin_step(scope, 1000)
            await bench.renew()
            await asyncio.sleep(500)

    with pytest.raises(TimeoutError):
        await step()
    assert began == bench.loop.time()
    assert (Ending.WANTED, None) == (hold.ending, hold.lost)
    assert None is other.ending
    await bench.renew()
    assert ["t1", "t2"] == bench.renewer.tokens[-1]


async def test_a_step_that_does_not_let_go_keeps_its_lease_no_longer_than_after_its_time():
    """One time to live after it was told to end, its lease is left to run out."""
    bench = Bench()
    hold = bench.hold()
    bench.renewer.wanted = ["t1"]
    async with asyncio.timeout(None) as scope:
        hold.begin_step(scope, 1000)
        await bench.renew()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(500)
        asyncio.current_task().uncancel()
        await asyncio.sleep(TTL - 1)
        await bench.renew()
        await asyncio.sleep(1)
        await bench.renew()
        hold.end_step()
    assert [["t1"], ["t1"], []] == bench.renewer.tokens


async def test_a_lost_lease_is_not_renewed():
    """What is lost stays lost: renewing it could not get it back."""
    bench = Bench()
    hold = bench.hold()
    hold.mark_lost("gone")
    await bench.renew()
    assert [[]] == bench.renewer.tokens


async def test_a_report_after_letting_go_is_ignored():
    """A commit that ended the lease while a renewal was under way is no loss."""
    bench = Bench()
    hold = bench.hold()
    bench.renewer.lost = ["t1"]
    bench.keeper._renew(bench.keeper._turns[0], bench.loop.time())
    bench.keeper.let_go(hold)
    await asyncio.sleep(0)
    assert hold.lost is None
    bench.keeper.let_go(hold)  # twice is once
    await asyncio.sleep(10 * TTL)
    assert hold.lost is None


async def test_one_command_for_all():
    """However many leases there are, one request renews them, with the worker's announcement."""
    bench = Bench()
    for number in range(50):
        bench.hold(f"t{number}")
    await bench.renew()
    assert [[f"t{number}" for number in range(50)]] == bench.renewer.tokens
    assert INFO == bench.renewer.rounds[0][0]


@pytest.mark.parametrize("in_step", [True, False])
async def test_a_hung_loop_is_found(in_step):
    """Far beyond its deadline nothing is renewed, in a step or between: others take the work."""
    bench = Bench()
    hold = bench.hold()
    seconds = 10.0 if in_step else holds.BETWEEN_STEPS
    if in_step:
        hold.begin_step(asyncio.timeout(None), seconds)
    # The loop does not move meanwhile: the thread's clock alone continues.
    bench.keeper._renew(bench.keeper._turns[0], seconds + TTL - 0.1)
    bench.keeper._renew(bench.keeper._turns[0], seconds + TTL + 0.1)
    assert [["t1"], []] == bench.renewer.tokens


@pytest.mark.parametrize("in_step", [True, False])
async def test_what_people_want_ended_of_a_hung_loop(in_step):
    """The lease is renewed for one more time to live, and no longer, as for a step that is deaf."""
    bench = Bench()
    hold = bench.hold()
    if in_step:
        hold.begin_step(asyncio.timeout(None), 3600.0)
    bench.renewer.wanted = ["t1"]
    now = bench.loop.time()
    for seconds in (0.0, TTL - 0.1, TTL + 0.1):
        bench.keeper._renew(bench.keeper._turns[0], now + seconds)
    assert [["t1"], ["t1"], []] == bench.renewer.tokens


async def test_heartbeats():
    """The newest is sent once, with the next renewal; one that did not arrive is sent again."""
    bench = Bench()
    hold = bench.hold()
    bench.keeper.beat(hold, Heartbeat(message="one"))
    bench.keeper.beat(hold, Heartbeat(message="two"))
    bench.renewer.errors = [BackendUnavailable("away")]
    with pytest.raises(BackendUnavailable):
        await bench.renew()
    await bench.renew()
    await bench.renew()
    assert [["two"], ["two"], [None]] == bench.renewer.messages
    bench.renewer.errors = [BackendUnavailable("away")]
    bench.keeper.beat(hold, Heartbeat(message="three"))
    with pytest.raises(BackendUnavailable):
        await bench.renew()
    bench.keeper.beat(hold, Heartbeat(message="four"))
    await bench.renew()
    assert [["four"]] == bench.renewer.messages[-1:]


class Rounds(LeaseKeeper):
    """A keeper whose waits are noted and take no time; it ends after some rounds."""

    def start_rounds(self, rounds, clock, on_wait=lambda: None):
        """Run this many rounds in this thread; return the waits asked for, in seconds."""
        self.left, self.clock, self.waits, self.on_wait = rounds, clock, [], on_wait
        self._run()
        return self.waits

    def _wait(self):
        now = self.clock()
        (turn,) = self._turns
        self.waits.append((round(turn.renew_at - now, 3), round(turn.beat_at - now, 3)))
        self.on_wait()
        self.left -= 1
        return self.left == 0


async def test_rounds_come_every_third_of_the_ttl():
    """A heartbeat comes sooner, but not at once after the last round."""
    bench = Bench()
    keeper = Rounds([bench.renewer], INFO)
    assert [(5.0, 1.0)] * 4 == keeper.start_rounds(4, bench.loop.time)
    assert bench.renewer.closed


async def test_errors_of_the_renewer(caplog):
    """Any error is survived and retried soon; a series is logged once, and so is its end."""
    bench = Bench()
    caplog.set_level(logging.INFO, "roost.leases")
    keeper = Rounds([bench.renewer], INFO)
    bench.renewer.errors = [BackendUnavailable("away")] * 5
    waits = keeper.start_rounds(7, bench.loop.time)
    assert [(1.0, 1.0)] * 5 + [(5.0, 1.0)] * 2 == waits
    bench.renewer.errors = [RuntimeError("a bug"), MemoryError(), BackendUnavailable("x")]
    assert 3 == [renew for renew, _ in keeper.start_rounds(5, bench.loop.time)].count(1.0)
    told = [one.getMessage() for one in caplog.records if "away" in one.getMessage()]
    assert ["leases cannot be renewed, trying again: away"] == told
    ends = [one for one in caplog.records if one.getMessage() == "leases are renewed again"]
    assert 2 == len(ends)


@real_time
async def test_a_worker_that_is_told_to_look_renews_at_once():
    """Not at its next turn; but however often it is told, it leaves the server time."""
    renewer = FakeRenewer()
    keeper = LeaseKeeper([renewer], INFO)
    keeper.start()
    assert await asyncio.to_thread(renewer.asked.wait, 60)
    renewer.asked.clear()
    began = time.monotonic()
    while not renewer.asked.is_set():
        keeper.renew_now(0)
        await asyncio.sleep(0)
    assert time.monotonic() - began < TTL / 3
    await keeper.close()
    assert len(renewer.rounds) <= 2 + (time.monotonic() - began) / 0.04


async def test_a_lease_that_was_on_its_way_when_its_work_was_cancelled():
    """The renewal for it was without that lease, so there is another once it is kept; only one."""
    keeper = LeaseKeeper([FakeRenewer(), FakeRenewer()], INFO)
    now = asyncio.get_running_loop().time
    asked_at = now()
    keeper.renew_now(1)
    keeper._take(keeper._turns[1])
    keeper.hold(lease("other"), asked_at, 0)
    assert set() == keeper._waits.looks
    keeper.hold(lease("t1"), asked_at, 1)
    assert {1} == keeper._waits.looks
    keeper._take(keeper._turns[1])
    assert ["t1"] == keeper._turns[1].renewer.tokens[-1]
    await asyncio.sleep(0.01)
    keeper.hold(lease("t2"), now(), 1)
    assert set() == keeper._waits.looks


async def test_a_ledger_that_fails_is_not_asked_sooner_for_being_told_to_look():
    """Its pause holds; another ledger is looked at."""
    bad, good = FakeRenewer(), FakeRenewer()
    keeper = LeaseKeeper([bad, good], INFO)
    bad.errors = [BackendUnavailable("away")]
    for turn in keeper._turns:
        keeper._take(turn)
        keeper.renew_now(turn.number)
    now = asyncio.get_running_loop().time()
    waits = [round(turn.due_at(keeper._waits) - now, 2) for turn in keeper._turns]
    assert [1.0, 0.05] == waits
    for turn in keeper._turns:
        keeper._take(turn)
    assert [5.0, 5.0] == [round(turn.due_at(keeper._waits) - now, 2) for turn in keeper._turns]


@real_time
async def test_the_threads_life():
    """It announces the worker at once, renews early for a heartbeat, and ends when closed."""
    renewer = FakeRenewer()
    keeper = LeaseKeeper([renewer], INFO)
    keeper.start()
    assert renewer.asked.wait(60)
    await keeper.close()
    assert not keeper._thread.is_alive()
    assert [[]] == renewer.tokens
    assert renewer.closed


def test_a_report_to_a_loop_that_has_ended():
    """The keeper may outlive its loop for a moment."""
    renewer = FakeRenewer()

    async def main():
        keeper = LeaseKeeper([renewer], INFO)
        keeper.hold(lease(), time.monotonic())
        return keeper

    keeper = asyncio.run(main())
    keeper._renew(keeper._turns[0], time.monotonic())
    assert [["t1"]] == renewer.tokens


async def test_each_ledger_has_its_own_renewals():
    """One command each, for its own leases; one that does not answer is tried last."""
    bad, good = FakeRenewer(), FakeRenewer()
    keeper = LeaseKeeper([bad, good], INFO)
    first, second = keeper.hold(lease("t1"), 0.0, 0), keeper.hold(lease("t2"), 0.0, 1)
    bad.errors = [BackendUnavailable("away")]
    for turn in keeper._turns:
        keeper._take(turn)
    assert ([["t1"]], [["t2"]]) == (bad.tokens, good.tokens)
    later = asyncio.get_running_loop().time() + 2 * TTL
    turns = sorted(keeper._turns, key=lambda turn: turn.urgency(later, keeper._waits))
    assert [good, bad] == [turn.renewer for turn in turns]
    # A heartbeat is sent to the ledger of its lease alone.
    keeper.beat(second, Heartbeat(message="two"))
    assert {1} == keeper._waits.beats
    for turn in turns:
        keeper._take(turn)
    assert ([["t1"]] * 2, [["t2"]] * 2) == (bad.tokens, good.tokens)
    for hold in (first, second):
        keeper.let_go(hold)
