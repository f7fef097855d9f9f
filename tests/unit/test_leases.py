"""Holds and the keeper's renewals, without waiting for them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from datetime import UTC, datetime

import pytest

from roost_core import codec
from roost_core.backend import Renewer
from roost_core.errors import BackendUnavailable
from roost_core.models import Heartbeat, Lease, WorkerInfo
from roost_core.stepping import hanging, holds, leases
from roost_core.stepping.leases import LeaseKeeper
from tests.event_loops import leaping, real_time

TTL = 15.0
INFO = WorkerInfo(
    worker_id="worker-1",
    host="here",
    pid=1,
    engines=("demo",),
    concurrency=2,
    lease_ttl_seconds=TTL,
    roost_version="1",
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def lease(token="t1"):
    """Make a lease."""
    return Lease(f"w-{token}", "worker-1", token, 1, datetime(2026, 1, 1, tzinfo=UTC))


class FakeRenewer(Renewer):
    """Notes what is renewed; says that some leases are lost, or fails."""

    def __init__(self):
        self.rounds = []
        self.lost = []
        self.errors = []
        self.closed = False
        self.asked = threading.Event()

    def renew(self, info, beats, lease_ttl_ms):
        """Note, fail if told to, and answer."""
        self.rounds.append((codec.decode_model(WorkerInfo, info), list(beats), lease_ttl_ms))
        self.asked.set()
        if self.errors:
            raise self.errors.pop(0)
        return list(self.lost)

    def close(self):
        """Note it."""
        self.closed = True

    @property
    def tokens(self):
        """The tokens of each round."""
        return [[beat.token for beat in beats] for _, beats, _ in self.rounds]

    @property
    def messages(self):
        """The heartbeats' messages of each round."""
        return [
            [
                None
                if beat.heartbeat is None
                else codec.decode_model(Heartbeat, beat.heartbeat).message
                for beat in beats
            ]
            for _, beats, _ in self.rounds
        ]


class Bench:
    """A keeper that is driven by hand: its thread does not run."""

    def __init__(self):
        self.renewer = FakeRenewer()
        self.keeper = LeaseKeeper(self.renewer, INFO)
        self.loop = asyncio.get_running_loop()

    def hold(self, token="t1"):
        """Keep a lease that was asked for now."""
        return self.keeper.hold(lease(token), self.loop.time())

    async def renew(self):
        """Let the keeper renew once, and its report arrive."""
        self.keeper._renew(self.loop.time())
        await asyncio.sleep(0)


pytestmark = leaping(hanging, holds, leases)


async def test_trust_ends_by_the_own_clock():
    """A hold that nobody extends stops trusting itself one TTL after the request went out."""
    bench = Bench()
    await asyncio.sleep(100)
    hold = bench.keeper.hold(lease(), bench.loop.time() - 5)
    await asyncio.sleep(TTL - 5.01)
    assert hold.lost is None
    await asyncio.sleep(0.02)
    assert "it could not be renewed in time" == hold.lost


async def test_trust_counts_from_before_the_request():
    """A renewal extends from when it was asked, however late its answer is."""
    bench = Bench()
    hold = bench.hold()
    await asyncio.sleep(10)
    asked_at = bench.loop.time()
    await asyncio.sleep(4)
    hold.extend(asked_at)
    assert 25 == hold.trusted_until
    hold.extend(2.0)
    assert 25 == hold.trusted_until
    await asyncio.sleep(10.99)
    assert hold.lost is None
    await asyncio.sleep(0.02)
    assert hold.lost is not None


async def test_worth_extending():
    """A lease is extended on the way once a third of its time is over, counted anew each time."""
    bench = Bench()
    await asyncio.sleep(100)
    hold = bench.hold()
    now = bench.loop.time()
    assert not hold.is_worth_extending(now)
    assert not hold.is_worth_extending(now + TTL / 3 - 0.01)
    assert hold.is_worth_extending(now + TTL / 3 + 0.01)
    assert hold.is_worth_extending(now + TTL + 1)
    hold.extend(now + TTL / 2)
    assert not hold.is_worth_extending(now + TTL * 5 / 6 - 0.01)
    assert hold.is_worth_extending(now + TTL * 5 / 6 + 0.01)


