"""When a worker runs one work item and nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from roost_core.backend import Alone, ClaimBatch
from roost_plugins.redis_saq.lanes.solo import Solo


@pytest.fixture
def clock():
    """Give a clock that a test advances."""
    return SimpleNamespace(at=1000.0)


def batch(*tokens, solo=False, drain=False, wake=None):
    """Make a claim's answer."""
    claims = [
        SimpleNamespace(is_solo=solo, lease=SimpleNamespace(token=one, work_id=f"w-{one}"))
        for one in tokens
    ]
    return ClaimBatch(tuple(claims), drain=drain, next_wake_ms=wake)


def test_only_who_runs_nothing_may_take_it(clock):
    """A busy worker claims for its other lanes, and never something suspected."""
    solo = Solo(10)
    assert Alone.NEVER is solo.claims(clock.at, is_busy=True)
    assert Alone.MAY is solo.claims(clock.at, is_busy=False)


def test_no_second_claim_beside_one_that_may_bring_it(clock):
    """Otherwise what comes with the second one would not be alone."""
    solo = Solo(10)
    alone = solo.claims(clock.at, is_busy=False)
    assert solo.holds_back(is_busy=True)
    solo.brought(batch("a", "b"), alone, clock.at)
    assert not solo.holds_back(is_busy=True)
    alone = solo.claims(clock.at, is_busy=False)
    solo.failed(alone)
    assert not solo.holds_back(is_busy=False)


def test_it_has_the_worker_for_itself_until_a_step_is_accepted(clock):
    """Then others go first, for as long as they have waited; without others it continues."""
    solo = Solo(10)
    solo.brought(batch("poison?", solo=True), solo.claims(clock.at, is_busy=False), clock.at)
    assert solo.holds_back(is_busy=True)
    assert not solo.step_accepted("another", clock.at)
    clock.at += 7
    assert solo.step_accepted("poison?", clock.at)
    assert not solo.step_accepted("poison?", clock.at)
    assert not solo.holds_back(is_busy=True)
    clock.at += 6
    assert Alone.NEVER is solo.claims(clock.at, is_busy=False)
    assert solo.brought(batch(), Alone.NEVER, clock.at)
    assert Alone.MAY is solo.claims(clock.at, is_busy=False)


def test_several_have_the_worker_until_a_step_of_each_is_accepted(clock):
    """The last one counts: until then a death could be due to any of them."""
    solo = Solo(10)
    solo.brought(batch("a", "b", solo=True), solo.claims(clock.at, is_busy=False), clock.at)
    assert (True, True) == (solo.runs("a"), solo.runs("b"))
    clock.at += 3
    assert not solo.step_accepted("a", clock.at)
    assert (False, True) == (solo.runs("a"), solo.runs("b"))
    assert solo.holds_back(is_busy=True)
    clock.at += 4
    assert solo.step_accepted("b", clock.at)
    assert not solo.holds_back(is_busy=True)
    clock.at += 6
    assert Alone.NEVER is solo.claims(clock.at, is_busy=False)


def test_half_of_the_time_is_the_others(clock):
    """After that the next suspected one may come."""
    solo = Solo(10)
    solo.brought(batch("a", solo=True), solo.claims(clock.at, is_busy=False), clock.at)
    clock.at += 7
    solo.step_accepted("a", clock.at)
    assert not solo.brought(batch("b"), solo.claims(clock.at, is_busy=False), clock.at)
    clock.at += 8
    assert Alone.MAY is solo.claims(clock.at, is_busy=False)


def test_draining_lets_the_work_end(clock):
    """When asked to, a worker claims nothing until it runs nothing, and then what has waited."""
    solo = Solo(10)
    solo.brought(batch("a", drain=True), solo.claims(clock.at, is_busy=True), clock.at)
    assert solo.is_draining
    assert solo.holds_back(is_busy=True)
    assert not solo.holds_back(is_busy=False)
    assert Alone.MAY is solo.claims(clock.at, is_busy=False)
    assert not solo.is_draining


def test_one_at_a_time_is_always_alone(clock):
    """Such a worker lets suspected work go first now and then while there is a backlog."""
    solo = Solo(1)
    seen = []
    for number in range(8):
        alone = solo.claims(clock.at, is_busy=False, is_backlog=number > 0)
        seen.append(alone)
        solo.brought(batch("a", wake=0), alone, clock.at)
    assert 2 == seen.count(Alone.MAY)
    solo.brought(batch(), Alone.ALWAYS, clock.at)
    assert [Alone.ALWAYS] * 5 == [solo.claims(clock.at, is_busy=False) for _ in range(5)]


def test_other_work_is_that_of_any_queue(clock):
    """It goes first until each queue has said that it has none."""
    solo = Solo(10, queues=2)
    solo.brought(batch("a", solo=True), solo.claims(clock.at, is_busy=False), clock.at)
    clock.at += 7
    solo.step_accepted("a", clock.at)
    assert not solo.brought(batch(), solo.claims(clock.at, is_busy=False), clock.at)
    assert not solo.brought(batch(), solo.claims(clock.at, is_busy=False), clock.at)
    assert not solo.brought(batch("b"), solo.claims(clock.at, 1, is_busy=False), clock.at, 1)
    assert solo.brought(batch(), solo.claims(clock.at, 1, is_busy=True), clock.at, 1)
    assert Alone.MAY is solo.claims(clock.at, 1, is_busy=False)


def test_who_lets_its_work_end_does_so_for_one_queue(clock):
    """A claim of another one does not use it up; one that gets no answer does."""
    solo = Solo(10, queues=2)
    solo.brought(batch("a", drain=True), solo.claims(clock.at, 1, is_busy=True), clock.at, 1)
    solo.failed(solo.claims(clock.at, 0, is_busy=False), 0)
    assert {1} == solo.drain_for
    solo.failed(solo.claims(clock.at, 1, is_busy=True), 1)
    assert not solo.is_draining
