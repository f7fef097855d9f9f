"""Steps and their leases: what ends a step, and how far a lease is trusted."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest

from roost_core.backend import GoOn
from roost_core.errors import RetryLater
from roost_core.models import State
from roost_core.testing import MemoryLedger
from tests.event_loops import real_time
from tests.unit.stepping.stepper_bench import (
    TTL,
    Bench,
    Flaky,
    LoopClock,
    cancel_when,
    counting,
    engine,
    error_of,
    leaping,
    noting_losses,
    observer,
)

pytestmark = leaping


async def test_step_timeout():
    """A step that takes too long is cancelled and counted; the error says what it exceeded."""
    ended = []

    async def step(snapshot, context):
        try:
            await asyncio.sleep(100)
        finally:
            ended.append((context.stopping, context.cancelled))

    bench = Bench(engine(step))
    work_id = await bench.enqueue(step_timeout_seconds=1.5)
    await bench.once()
    error = await error_of(bench, work_id)
    assert ("timeout", "the step took longer than 1.5 s") == (error.kind, error.message)
    assert [(False, True)] == ended


@pytest.mark.parametrize("answer", ["snapshot", "error", "retry"])
async def test_step_that_makes_light_of_its_timeout(answer):
    """Swallowing the cancellation, or raising something else, does not hide the timeout."""

    async def step(snapshot):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            if answer == "error":
                raise ValueError("cancelled?") from None
        return snapshot.finish()

    bench = Bench(engine(step))
    work_id = await bench.enqueue(step_timeout_seconds=1)
    await bench.once()
    assert "timeout" == (await error_of(bench, work_id)).kind


async def test_lease_lost_during_the_step():
    """The step in flight ends, observers hear of it, and nothing is written."""
    lost = []

    async def step(snapshot):
        bench.ledger.age_lease(work_id)
        taken.append(await bench.claim())
        bench.keeper.holds[0].mark_lost("somebody else owns the work now")
        await asyncio.sleep(100)

    taken = []
    bench = Bench(
        engine(step),
        observer(on_lease_lost=noting_losses(lost)),
    )
    work_id = await bench.enqueue()
    await bench.once()
    assert [(work_id, 1, 1)] == [
        (item.work_id, lease.fence, snapshot.version) for lease, item, snapshot in lost
    ]
    work = await bench.ledger.read(work_id)
    assert (State.RUNNING, 2, 0, 1) == (work.state, work.fence, work.attempts, work.version)


@pytest.mark.parametrize("ending", ["fail", "interrupt", "give back"])
@pytest.mark.parametrize("is_away", [True, False])
async def test_lease_lost_while_the_end_is_delivered(ending, is_away):
    """Observers are told of a loss found with a failure, a RetryLater or an early end, too."""
    lost = []

    async def step(snapshot):
        bench.ledger.age_lease(work_id)
        await bench.claim()
        if is_away:
            bench.ledger.away_until = asyncio.get_running_loop().time() + 60
        if ending == "give back":
            bench.stopping = True
            return
        raise ValueError("no") if ending == "fail" else RetryLater(5)

    bench = Bench(engine(step), observer(on_lease_lost=noting_losses(lost)), ledger=Flaky())
    work_id = await bench.enqueue()
    await bench.once()
    assert [(work_id, 1, 1)] == [
        (item.work_id, lease.fence, snapshot.version) for lease, item, snapshot in lost
    ]


async def test_lease_lost_while_a_cancelled_lane_gives_back():
    """There as well."""
    lost = []

    async def step(snapshot):
        bench.ledger.age_lease(work_id)
        await bench.claim()
        begun.append(1)
        await asyncio.sleep(100)

    begun = []
    bench = Bench(engine(step), observer(on_lease_lost=noting_losses(lost)))
    work_id = await bench.enqueue()
    await cancel_when(bench, lambda: begun)
    assert [work_id] == [item.work_id for _, item, _ in lost]


async def test_lease_lost_between_steps():
    """No step begins on a lease that is not trusted any more."""
    begun = []

    async def step(snapshot):
        begun.append(snapshot.version)
        return await counting(5)(snapshot)

    async def on_step_committed(snapshot):
        if snapshot.version == 2:
            bench.keeper.holds[0].mark_lost("it could not be renewed in time")

    lost = []
    bench = Bench(
        engine(step),
        observer(on_step_committed=on_step_committed, on_lease_lost=noting_losses(lost)),
    )
    work_id = await bench.enqueue()
    await bench.once()
    assert [1] == begun
    assert [2] == [snapshot.version for _, _, snapshot in lost]
    assert 2 == (await bench.ledger.read(work_id)).version


async def test_a_swallowed_loss_commits_nothing():
    """If an engine swallows the cancellation of a lost lease, its snapshot goes nowhere."""

    async def step(snapshot):
        bench.keeper.holds[0].mark_lost("somebody else owns the work now")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(100)
        return snapshot.finish()

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (1, 0) == (work.version, work.attempts)


async def test_trust_runs_out_without_renewal():
    """Nobody renews: the step ends when the lease does, by this process's own clock."""

    async def step(snapshot):
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(asyncio.get_running_loop().time())

    ended = []
    bench = Bench(engine(step))
    await bench.enqueue()
    await bench.once()
    assert [TTL] == [round(at, 3) for at in ended]


