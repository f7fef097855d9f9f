"""Steps whose work people want ended or paused: what becomes of them, and who hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest

from roost_core.backend import Order, OrderOutcome
from roost_core.errors import RetryLater
from roost_core.models import Actor, State, Verb
from roost_core.stepping import outcome
from tests.event_loops import real_time
from tests.unit.stepping.stepper_bench import (
    Bench,
    Flaky,
    cancel_when,
    counting,
    engine,
    leaping,
    noting_losses,
    observer,
    started,
)

pytestmark = leaping


#: What a person does to work to have it stand so.
VERBS = {State.CANCELLED: Verb.CANCEL, State.FAILED: Verb.BURY, State.PAUSED: Verb.PAUSE}


def want(bench, work_id, state):
    """Have a person want that running work stands so."""
    order = Order("r1", VERBS[state], Actor("somebody", "test"))
    answer = bench.ledger.run(lambda ledger, now: ledger.order(now, work_id, order))
    assert OrderOutcome.REQUESTED is answer.outcome


class Seen:
    """Everything that observers hear of."""

    def __init__(self):
        self.cancelled = []
        self.lost = []
        self.letters = []
        self.committed = []

    def plugin(self):
        """Return the observers."""

        async def on_dead_letter(letter):
            self.letters.append(letter)

        async def on_step_committed(snapshot):
            self.committed.append(snapshot.version)

        return observer(
            on_cancelled=noting_losses(self.cancelled),
            on_lease_lost=noting_losses(self.lost),
            on_dead_letter=on_dead_letter,
            on_step_committed=on_step_committed,
        )


ENDS = pytest.mark.parametrize("state", [State.CANCELLED, State.FAILED])


def check(seen, state, work_id, version):
    """Check that observers heard of one end, at a version, and of nothing else."""
    if state is State.FAILED:
        assert [] == seen.cancelled
        assert [(work_id, version, "buried")] == [
            (one.item.work_id, one.snapshot.version, one.error.kind) for one in seen.letters
        ]
    else:
        assert [] == seen.letters
        assert [(work_id, 1, version)] == [
            (item.work_id, lease.fence, snapshot.version)
            for lease, item, snapshot in seen.cancelled
        ]
    assert [] == seen.lost


@ENDS
async def test_a_step_in_flight_is_cancelled(state, caplog):
    """At once; its context says so, the lease is given back, and no attempt is counted."""

    async def step(snapshot, context):
        begun.append(bench.keeper.holds[0])
        try:
            await asyncio.sleep(100)
        finally:
            told.append((context.cancelled, asyncio.get_running_loop().time()))

    seen, begun, told = Seen(), [], []
    bench = Bench(engine(step), seen.plugin(), ledger=Flaky())
    work_id = await bench.enqueue()
    task = await started(bench, lambda: begun)
    want(bench, work_id, state)
    began = asyncio.get_running_loop().time()
    begun[0].mark_wanted()
    await task
    assert [(True, began)] == told
    check(seen, state, work_id, 1)
    work = await bench.ledger.read(work_id)
    assert (state, 1, 0) == (work.state, work.version, work.attempts)
    assert "interrupt" == bench.ledger.calls[-1]
    assert not any("attempt" in one.getMessage() for one in caplog.records)


@pytest.mark.parametrize("answer", ["snapshot", "error", "retry"])
async def test_a_step_that_makes_light_of_it(answer):
    """Whatever it returns or raises after that is dropped."""

    async def step(snapshot):
        begun.append(bench.keeper.holds[0])
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            if answer == "error":
                raise ValueError("cancelled?") from None
            if answer == "retry":
                raise RetryLater(5) from None
        return snapshot.finish()

    seen, begun = Seen(), []
    bench = Bench(engine(step), seen.plugin(), ledger=Flaky())
    work_id = await bench.enqueue()
    task = await started(bench, lambda: begun)
    want(bench, work_id, State.CANCELLED)
    begun[0].mark_wanted()
    await task
    check(seen, State.CANCELLED, work_id, 1)
    assert [1] == seen.committed


@ENDS
@pytest.mark.parametrize("ending", ["commit", "fail", "interrupt", "drain"])
async def test_what_ends_the_lease_is_refused(state, ending, caplog):
    """A step that has ended before it was told: its result is dropped, and nobody blamed."""

    async def step(snapshot):
        want(bench, work_id, state)
        if ending == "fail":
            raise ValueError("no")
        if ending == "interrupt":
            raise RetryLater(5)
        if ending == "drain":
            bench.stopping = True
            return None
        return snapshot.evolve()

    seen = Seen()
    bench = Bench(engine(step), seen.plugin(), ledger=Flaky())
    work_id = await bench.enqueue()
    await bench.once()
    check(seen, state, work_id, 1)
    assert [1] == seen.committed
    work = await bench.ledger.read(work_id)
    assert (state, 1, 0) == (work.state, work.version, work.attempts)
    (line,) = [one.getMessage() for one in caplog.records if one.name == "roost.stepper"]
    word = "buried" if state is State.FAILED else "cancelled"
    assert f"{work_id}: {word} by a person; the step after version 1 is dropped" == line


async def test_wanted_between_two_steps():
    """No further step begins."""

    async def on_step_committed(snapshot):
        if snapshot.version == 2:
            want(bench, work_id, State.CANCELLED)
            bench.keeper.holds[0].mark_wanted()

    seen = Seen()
    bench = Bench(
        engine(counting(5)),
        seen.plugin(),
        observer(on_step_committed=on_step_committed),
        ledger=Flaky(),
    )
    work_id = await bench.enqueue()
    await bench.once()
    check(seen, State.CANCELLED, work_id, 2)
    assert [1, 2] == seen.committed


async def test_wanted_and_lost():
    """A lease that is lost as well is lost: observers hear of that, and nobody is blamed."""

    async def step(snapshot):
        bench.ledger.age_lease(work_id)
        await bench.claim()
        hold = bench.keeper.holds[0]
        hold.mark_wanted()
        hold.mark_lost("somebody else owns the work now")
        await asyncio.sleep(100)

    seen = Seen()
    bench = Bench(engine(step), seen.plugin(), ledger=Flaky())
    work_id = await bench.enqueue()
    await bench.once()
    assert ([work_id], []) == ([item.work_id for _, item, _ in seen.lost], seen.cancelled)
    assert 0 == (await bench.ledger.read(work_id)).attempts


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_lane_that_is_cancelled_with_its_work(is_told):
    """An abort together with a cancel: the work is given back, which cancels it."""

    async def step(snapshot):
        begun.append(bench.keeper.holds[0])
        want(bench, work_id, State.CANCELLED)
        await asyncio.sleep(100)

    def has_begun():
        if begun and is_told:
            begun[0].mark_wanted()
        return bool(begun)

    seen, begun = Seen(), []
    bench = Bench(engine(step), seen.plugin(), ledger=Flaky())
    work_id = await bench.enqueue()
    await cancel_when(bench, has_begun)
    check(seen, State.CANCELLED, work_id, 1)


async def test_a_worker_that_stops_meanwhile():
    """A step that heeds a drain after its work was cancelled: that it is cancelled counts."""

    async def step(snapshot):
        begun.append(bench.keeper.holds[0])
        bench.stopping = True
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(100)

    seen, begun = Seen(), []
    bench = Bench(engine(step), seen.plugin(), ledger=Flaky())
    work_id = await bench.enqueue()
    task = await started(bench, lambda: begun)
    want(bench, work_id, State.CANCELLED)
    begun[0].mark_wanted()
    await task
    check(seen, State.CANCELLED, work_id, 1)


async def test_the_reply_is_lost():
    """Giving the lease back is repeated until it is answered."""

    async def step(snapshot):
        begun.append(bench.keeper.holds[0])
        await asyncio.sleep(100)

    seen, begun = Seen(), []
    bench = Bench(engine(step), seen.plugin(), ledger=Flaky())
    await bench.enqueue()
    task = await started(bench, lambda: begun)
    bench.ledger.lost["interrupt"] = 2
    begun[0].mark_wanted()
    await task
    assert ["interrupt"] * 3 == bench.ledger.calls[-3:]
    # A backend that has not kept the wish has the work back, and that is all.
    assert ([], [], []) == (seen.cancelled, seen.lost, seen.letters)


async def test_a_step_that_ends_after_its_lease_was_given_up():
    """What gave it up for the deaf step has had the answer: it is the step's own, too."""

    async def step(snapshot):
        begun.append(bench.keeper.holds[0])
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(100)
        lease = begun[0].lease
        await bench.ledger.interrupt(lease, outcome.ENDED_ID, outcome.ENDED_BY_PEOPLE, None)
        begun[0].mark_lost("its step does not end")
        return snapshot.finish()

    seen, begun = Seen(), []
    bench = Bench(engine(step), seen.plugin(), ledger=Flaky())
    work_id = await bench.enqueue()
    task = await started(bench, lambda: begun)
    want(bench, work_id, State.CANCELLED)
    begun[0].mark_wanted()
    await task
    check(seen, State.CANCELLED, work_id, 1)


