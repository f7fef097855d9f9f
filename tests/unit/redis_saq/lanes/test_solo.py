"""When a worker runs one work item and nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from roost_core.backend import Alone, ClaimBatch
from roost_plugins.redis_saq.lanes import solo as module
from roost_plugins.redis_saq.lanes.solo import Solo


@pytest.fixture
def clock(monkeypatch):
    """Give a clock that a test moves on."""
    now = SimpleNamespace(at=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now.at))
    return now


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
    assert Alone.NEVER is solo.claims(is_busy=True)
    assert Alone.MAY is solo.claims(is_busy=False)


def test_no_second_claim_beside_one_that_may_bring_it(clock):
    """Else what comes with the second one would not be alone."""
    solo = Solo(10)
    alone = solo.claims(is_busy=False)
    assert solo.holds_back(is_busy=True)
    solo.brought(batch("a", "b"), alone)
    assert not solo.holds_back(is_busy=True)
    alone = solo.claims(is_busy=False)
    solo.brought(None, alone)
    assert not solo.holds_back(is_busy=False)


def test_it_has_the_worker_for_itself_until_a_step_is_accepted(clock):
    """Then others go first, for as long as they have waited; without others it goes on."""
    solo = Solo(10)
    solo.brought(batch("poison?", solo=True), solo.claims(is_busy=False))
    assert solo.holds_back(is_busy=True)
    assert not solo.step_accepted("another")
    clock.at += 7
    assert solo.step_accepted("poison?")
    assert not solo.step_accepted("poison?")
    assert not solo.holds_back(is_busy=True)
    clock.at += 6
    assert Alone.NEVER is solo.claims(is_busy=False)
    assert solo.brought(batch(), Alone.NEVER)
    assert Alone.MAY is solo.claims(is_busy=False)


def test_several_have_the_worker_until_a_step_of_each_is_accepted(clock):
    """The last one counts: until then a death would be all of theirs."""
    solo = Solo(10)
    solo.brought(batch("a", "b", solo=True), solo.claims(is_busy=False))
    assert (True, True) == (solo.runs("a"), solo.runs("b"))
    clock.at += 3
    assert not solo.step_accepted("a")
    assert (False, True) == (solo.runs("a"), solo.runs("b"))
    assert solo.holds_back(is_busy=True)
    clock.at += 4
    assert solo.step_accepted("b")
    assert not solo.holds_back(is_busy=True)
    clock.at += 6
    assert Alone.NEVER is solo.claims(is_busy=False)


def test_half_of_the_time_is_the_others(clock):
    """After that the next suspected one may come."""
    solo = Solo(10)
    solo.brought(batch("a", solo=True), solo.claims(is_busy=False))
    clock.at += 7
    solo.step_accepted("a")
    assert not solo.brought(batch("b"), solo.claims(is_busy=False))
    clock.at += 8
    assert Alone.MAY is solo.claims(is_busy=False)


def test_draining_lets_the_work_end(clock):
    """Asked to, a worker claims nothing until it runs nothing, and then what has waited."""
    solo = Solo(10)
    solo.brought(batch("a", drain=True), solo.claims(is_busy=True))
    assert solo.is_draining
    assert solo.holds_back(is_busy=True)
    assert not solo.holds_back(is_busy=False)
    assert Alone.MAY is solo.claims(is_busy=False)
    assert not solo.is_draining


def test_one_at_a_time_is_always_alone(clock):
    """Such a worker lets suspected work go first now and then while there is a backlog."""
    solo = Solo(1)
    seen = []
    for _ in range(8):
        alone = solo.claims(is_busy=False)
        seen.append(alone)
        solo.brought(batch("a", wake=0), alone)
    assert 2 == seen.count(Alone.MAY)
    solo.brought(batch(), Alone.ALWAYS)
    assert [Alone.ALWAYS] * 5 == [solo.claims(is_busy=False) for _ in range(5)]


def test_a_person_is_told_why_lanes_are_empty(clock, caplog):
    """The log names what runs alone, and says once that work is let end for it."""
    solo = Solo(10)
    solo.brought(batch("a"), solo.claims(is_busy=False))
    solo.brought(batch("b", drain=True), solo.claims(is_busy=True))
    solo.brought(batch("c", drain=True), solo.claims(is_busy=True))
    assert ["makes_room"] == [one.action for one in caplog.records]

    solo.brought(batch("poison?", solo=True), solo.claims(is_busy=False))
    last = caplog.records[-1]
    assert ("runs_alone", "w-poison?") == (last.action, last.work_id)
    assert "w-poison?: suspected" in last.getMessage()