async def test_renewals_are_extensions_enough():
    """As long as the keeper's renewals are answered in time, no commit needs to extend."""
    bench = Bench()
    hold = bench.hold()
    for _ in range(10):
        await asyncio.sleep(TTL / 3 - 0.01)
        assert not hold.is_worth_extending(bench.loop.time())
        await bench.renew()


async def test_renewed_for_ever():
    """As long as renewals are answered, the hold is trusted."""
    bench = Bench()
    hold = bench.hold()
    for _ in range(100):
        hold.end_step()
        await asyncio.sleep(TTL / 3)
        await bench.renew()
    assert hold.lost is None
    assert 100 == len(bench.renewer.rounds)
    assert {15_000} == {ttl_ms for _, _, ttl_ms in bench.renewer.rounds}


async def timed(bench, hold, seconds, *, takes=10_000.0):
    """Run a step that may take so many seconds; return how many it had, and if it was ended."""
    began = bench.loop.time()
    try:
        async with asyncio.timeout(None) as scope:
            hold.begin_step(scope, seconds)
            try:
                await asyncio.sleep(takes)
            finally:
                hold.end_step()
    except TimeoutError:
        return round(bench.loop.time() - began, 3), True
    return round(bench.loop.time() - began, 3), False


def keep_renewed(bench):
    """Renew every third of the time to live, until the task is cancelled."""

    async def renewing():
        while True:
            await asyncio.sleep(TTL / 3)
            await bench.renew()

    return asyncio.create_task(renewing())


@pytest.mark.parametrize("seconds", [0.001, 1.5, TTL - 0.01, TTL, TTL + 0.01, 3 * TTL + 2, 900.0])
async def test_a_step_has_its_time(seconds):
    """To the moment, whether it may take less than a lease or much more; the lease stays."""
    bench = Bench()
    hold = bench.hold()
    renewing = keep_renewed(bench)
    assert (seconds, True) == await timed(bench, hold, seconds)
    assert hold.lost is None
    assert (round(seconds * 0.9, 3), False) == await timed(
        bench, hold, seconds, takes=seconds * 0.9
    )
    renewing.cancel()


async def test_steps_of_one_hold_have_each_their_own_time():
    """What is left of one's time, or was short of it, is nothing to the next."""
    bench = Bench()
    hold = bench.hold()
    renewing = keep_renewed(bench)
    for seconds, takes, expected in [
        (2.0, 1.0, (1.0, False)),
        (2.0, 1.5, (1.5, False)),
        (100.0, 50.0, (50.0, False)),
        (1.0, 10.0, (1.0, True)),
        (40.0, 100.0, (40.0, True)),
        (0.5, 0.4, (0.4, False)),
        (3.0, 100.0, (3.0, True)),
        (20.0, 100.0, (20.0, True)),
    ]:
        assert expected == await timed(bench, hold, seconds, takes=takes)
        await asyncio.sleep(0.3)
    assert hold.lost is None
    renewing.cancel()


async def test_time_between_steps_is_no_steps_time():
    """When the time of a step that has ended is over, nothing ends."""
    bench = Bench()
    hold = bench.hold()
    assert (1.0, False) == await timed(bench, hold, 2.0, takes=1.0)
    await asyncio.sleep(5)
    assert hold.lost is None
    assert (7.0, False) == await timed(bench, hold, 7.5, takes=7.0)


async def test_trust_may_end_before_the_step():
    """Without renewals the lease is over first: that ends the step, and is the reason."""
    bench = Bench()
    hold = bench.hold()
    assert (TTL, True) == await timed(bench, hold, 100.0)
    assert "it could not be renewed in time" == hold.lost


