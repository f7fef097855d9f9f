"""A queue at one glance: a survey in, and what people want to know out."""

from __future__ import annotations

import attrs
import pytest

from roost_core.backend import (
    EngineLine,
    Halt,
    Pace,
    ResourceHold,
    Running,
    StepTally,
    StoredWork,
    Survey,
    Timed,
)
from roost_core.codec.records import encode_model
from roost_core.codec.times import from_milliseconds
from roost_core.models import Event, Heartbeat, State, Stuck, WorkerInfo
from roost_core.shown.overview import overview_of, suspicious
from roost_core.shown.waiting import CAUSES
from tests.docs.pages import page
from tests.unit.shown.test_why import ALICE, NOW, NOW_MS, START, at, worker


def running(work_id="w1", *, usual=None, **fields):
    """Make work that runs on host-1 since twenty seconds ago."""
    known = {"worker_id": "host-1", "expires_ms": at(10), "leased_ms": at(-20), "version": 3}
    return Running(StoredWork(work_id, "crawl", State.RUNNING, **{**known, **fields}), usual)


def told(**fields):
    """Return an overview of a survey with these parts, and one worker that is fine."""
    fields.setdefault("workers", (worker(),))
    fields.setdefault("worker_count", len(fields["workers"]))
    counts = {**dict.fromkeys(State, 0), **fields.pop("counts", {})}
    return overview_of(Survey(NOW_MS, counts, **fields), NOW)


def only_group(**fields):
    """Return the one group of waiting work."""
    (group,) = told(**fields).waiting
    return group


def test_a_line_that_moves():
    """About when it is empty, by the leases of the last minutes."""
    line = EngineLine("crawl", ready=30, offering=1, pace=Pace(60_000, 5, 10))
    group = only_group(lines=(line,))
    assert ("line", 30, 180.0) == (group.cause, group.count, group.seconds)
    expected = "30 in line of engine crawl; at the present rate it is empty in about 3 m."
    assert expected == group.sentence
    assert ("state:queued engine:crawl", (START,)) == (group.query, group.commands)


def test_causes_that_people_have_to_end_come_first():
    """Whatever the size of the others."""
    lines = (
        EngineLine("crawl", ready=30, suspected=2, offering=1),
        EngineLine("held", ready=1, offering=1),
        EngineLine("gone", ready=1, blocked=1),
    )
    found = told(
        lines=lines,
        halts=(Halt("held", ALICE, at(-60)),),
        later={
            State.SLEEPING: Timed(4, 1, at(-30), at(60)),
            State.RETRY_WAIT: Timed(2, 0, None, at(5)),
        },
        newer={7: 2},
        counts={State.PAUSED: 3, State.WAITING: 1},
    )
    causes = [one.cause for one in found.waiting]
    assert [
        "no_worker",
        "held",
        "newer",
        "overdue",
        "unknown",
        "suspected",
        "line",
        "attempt",
        "due",
        "paused",
    ] == causes
    assert causes[:5] == [one.cause for one in found.needs_hand]
    counts = {one.cause: one.count for one in found.waiting}
    assert (2, 1, 3) == (counts["no_worker"], counts["overdue"], counts["due"])


def test_every_worker_hangs():
    """Then the line does not move, and a kill helps."""
    hung = worker(stuck=Stuck(from_milliseconds(at(-90)), "a.py:3", "w1"))
    found = told(lines=(EngineLine("crawl", ready=3, offering=1),), workers=(hung,))
    (group,) = found.waiting
    assert ("hung", "kill 77    # on box") == (group.cause, group.commands[0])
    (thing,) = found.odd
    assert ("host-1", ("has hung for 90 s, at a.py:3",)) == (thing.worker_id, thing.texts)
    assert found.workers[0].is_hung


def test_who_has_a_resource():
    """The line of each, who holds it until when, or for whom it is kept."""
    held = ResourceHold("r", "w9", "crawl", "host-1", at(20), 3, "w2")
    kept = ResourceHold("s", waiting=1, next_id="w4")
    free = ResourceHold("t", "w9", "crawl", "host-1", at(20))
    found = told(holds=(held, kept, free), hold_count=5)
    first, second = found.waiting
    expected = (
        "They wait for the resource r, held by w9, whose lease ends in 20 s unless it is renewed."
    )
    assert (3, "r", expected) == (first.count, first.resource, first.sentence)
    assert "It waits for the resource s, which is reserved for w4, earlier in its line." == (
        second.sentence
    )
    assert (3, 2) == (len(found.resources), found.more_resources)
    assert from_milliseconds(at(20)) == found.resources[0].frees_at


