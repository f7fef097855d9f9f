"""Retry and drop, engines that are held, and verbs for many."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from roost_core.backend import OrderOutcome, Purged
from roost_core.client.control import VerbResult, each
from roost_core.codec.times import from_milliseconds
from roost_core.errors import (
    BackendUnavailable,
    InvalidInput,
    PluginError,
    RoostError,
    VerbUnfit,
    WorkNotFound,
)
from roost_core.models import Actor, State, Verb
from tests.unit.cli.cli_harness import Bench
from tests.unit.client.verbs_bench import life_of, run, status, unanswered, use


@pytest.fixture
def bench():
    """Give a queue in memory, with one work item of the id w1."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    return bench


# -- retry -------------------------------------------------------------------------------------


def test_retry_with_new_limits(bench):
    """They are the record's; a delay puts it to sleep first."""
    use(bench, "bury")
    found = use(bench, "retry", delay_seconds=5, max_attempts=9, max_steps=7, deadline_seconds=60)
    assert (State.SLEEPING, "retried: it is sleeping") == (found.state, str(found))
    meta = status(bench)
    now = from_milliseconds(bench.provider.clock.now_ms())
    assert (9, 7, now + timedelta(seconds=60), now + timedelta(seconds=5)) == (
        meta.max_attempts,
        meta.max_steps,
        meta.deadline_at,
        meta.due_at,
    )


