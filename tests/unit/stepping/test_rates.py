"""What a worker counts of its steps, and that it is sent with renewals."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.backend import StepTally, Tally
from roost_core.errors import BackendUnavailable
from roost_core.models import Snapshot
from roost_core.stepping.leases import LeaseKeeper
from roost_core.stepping.rates import Rates
from roost_core.threads import run_in_thread
from tests.unit.stepping.leases_bench import INFO, FakeRenewer, lease
from tests.unit.stepping.stepper_bench import Bench, engine, leaping

pytestmark = leaping


class Counting(FakeRenewer):
    """A renewer that takes what was counted."""

    takes_tally = True

    def __init__(self):
        super().__init__()
        self.tallies = []

    def renew(self, info, beats, lease_ttl_ms, tally=None):
        """Record it."""
        self.tallies.append(tally)
        return super().renew(info, beats, lease_ttl_ms)


def test_steps_are_summed_by_label():
    """Count, sum and longest; what was taken is not counted again."""
    rates = Rates()
    rates.lease("demo")
    rates.lease("demo")
    for label, seconds in (("", 0.5), ("read", 0.25), ("read", 0.75)):
        rates.step("demo", label, seconds)
    steps = (StepTally("demo", "", 1, 500, 500), StepTally("demo", "read", 2, 1000, 750))
    assert Tally((("demo", 2),), steps) == rates.take()
    assert rates.take() is None


def test_labels_are_bounded():
    """Engines that put a number into each label do not fill the memory."""
    rates = Rates()
    for number in range(1000):
        rates.step("demo", f"page {number}", 0.001)
    tally = rates.take()
    assert 101 == len(tally.steps)
    assert StepTally("demo", "*", 900, 900, 1) == tally.steps[-1]


async def test_a_stepper_counts_what_is_accepted():
    """Each step under the label that it started from; a failed attempt is a lease, and no step."""

    async def init_snapshot(item):
        return Snapshot.start(item)

    async def step(snapshot):
        if snapshot.step == "last":
            raise RuntimeError("no")
        return snapshot.evolve(step="last")

    bench = Bench(engine(step, init_snapshot))
    await bench.enqueue()
    await bench.once()
    tally = bench.stepper.rates.take()
    assert (("demo", 1),) == tally.leases
    assert [("", 1), ("init", 1)] == [(one.step, one.count) for one in tally.steps]
    assert all(0 <= one.total_ms < 10_000 for one in tally.steps)


async def test_how_long_a_step_took():
    """From its beginning until the engine has returned, whatever else the loop did."""

    async def step(snapshot):
        await asyncio.sleep(3)
        return snapshot.finish()

    bench = Bench(engine(step))
    await bench.enqueue()
    await bench.once()
    tally = bench.stepper.rates.take()
    assert 3000 == pytest.approx(tally.steps[-1].longest_ms, abs=500)


async def test_counts_go_with_the_next_renewal():
    """Each ledger's with its own, once; without any, the call is what it always was."""
    renewers = [Counting(), Counting()]
    keeper = LeaseKeeper(renewers, INFO)
    keeper.rates(1).step("demo", "", 0.5)
    for _ in range(2):
        for turn in keeper._turns:
            keeper._renew(turn, 0.0)
    assert [None, None] == renewers[0].tallies
    assert [Tally((), (StepTally("demo", "", 1, 500, 500),)), None] == renewers[1].tallies


async def test_counts_are_sent_once():
    """A renewal without an answer may have counted: its counts are not sent again."""
    renewer = Counting()
    renewer.errors = [BackendUnavailable("no answer")]
    keeper = LeaseKeeper([renewer], INFO)
    keeper.rates(0).lease("demo")
    with pytest.raises(BackendUnavailable):
        keeper._renew(keeper._turns[0], 0.0)
    keeper._renew(keeper._turns[0], 0.0)
    assert [Tally((("demo", 1),)), None] == renewer.tallies


async def test_other_backends_are_not_given_any():
    """One that knows nothing of counts is called as before, and they do not grow meanwhile."""
    renewer = FakeRenewer()
    keeper = LeaseKeeper([renewer], INFO)
    keeper.rates(0).lease("demo")
    keeper._renew(keeper._turns[0], 0.0)
    assert 1 == len(renewer.rounds)
    assert keeper.rates(0).take() is None


@pytest.mark.parametrize("is_away", [False, True])
async def test_the_last_counts_are_sent_at_the_end(is_away):
    """A burst may be over before a renewal; where the server is away, nobody waits for it."""
    renewer = Counting()
    keeper = LeaseKeeper([renewer], INFO)
    keeper.rates(0).step("demo", "", 0.5)
    keeper.hold(lease(), 0.0)
    keeper._turns[0].failures = int(is_away)
    keeper._tell_rest(keeper._turns[0])
    keeper._tell_rest(keeper._turns[0])
    expected = [] if is_away else [Tally((), (StepTally("demo", "", 1, 500, 500),))]
    assert expected == renewer.tallies
    # It keeps no lease: what was left behind is to run out.
    assert [[]] * len(expected) == renewer.tokens


async def test_the_thread_sends_the_last_counts():
    """Before its connection is closed; an error then ends nothing."""
    renewer = Counting()
    keeper = LeaseKeeper([renewer], INFO)
    keeper.start()
    await run_in_thread(renewer.asked.wait)
    keeper.rates(0).lease("demo")
    renewer.errors = [BackendUnavailable("no answer")]
    await keeper.close()
    assert [None, Tally((("demo", 1),))] == renewer.tallies
    assert renewer.closed