@real_time
async def test_plain_def_sees_its_timeout():
    """A plain def that has timed out keeps running in its thread until it asks: then it is told."""
    began, told = threading.Event(), threading.Event()

    def step(snapshot, context):
        context.heartbeat(0.5)
        began.set()
        while not context.cancelled:
            time.sleep(0)
        context.heartbeat(1.0)
        told.set()
        return snapshot.finish()

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    running = asyncio.create_task(bench.once())
    assert await asyncio.to_thread(began.wait, 60)
    # Its time is over by now: a short one might be over before the thread has begun.
    hold = bench.keeper.holds[0]
    hold.begin_step(hold._scope, 0.0)
    await running
    assert "timeout" == (await error_of(bench, work_id)).kind
    assert told.wait(60)
    assert [0.5] == [one.progress for one in bench.keeper.beats]


async def test_what_a_step_says_after_its_time_is_dropped():
    """From the moment when it can know that it was ended, even while it still cleans up."""

    async def step(snapshot, context):
        context.heartbeat(0.5)
        try:
            await asyncio.sleep(100)
        finally:
            assert context.cancelled
            context.heartbeat(1.0)

    bench = Bench(engine(step))
    work_id = await bench.enqueue(step_timeout_seconds=1.0)
    await bench.once()
    assert "timeout" == (await error_of(bench, work_id)).kind
    assert [0.5] == [one.progress for one in bench.keeper.beats]


class Noting(MemoryLedger):
    """A backend that records by how much each commit extends the lease."""

    def __init__(self):
        super().__init__(LoopClock())
        self.extensions = []

    async def commit(self, lease, commit):
        """Record it, and commit."""
        goes_on = isinstance(commit.next, GoOn)
        self.extensions.append(commit.next.lease_ttl_ms if goes_on else 0)
        return await super().commit(lease, commit)


async def test_fresh_leases_are_not_extended():
    """Only once a third of its time is over; then a whole one begins, on both sides."""
    seconds = iter([0, TTL / 4, 0, TTL / 4, 0, 0, TTL / 2, 0])

    async def step(snapshot):
        await asyncio.sleep(next(seconds))
        return await counting(8)(snapshot)

    async def noting(snapshot):
        work = await bench.ledger.read(snapshot.work_id)
        if work.expires_ms is not None:
            left_there = (work.expires_ms - await bench.ledger.now_ms()) / 1000
            left_here = bench.keeper.holds[0].trusted_until - asyncio.get_running_loop().time()
            assert left_there == pytest.approx(left_here, abs=0.002)
            left.append(round(left_there, 2))

    left = []
    bench = Bench(
        engine(step),
        observer(on_step_committed=noting),
        ledger=Noting(),
        slice_seconds=1000,
    )
    await bench.enqueue()
    await bench.once()
    ttl_ms = round(TTL * 1000)
    # The first is init_snapshot's.
    assert [0, 0, 0, 0, ttl_ms, 0, 0, ttl_ms, 0] == bench.ledger.extensions
    told = [TTL, TTL, TTL * 3 / 4, TTL * 3 / 4, TTL, TTL, TTL, TTL]
    assert told == left


async def test_a_renewed_lease_is_not_extended():
    """The keeper's renewal is as good as a commit's own extension."""

    async def step(snapshot):
        await asyncio.sleep(TTL / 2)
        bench.keeper.holds[0].extend(asyncio.get_running_loop().time())
        return await counting(2)(snapshot)

    bench = Bench(engine(step), ledger=Noting(), slice_seconds=1000)
    await bench.enqueue()
    await bench.once()
    assert [0, 0, 0] == bench.ledger.extensions


async def test_a_commit_that_does_not_extend_is_no_reason_for_trust():
    """The lease ends here when it ends there, however many steps are accepted meanwhile."""

    async def step(snapshot):
        await asyncio.sleep(TTL / 10)
        return await counting(3)(snapshot)

    bench = Bench(engine(step), ledger=Noting())
    await bench.enqueue()
    claim = await bench.claim()
    began = asyncio.get_running_loop().time()
    await bench.stepper.run(claim)
    assert [0] * 4 == bench.ledger.extensions
    assert claim.asked_at + TTL == pytest.approx(bench.keeper.holds[0].trusted_until)
    assert began + TTL == pytest.approx(bench.keeper.holds[0].trusted_until)


@pytest.mark.parametrize("seconds", [1.0, 4 * TTL])
async def test_steps_in_a_row_have_each_their_own_time(seconds):
    """Under one lease: those in time are accepted, the one that is late is a timeout."""
    takes = [0.9, 0.5, 0.9, 1.1]

    async def step(snapshot):
        await asyncio.sleep(takes[snapshot.version - 1] * seconds)
        return snapshot.evolve()

    bench = Bench(engine(step), slice_seconds=10_000)
    work_id = await bench.enqueue(step_timeout_seconds=seconds)
    claim = await bench.claim()
    running = asyncio.create_task(bench.stepper.run(claim))
    while not running.done():
        await asyncio.sleep(TTL / 5)
        for hold in bench.keeper.kept:
            hold.extend(asyncio.get_running_loop().time())
    await running
    work = await bench.ledger.read(work_id)
    assert (State.RETRY_WAIT, 4, 1) == (work.state, work.version, work.attempts)
    assert "timeout" == (await error_of(bench, work_id)).kind
