"""What a work item keeps of its own past: how it completes the stream, and cut data."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest

from roost_core.backend.trail import (
    completed,
    go_on_from,
    is_complete,
    lease_event,
    reason_of_sleep,
)
from roost_core.models import Event, State
from roost_plugins.redis_saq.ledger.trail import events, readable


def event(number, kind):
    """Return an event of one work item."""
    at = datetime.fromtimestamp(number, UTC)
    return Event(f"{number * 1000}-0", at, kind, "w", "engine", number, State.QUEUED)


def lease(first, last, *, ended="committed"):
    """Return a lease from one second to another; until now without an end."""
    return lease_event(
        f"{(last if ended else first) * 1000}-0",
        "w",
        "engine",
        last,
        State.QUEUED,
        worker_id="worker",
        from_ms=first * 1000,
        to_ms=last * 1000 if ended else None,
        first_version=first,
        ended=ended,
    )


@pytest.mark.parametrize(
    ("behind", "reason"),
    [
        ([], "later"),
        (["leased", "paused", "resumed"], "later"),
        (["forked"], "later"),
        (["committed"], None),
        (["rewound"], None),
    ],
)
def test_why_it_sleeps(behind, reason):
    """A pause or a fork in between changes nothing of that; anything else does."""
    sleeping = {"version": 2, "state": State.SLEEPING}
    given_back = attrs.evolve(event(2, "interrupted"), data={"reason": "later"}, **sleeping)
    after = [attrs.evolve(event(3, kind), **sleeping) for kind in behind]
    assert reason == reason_of_sleep([event(1, "enqueued"), given_back, *after], 2)


def test_what_the_stream_lacks_comes_first():
    """What is older than the stream's oldest, and the lease that had begun before it."""
    trail = [event(1, "enqueued"), event(2, "blocked"), lease(3, 6), lease(7, 9)]
    stream = [event(5, "committed"), event(6, "committed"), event(7, "claimed")]
    found = [(one.kind, one.version) for one in completed(stream, trail)]
    told = [("enqueued", 1), ("blocked", 2), ("committed", 5), ("leased", 6)]
    assert [*told, ("committed", 6), ("claimed", 7)] == found


def test_nothing_is_told_twice():
    """An entry whose event the stream still has is left out."""
    trail = [event(1, "enqueued"), event(5, "emitted")]
    assert ["enqueued", "emitted"] == [one.kind for one in completed([event(5, "emitted")], trail)]


def test_without_events_there_is_the_trail():
    """The trail alone is an answer, and so is a stream that goes back to the beginning."""
    trail = [event(1, "enqueued"), lease(2, 3)]
    assert trail == completed([], trail)
    assert is_complete([event(1, "enqueued")])
    assert not is_complete([event(1, "committed")])
    assert not is_complete([])


def test_a_current_lease_is_no_place_to_go_on_from():
    """It has only a time where events have ids."""
    assert "2000-0" == go_on_from(
        event(1, "enqueued"), event(2, "claimed"), lease(9, 9, ended=None)
    )
    assert go_on_from() is None


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('{"a":1}', {"a": 1}),
        ("[1]", {"value": [1]}),
        ('{"a":1,"b":2', {"a": 1, "cut": True}),
        ('{"a":1,"b":"two words and a ha', {"a": 1, "b": "two words and a …", "cut": True}),
        ('{"url":"redis://:s3cre', {"cut": True}),
        ('{"a":{"b":[1,2],"c":"x y', {"a": {"b": [1, 2], "c": "x …"}, "cut": True}),
        ('{"a":[1,2', {"cut": True}),
        ("{", {"cut": True}),
        ("", {"cut": True}),
        ("nonsense", {"cut": True}),
        ('{"a":"x \\', {"a": "x …", "cut": True}),
        ('{"a":"\\u00e', {"cut": True}),
    ],
)
def test_cut_data_is_read_as_far_as_it_goes(text, data):
    """Whole pairs, and the whole words of the last text."""
    assert data == readable(text)


def test_damaged_entries_are_left_out():
    """The others are shown anyway."""
    row = [b"w", None, None, None, None, None]
    good = b"5-1 emitted 2 running {}"
    bad = [b"", b"5-1", b"x emitted 2 running {}", b"5-1 emitted x running {}", b"\xff\xfe"]
    worse = [
        b"5-1 emitted 2 odd {}",
        b"5-1 leased 2 queued w",
        b"9999999999999999999-0 a 1 done {}",
    ]
    assert ["emitted"] == [one.kind for one in events(row, [*bad, good, *worse])]