async def test_a_wish_after_the_lease_has_ended_is_none():
    """What a renewal under way answers of a lease that was given back concerns nobody."""
    bench = Bench(engine(counting(1)), ledger=Flaky())
    work_id = await bench.enqueue()
    await bench.once()
    bench.keeper.holds[0].mark_wanted()
    assert State.DONE is await bench.state(work_id)


async def test_a_pause_ends_the_slice():
    """The step is accepted, the observers hear of it, and nothing else is said."""
    caught = Seen()

    async def step(snapshot):
        want(bench, work_id, State.PAUSED)
        return snapshot.evolve()

    bench = Bench(engine(step), caught.plugin(), ledger=Flaky())
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.PAUSED, 2) == (work.state, work.version)
    assert [1, 2] == caught.committed
    assert ([], [], []) == (caught.cancelled, caught.lost, caught.letters)


async def test_a_failed_attempt_of_paused_work(caplog):
    """It counts, and the log does not promise another that nobody will begin."""

    async def step(snapshot):
        want(bench, work_id, State.PAUSED)
        raise ValueError("no")

    bench = Bench(engine(step), ledger=Flaky())
    work_id = await bench.enqueue()
    await bench.once()
    (line,) = [one.getMessage() for one in caplog.records if "attempt 1" in one.getMessage()]
    assert "attempt 1 of 5 failed: ValueError: no (test_stepper_wanted.py:" in line
    assert line.endswith("), paused by a person")


@real_time
async def test_a_plain_def_is_left_behind():
    """It is told when it looks, and nobody waits for it."""
    began, goes_on, told = threading.Event(), threading.Event(), threading.Event()

    def step(snapshot, context):
        began.set()
        goes_on.wait(60)
        while not context.cancelled:
            time.sleep(0)
        told.set()
        return snapshot.finish()

    seen = Seen()
    bench = Bench(engine(step), seen.plugin(), ledger=Flaky())
    work_id = await bench.enqueue()
    running = asyncio.create_task(bench.once())
    assert await asyncio.to_thread(began.wait, 60)
    want(bench, work_id, State.CANCELLED)
    bench.keeper.holds[0].mark_wanted()
    await running
    assert State.CANCELLED is await bench.state(work_id)
    check(seen, State.CANCELLED, work_id, 1)
    assert not told.is_set()
    goes_on.set()
    assert await asyncio.to_thread(told.wait, 60)
