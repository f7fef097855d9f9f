"""What a stream has not been told yet, and how its messages look."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from roost_core.models import Event, State
from roost_plugins.console.live.batches import MOST, Batch, Inbox
from roost_plugins.console.live.stream import message, told

AT = datetime(2026, 11, 26, 12, 30, 0, 123_000, UTC)


def event(number, work="w-1", engine="echo", kind="committed"):
    """Make an event."""
    return Event(f"{number}-0", AT, kind, work, engine, 1, State.RUNNING)


@pytest.fixture
def inbox():
    """Give an inbox."""
    return Inbox()


def ids(batch):
    """Return the ids of a batch's events."""
    return [one.event_id for one in batch.events]


def test_nothing_is_told_twice(inbox):
    """What was taken is gone, and an event that was there before does not count."""
    inbox.begin("5-0")
    for number in (4, 5, 6):
        inbox.put(event(number))
    first = inbox.take(0)
    assert (["6-0"], 1, "6-0", True) == (ids(first), first.count, first.position, first.has_begun)
    inbox.put(event(6))
    assert Batch(position="6-0") == inbox.take(0)


def test_the_newest_of_each_work_item(inbox):
    """In order, so that the last id is the one to resume from; an engine's events are its own."""
    for number, work, engine in ((1, "a", "x"), (2, "b", "x"), (3, "a", "x"), (4, "-", "x")):
        inbox.put(event(number, work, engine))
    inbox.put(event(5, "-", "y"))
    batch = inbox.take(0)
    assert (["2-0", "3-0", "4-0", "5-0"], 5) == (ids(batch), batch.count)


def test_too_many_are_one(inbox):
    """However much happens, an inbox stays small; the position is that of the last."""
    for number in range(1, 10 * MOST):
        inbox.put(event(number, f"w-{number}"))
    batch = inbox.take(0)
    assert ([], 10 * MOST - 1, f"{10 * MOST - 1}-0") == (ids(batch), batch.count, batch.position)
    assert len(inbox._events) == 0
    (text,) = told(batch)
    assert f"id: {10 * MOST - 1}-0\nevent: happened\n" in text
    assert {"work": None, "engine": None, "kind": "many", "count": 499} == data(text)
    for number in range(1000, 1000 + MOST):
        inbox.put(event(number, f"w-{number}"))
    assert MOST == len(inbox.take(0).events)


def test_what_was_missed_comes_first(inbox):
    """Events from before those that came meanwhile; of each work item the newest still counts."""
    inbox.put(event(9, "a"))
    inbox.put_missed([event(7, "a"), event(8, "b")], "8-0")
    batch = inbox.take(0)
    assert (["8-0", "9-0"], "9-0") == (ids(batch), batch.position)
    inbox.put_missed([], "20-0")
    assert "20-0" == inbox.take(0).position


def test_losses_are_told(inbox):
    """Of the server, and of events; each once."""
    inbox.put_gone(True)
    inbox.put_trimmed("7-0")
    inbox.put(event(3))
    batch = inbox.take(0)
    assert (True, True, "7-0", []) == (batch.is_gone, batch.is_trimmed, batch.position, ids(batch))
    assert Batch(position="7-0") == inbox.take(0)
    inbox.put_gone(False)
    assert ["event: back\ndata: {}\n\n"] == list(told(inbox.take(0)))


def test_closing_wakes_a_stream(inbox):
    """It need not wait for its next heartbeat."""
    inbox.close()
    assert Batch() == inbox.take(1000)
    assert inbox.is_closed


def data(text):
    """Return the data of a message."""
    return json.loads(text.partition("data: ")[2])


def test_messages_have_ids_and_no_texts(inbox):
    """A page asks for what it shows; titles and errors never stand in the stream."""
    inbox.put(event(1, "w-1", kind="attempt_failed"))
    inbox.put(event(2, "-", "crawl", kind="engine_held"))
    first, second = told(inbox.take(0))
    assert first.startswith("id: 1-0\nevent: happened\ndata: {")
    assert first.endswith("}\n\n")
    at = "2026-11-26T12:30:00.123+00:00"
    expected = {"work": "w-1", "engine": "echo", "kind": "attempt_failed", "at": at}
    assert expected == data(first)
    assert (None, "crawl") == (data(second)["work"], data(second)["engine"])


def test_a_message_is_one_whatever_is_in_it():
    """Line ends in names end nothing."""
    text = message("happened", {"kind": "a\n\nevent: x\r\n"}, "1-0")
    assert ["id: 1-0", "event: happened"] == text.splitlines()[:2]
    assert ["data"] == [line.partition(":")[0] for line in text.splitlines()[2:] if line]