async def test_the_step_may_end_before_the_trust():
    """Its timer is in nobody's way: the trust still ends when it would have."""
    bench = Bench()
    hold = bench.hold()
    assert (5.0, True) == await timed(bench, hold, 5.0)
    assert hold.lost is None
    await asyncio.sleep(TTL - 5.01)
    assert hold.lost is None
    await asyncio.sleep(0.02)
    assert hold.lost is not None


@pytest.mark.parametrize("seconds", [1.0, 100.0])
async def test_nothing_is_left_of_a_hold_that_is_let_go(seconds):
    """Its one timer is gone, whatever it was set for."""
    bench = Bench()
    hold = bench.hold()
    await timed(bench, hold, seconds, takes=0.5)
    bench.keeper.let_go(hold)
    assert [] == [one for one in bench.loop._scheduled if not one.cancelled()]


async def test_a_report_of_loss_ends_the_step():
    """The step in flight is cancelled at once, and the reason is known; others go on."""
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


async def test_the_first_reason_stays():
    """A lease is lost once."""
    bench = Bench()
    hold = bench.hold()
    hold.mark_lost("first")
    hold.mark_lost("second")
    assert "first" == hold.lost


async def test_loss_while_the_step_is_being_ended():
    """A scope that has expired, or was left, takes no harm."""
    bench = Bench()
    hold = bench.hold()

    async def step(seconds):
        async with asyncio.timeout(1) as scope:
            hold.begin_step(scope, 1)
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                hold.mark_lost("late")
                raise

    await step(0.5)
    with pytest.raises(TimeoutError):
        await step(10)
    assert "late" == hold.lost
    other = bench.hold("t2")
    async with asyncio.timeout(1) as scope:
        await asyncio.sleep(0)
        other.begin_step(scope, 1)
    other.mark_lost("after the scope")
    assert "after the scope" == other.lost


async def test_a_lost_lease_is_not_renewed():
    """What is lost stays lost: to renew it would take it back from nobody."""
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
    bench.keeper._renew(bench.loop.time())
    bench.keeper.let_go(hold)
    await asyncio.sleep(0)
    assert hold.lost is None
    bench.keeper.let_go(hold)  # twice is once
    await asyncio.sleep(10 * TTL)
    assert hold.lost is None


async def test_one_command_for_all():
    """However many leases there are, one request renews them, with the worker's word."""
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
    # The loop does not move meanwhile: the thread's clock alone goes on.
    bench.keeper._renew(seconds + TTL - 0.1)
    bench.keeper._renew(seconds + TTL + 0.1)
    assert [["t1"], []] == bench.renewer.tokens


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
        """Run so many rounds in this thread; return the waits asked for, in seconds."""
        self.left, self.clock, self.waits, self.on_wait = rounds, clock, [], on_wait
        self._run()
        return self.waits

    def _wait(self, renew_at, beat_at):
        now = self.clock()
        self.waits.append((round(renew_at - now, 3), round(beat_at - now, 3)))
        self.on_wait()
        self.left -= 1
        return self.left == 0


async def test_rounds_come_every_third_of_the_ttl():
    """A heartbeat comes sooner, but not at once after the last round."""
    bench = Bench()
    keeper = Rounds(bench.renewer, INFO)
    assert [(5.0, 1.0)] * 4 == keeper.start_rounds(4, bench.loop.time)
    assert bench.renewer.closed


async def test_errors_of_the_renewer(caplog):
    """Any error is survived and tried again soon; a row of them is told once, and its end too."""
    bench = Bench()
    caplog.set_level(logging.INFO, "roost.leases")
    keeper = Rounds(bench.renewer, INFO)
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
async def test_the_threads_life():
    """It announces the worker at once, renews early for a heartbeat, and ends when closed."""
    renewer = FakeRenewer()
    keeper = LeaseKeeper(renewer, INFO)
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
        keeper = LeaseKeeper(renewer, INFO)
        keeper.hold(lease(), time.monotonic())
        return keeper

    keeper = asyncio.run(main())
    keeper._renew(time.monotonic())
    assert [["t1"]] == renewer.tokens
