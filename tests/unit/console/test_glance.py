"""What the overview says of a queue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from roost_core.models import ErrorRecord, State
from roost_core.models.control import Actor, HeldEngine
from roost_core.models.overview import (
    FailureGroup,
    Minute,
    OddThing,
    Overview,
    WaitingGroup,
    WorkerNow,
)
from roost_core.models.worker import WorkerInfo
from roost_plugins.console.pages.glance import MOST, glance, verdict
from roost_plugins.console.pages.workers import register

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def failure(count=1, fingerprint="f1"):
    """Return dead letters that are alike."""
    error = ErrorRecord(kind="exception", message="no")
    return FailureGroup(
        fingerprint, count, "E: no", ("crawl",), NOW, "w-1", "q", "roost retry q", error
    )


def waiting(cause, count=1, engine="crawl"):
    """Return work that waits for the same reason."""
    return WaitingGroup(cause, count, f"Because of {cause}.", engine=engine)


def worker(worker_id="a", engines=("crawl",)):
    """Return a worker that does nothing."""
    return WorkerNow(WorkerInfo(worker_id, "box", 1, engines, 4, 15.0, "1.0", NOW))


def overview(**fields):
    """Return an overview of a queue that has nothing but what is given."""
    return Overview(**{"now": NOW, "counts": {}, **fields})


@pytest.mark.parametrize(
    ("fields", "words", "more", "needs", "mood"),
    [
        (
            {"counts": {State.RUNNING: 3, State.QUEUED: 214}, "workers": (worker(), worker("b"))},
            "All is well",
            "3 running, 214 in line, 2 workers",
            0,
            "busy",
        ),
        ({"counts": {State.DONE: 9}}, "All is well", "nothing running, no worker", 0, "calm"),
        (
            {"counts": {State.FAILED: 7}, "failures": (failure(7),)},
            "1 thing needs you",
            "7 dead letters, nothing running, no worker",
            1,
            "alert",
        ),
        (
            {
                "counts": {State.FAILED: 1},
                "failures": (failure(),),
                "more_failures": 2,
                "waiting": (waiting("no_worker", 1), waiting("due", 5)),
                "odd": (OddThing(("slow",), "roost why w", work_id="w"),),
                "workers": (worker(),),
            },
            "4 things need you",
            "1 dead letter, 1 cannot run, 1 thing looks odd, nothing running, 1 worker",
            4,
            "alert",
        ),
        (
            {"odd": (OddThing(("slow",), "roost why w", work_id="w"),) * 2},
            "2 things look odd",
            "nothing running, no worker",
            2,
            "alert",
        ),
    ],
)
def test_the_verdict(fields, words, more, needs, mood):
    """One look says whether all is well, and if not, how much needs a person."""
    found = verdict(overview(**fields))
    assert (words, more, needs, mood) == (found.words, found.more, found.needs, found.mood)


def test_each_cause_stands_in_one_place():
    """What a person has to change is asked of them; the rest explains itself."""
    held = HeldEngine("crawl", Actor("ada", "python"), NOW)
    idle = HeldEngine("quiet", Actor("ada", "python"), NOW)
    view = glance(
        overview(
            waiting=(waiting("held", 2), waiting("line", 30), waiting("due", 4)),
            held_engines=(held, idle),
        )
    )
    assert ["held"] == [one.cause for one in view.by_hand]
    assert ["line", "due"] == [one.cause for one in view.by_itself]
    assert 34 == view.waits
    assert ["quiet"] == [one.engine for one in view.idle_holds]


def test_what_is_left_out_is_counted():
    """Of very many errors the first are shown."""
    many = tuple(failure(1, str(n)) for n in range(MOST + 3))
    view = glance(overview(failures=many, more_failures=4))
    assert MOST == len(view.failures)
    assert 7 == view.more_failures


def test_the_hour_in_words():
    """The pictures say what they show, and which minute was the busiest."""
    minutes = tuple(
        Minute(NOW - timedelta(minutes=2 - n), steps, failed, dead)
        for n, (steps, failed, dead) in enumerate([(1, 0, 0), (1_200, 3, 1), (0, 0, 0)])
    )
    steps, failures = glance(overview(hour=minutes)).hour
    assert "1,201 steps" == steps.said
    label = "1,201 steps in the last hour; the most in a minute: 60 s ago: 1,200 steps"
    assert f'aria-label="{label}"' in steps.picture
    assert "3 failed attempts, 1 dead letter" == failures.said
    assert () == tuple(glance(overview()).hour)
    quiet = glance(overview(hour=(Minute(NOW),))).hour
    assert ["0 steps", "no failures"] == [one.said for one in quiet]


def test_a_queue_of_which_there_is_nothing():
    """How to begin is shown then; not if a worker is there, or work that has ended."""
    assert glance(overview(counts={State.DONE: 0})).is_empty
    assert not glance(overview(workers=(worker(),))).is_empty
    assert not glance(overview(counts={State.DONE: 1})).is_empty


def test_engines_that_nobody_offers_are_listed():
    """Offered, held, or waited for: each once, by name."""
    found = register(
        overview(
            workers=(worker("a", ("crawl", "sum")), worker("b")),
            held_engines=(HeldEngine("held", Actor("ada", "python"), NOW),),
            waiting=(waiting("line", 3), waiting("suspected", 1), waiting("no_worker", 5, "gone")),
        )
    )
    rows = [(one.engine, one.workers, one.waiting, one.held is not None) for one in found.engines]
    assert [
        ("crawl", 2, 4, False),
        ("gone", 0, 5, False),
        ("held", 0, 0, True),
        ("sum", 1, 0, False),
    ] == rows