def test_overdue_work_without_a_worker():
    """It says so; what is due this very moment is not overdue."""
    later = {State.SLEEPING: Timed(2, 2, at(-60), None)}
    group = only_group(later=later, workers=())
    assert ("overdue", 2, ("roost worker",)) == (group.cause, group.count, group.commands)
    later = {State.SLEEPING: Timed(2, 1, at(-0.5), at(9))}
    group = only_group(later=later)
    assert ("due", 2, "2 sleep; the next is due in 9 s.") == (
        group.cause,
        group.count,
        group.sentence,
    )


def test_what_is_odd_about_running_work():
    """By the functions of `roost why`: a step beyond its time, a heartbeat that stopped."""
    beat = encode_model(Heartbeat(0.5, "at it", from_milliseconds(at(-300))))
    usual = StepTally("crawl", "", 5, 5_000, 2_000)
    slow = running("slow", leased_ms=at(-400), heartbeat=beat, usual=usual)
    found = told(running=(slow, running("fine")), looked=2, leases={"host-1": 2})
    (thing,) = found.odd
    assert ("slow", "roost why slow", 2) == (thing.work_id, thing.command, len(thing.texts))
    (one,) = found.workers
    assert (2, ["slow", "fine"]) == (one.lanes_used, [work.work_id for work in one.running])
    assert thing.texts == one.running[0].odd
    assert 2 == found.looked


def test_steps_that_change_nothing():
    """The warning is in the work item's own history, which is read for a few of them."""
    survey = Survey(
        NOW_MS,
        running=(running("quick"), running("busy", steps_in_row=60)),
        workers=(worker(),),
        worker_count=1,
    )
    assert ["busy"] == suspicious(survey, 10)
    warning = Event(
        "1-0", NOW, "emitted", "busy", "crawl", 2, State.RUNNING, {"warning": "x", "steps": 50}
    )
    (thing,) = overview_of(survey, NOW, {"busy": [warning]}).odd
    assert "busy" == thing.work_id
    assert "50 steps in a row had changed no data" in thing.texts[0]
    assert thing.since_version is None


@pytest.mark.parametrize(("since", "told"), [(2, 2), (0, None), (99, None), ("2", None)])
def test_since_which_version_nothing_is_new(since, told):
    """As far as the warning says it, which may be an engine's own."""
    survey = Survey(
        NOW_MS,
        running=(running("busy", steps_in_row=60, version=53),),
        workers=(worker(),),
        worker_count=1,
    )
    data = {"warning": "x", "steps": 50, "since_version": since}
    warning = Event("1-0", NOW, "emitted", "busy", "crawl", 52, State.RUNNING, data)
    (thing,) = overview_of(survey, NOW, {"busy": [warning]}).odd
    assert (told, 53) == (thing.since_version, thing.version)


def test_a_worker_that_is_left_out_is_not_missing():
    """Only if all live workers were told is one that is not among them gone."""
    lost = running(worker_id="host-2")
    assert () == told(running=(lost,), worker_count=2).odd
    (thing,) = told(running=(lost,)).odd
    assert ("its worker host-2 is not in the register",) == thing.texts


def test_workers_that_lag_behind():
    """One of an older Roost beside a newer one is marked; the numbers are compared as numbers."""
    old, new = (
        (
            encode_model(
                attrs.evolve(WorkerInfo(name, "box", 1, ("crawl",), 10, 15.0, version, NOW), lost=0)
            ),
            at(-1),
        )
        for name, version in (("a", "0.9.1"), ("b", "0.10.0"))
    )
    found = told(workers=(old, new))
    assert [("a", True), ("b", False)] == [
        (one.info.worker_id, one.is_behind) for one in found.workers
    ]


def test_a_silent_worker():
    """Since when, if that is longer than its leases last."""
    raw, _ = worker()
    found = told(workers=((raw, at(-40)),))
    assert 40 == found.workers[0].silent_seconds
    assert ("has not been heard of for 40 s",) == found.odd[0].texts


def test_the_page_has_each_cause():
    """Whoever reads a cause in JSON finds it there."""
    assert [] == [one for one in CAUSES if f"| `{one}` |" not in page("overview")]
