"""How fast work goes: what is sent to the scripts, and what is made of their answers."""

from __future__ import annotations

from roost_core.backend import Pace, StepTally, Tally
from roost_plugins.redis_saq.record.rates import pace_in, usual_in
from roost_plugins.redis_saq.record.tallies import tally_text

NONE = [None] * 60


def test_a_tally_as_text():
    """A line for each engine, and one for each label, which may have spaces or be empty."""
    tally = Tally(
        (("a", 3), ("c", 1)),
        (StepTally("a", "", 2, 10, 7), StepTally("a", "read a page", 1, 5, 5)),
    )
    assert "3 3 a\n0 1 c\n2 10 7 a \n1 5 5 a read a page" == tally_text(tally)
    assert "" == tally_text(None)


def test_the_pace_is_that_of_the_last_minutes():
    """From the oldest minute of ten in which something was counted."""
    now = 1000 * 60_000 + 30_000
    assert pace_in(NONE, now) is None
    assert Pace(30_000, 5, 2) == pace_in([b"5 2", *NONE[1:]], now)
    assert Pace(150_000, 11, 3) == pace_in([b"5 2", None, b"6 1", *NONE[3:]], now)
    assert pace_in([*NONE[:10], b"5 2", *NONE[11:]], now) is None


def test_the_pace_right_after_a_minute_began():
    """What was sent in the first second of a minute was not done in that second."""
    assert Pace(10_000, 500, 10) == pace_in([b"500 10"], 1000 * 60_000 + 5)


def test_what_a_pace_says():
    """Steps a minute, and how long the line takes; nothing moves without leases."""
    pace = Pace(120_000, 60, 10)
    assert (30.0, 24_000, 0) == (pace.steps_a_minute, pace.wait_ms(2), pace.wait_ms(0))
    assert Pace(60_000, 5, 0).wait_ms(3) is None


def test_usual_times_are_those_of_an_hour():
    """Sums, and the longest of all minutes; damage counts as nothing."""
    buckets = [b"2 10 7", None, b"1 30 30", b"x", b"1 2", b"-1 2 3", *NONE[6:]]
    assert StepTally("a", "read", 3, 40, 30) == usual_in("a", "read", buckets)
    assert usual_in("a", "read", NONE) is None
