"""Holds: how long a lease is trusted, and what ends a step."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.stepping import hanging, holds, leases
from tests.event_loops import leaping
from tests.unit.stepping.leases_bench import TTL, Bench, lease

pytestmark = leaping(hanging, holds, leases)


async def test_trust_ends_by_the_own_clock():
    """A hold that nobody extends is no longer trusted one TTL after the request went out."""
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
    """A commit extends a lease once a third of its time is over, counted anew each time."""
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
    """Run a step that may take this many seconds; return how many it had, and if it was ended."""
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
    """To the millisecond, whether it may take less than a lease or much more; the lease stays."""
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
    """Time that one step left over, or lacked, does not affect the next."""
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
    """Without renewals the lease ends first: that ends the step, and is the reason."""
    bench = Bench()
    hold = bench.hold()
    assert (TTL, True) == await timed(bench, hold, 100.0)
    assert "it could not be renewed in time" == hold.lost


async def test_the_step_may_end_before_the_trust():
    """Its timer changes nothing: the trust still ends when it would have."""
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


async def test_the_first_reason_stays():
    """A lease is lost once."""
    bench = Bench()
    hold = bench.hold()
    hold.mark_lost("first")
    hold.mark_lost("second")
    assert "first" == hold.lost


async def test_loss_while_the_step_is_being_ended():
    """A scope that has expired, or was left, is not affected."""
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