def test_retry_of_work_whose_deadline_has_passed(bench):
    """It needs another one."""
    bench.enqueue(work_id="w2", deadline_seconds=10)
    use(bench, "cancel", "w2")
    bench.provider.clock.advance(20_000)
    with pytest.raises(VerbUnfit, match="w2: its deadline has passed: give a new one with"):
        use(bench, "retry", "w2")
    with pytest.raises(InvalidInput, match="has passed by the server's clock: give another"):
        use(bench, "retry", "w2", deadline_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert OrderOutcome.DONE is use(bench, "retry", "w2", deadline_seconds=5).outcome


@pytest.mark.parametrize(
    "wrong",
    [
        {"delay_seconds": -1},
        {"max_attempts": 0},
        {"max_steps": -1},
        {"deadline_seconds": 0},
        {"deadline_seconds": 5, "deadline_at": datetime(2040, 1, 1, tzinfo=UTC)},
        {"deadline_at": datetime(2040, 1, 1)},  # noqa: DTZ001 - that it has no zone is the point
    ],
)
def test_limits_are_checked(bench, wrong):
    """Before anything is sent."""
    use(bench, "bury")
    with pytest.raises(InvalidInput):
        use(bench, "retry", **wrong)
    assert State.FAILED is status(bench).state


# -- drop --------------------------------------------------------------------------------------


def test_a_drop_takes_artifacts_and_workspaces_with_it(bench, monkeypatch):
    """As a worker's upkeep does, which does the same later: they may be on its machine only."""
    use(bench, "cancel")
    gone, life = [], life_of(bench)
    monkeypatch.setattr(
        bench.provider.store, "forget", lambda *what: gone.append(("artifacts", *what))
    )
    assert None is use(bench, "drop").left
    assert [("artifacts", "w1", life)] == gone
    assert [Purged("w1", life)] == bench.ledger.run(lambda state, _now: state.to_forget(10))
    with pytest.raises(WorkNotFound):
        use(bench, "drop")


def test_a_drop_that_leaves_something(bench, monkeypatch):
    """The work is gone; the result says what is left, and a worker removes it later."""
    use(bench, "cancel")
    life = life_of(bench)

    def refuse(*_):
        raise OSError("the disk is away")

    monkeypatch.setattr(bench.provider.store, "forget", refuse)
    found = use(bench, "drop")
    assert (OrderOutcome.DONE, "the disk is away") == (found.outcome, found.left)
    assert [Purged("w1", life)] == bench.ledger.run(lambda state, _now: state.to_forget(10))


def test_a_drop_without_a_store_drops_nothing(bench, monkeypatch):
    """What cannot be removed stays whole."""
    use(bench, "cancel")

    def none(_settings):
        raise PluginError("no plugin offers an artifact store")

    monkeypatch.setattr(bench.plugins, "make_artifact_store", none)
    with pytest.raises(PluginError):
        use(bench, "drop")
    assert State.CANCELLED is status(bench).state


def test_a_drop_whose_reply_is_lost(bench, monkeypatch):
    """What it had elsewhere is removed."""
    use(bench, "cancel")
    asked = unanswered(monkeypatch, bench.ledger, "order", 1, True)
    life, store = life_of(bench), bench.provider.store
    artifact = store.put(b"x", work_id="w1", life=life, ext="txt", name=None)
    found = use(bench, "drop")
    assert ("w1", None) == (found.work_id, found.left)
    assert [life] * 2 == [order.life for _, order in asked]
    assert not store.exists(artifact.artifact_id)


def test_a_drop_whose_reply_is_lost_until_a_worker_has_finished_it(bench, monkeypatch):
    """The upkeep of a worker was faster than the repeat: it is dropped, and not unknown."""
    use(bench, "cancel")
    order = bench.ledger.order

    async def answer(work_id, asked):
        monkeypatch.setattr(bench.ledger, "order", order)
        await bench.ledger.purge(1000, None, 0, [(await order(work_id, asked)).purged])
        raise BackendUnavailable("no answer")

    monkeypatch.setattr(bench.ledger, "order", answer)
    found = use(bench, "drop")
    assert (OrderOutcome.ALREADY, "already dropped") == (found.outcome, str(found))


# -- engines -----------------------------------------------------------------------------------


def test_engines_can_be_held(bench):
    """With who, why and since when; twice is once."""

    async def work(roost):
        engine = roost.engine("echo")
        new = [await engine.hold(reason="tests", actor="alice"), await engine.hold()]
        held = await roost.held_engines()
        free = [await engine.release(), await engine.release()]
        return new, held, free, await roost.held_engines()

    new, (held,), free, left = run(bench, work)
    assert ([True, False], [True, False], []) == (new, free, left)
    assert ("echo", Actor("alice", "python", "tests")) == (held.engine, held.actor)
    assert from_milliseconds(bench.provider.clock.now_ms()) == held.since


def test_no_work_of_a_held_engine_is_taken(bench):
    """Neither present nor future."""
    run(bench, lambda roost: roost.engine("echo").hold())
    bench.enqueue(work_id="w2")
    with pytest.raises(IndexError):
        bench.claim()
    run(bench, lambda roost: roost.engine("echo").release())
    assert "w1" == bench.claim().lease.work_id


def test_a_diagnosis_names_held_engines(bench):
    """With who, why, since when, and what lets their work continue."""

    async def work(roost):
        await roost.engine("echo").hold(reason="tests", actor="alice")
        return await roost.diagnose()

    (found,) = [one for one in run(bench, work) if one.subject == "engine echo"]
    assert "warning" == found.level
    assert "held by alice since 2023-11-14T22:13:20Z: tests; `roost resume --engine echo`" in (
        found.message
    )


@pytest.mark.parametrize("wrong", ["", "a b", "x" * 65, None])
def test_what_is_no_engine_fails_at_once(bench, wrong):
    """A typo is told where it is made."""
    with pytest.raises(InvalidInput, match="is not a valid engine"):
        bench.roost().engine(wrong)


# -- many --------------------------------------------------------------------------------------


async def test_many_are_done_some_at_a_time():
    """In order, whichever ends first; an error of one does not stop the rest."""
    under_way, most = set(), []

    async def act(number):
        under_way.add(number)
        most.append(len(under_way))
        await asyncio.sleep(0 if number % 2 else 0.001)
        under_way.discard(number)
        if number == 5:
            raise VerbUnfit("five")
        return VerbResult(f"w{number}", Verb.CANCEL, OrderOutcome.DONE)

    found = [one async for one in each(range(20), act, at_once=4)]
    assert list(range(20)) == [number for number, _ in found]
    assert ["five"] == [str(one) for _, one in found if isinstance(one, RoostError)]
    assert 4 == max(most)


async def test_who_listens_no_more_stops_the_rest():
    """What is under way is cancelled, and no more is begun."""
    begun, ended = [], []

    async def act(number):
        begun.append(number)
        try:
            await asyncio.sleep(0 if number == 0 else 100)
        except asyncio.CancelledError:
            ended.append(number)
            raise
        return VerbResult(f"w{number}", Verb.CANCEL, OrderOutcome.DONE)

    several = each(range(20), act, at_once=4)
    assert 0 == (await anext(several))[0]
    await several.aclose()
    assert ([0, 1, 2, 3], [1, 2, 3]) == (begun, ended)
