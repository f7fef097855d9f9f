"""One follower for all streams: what they are told, when they resume, and how it ends."""

from __future__ import annotations

import threading
import time

import pytest

from roost_core import SyncRoost
from roost_core.errors import BackendUnavailable
from roost_plugins.console.connection import Connection
from roost_plugins.console.live import hub as hubs
from roost_plugins.console.live import positions
from roost_plugins.console.live.hub import Hub, NoStream
from roost_plugins.console.live.stream import messages
from tests.unit.cli.cli_harness import Bench

#: A limit that only a hang reaches. Seconds.
LIMIT = 30


@pytest.fixture
def bench():
    """Give a queue in memory."""
    return Bench()


@pytest.fixture
def connection(bench):
    """Give a connection to it."""
    connection = Connection(lambda: SyncRoost(bench.roost()))
    assert connection.open() is None
    yield connection
    connection.close()


@pytest.fixture
def hub(connection, monkeypatch):
    """Give a hub that looks often; its thread is gone afterwards."""
    monkeypatch.setattr(hubs, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(hubs, "_PAUSE_SECONDS", 0.01)
    hub = Hub(connection, most=3)
    yield hub
    hub.close()
    connection.close()
    hub.join()


def until(inbox, wanted):
    """Take batches until one is as wanted; return it."""
    ends = time.monotonic() + LIMIT
    while True:
        batch = inbox.take(1)
        if wanted(batch):
            return batch
        assert time.monotonic() < ends


def works(batch):
    """Return the work items of a batch."""
    return [one.work_id for one in batch.events]


def begun(hub, after=None):
    """Enter, and wait until it is known where events begin."""
    inbox = hub.enter(after)
    until(inbox, lambda batch: batch.position is not None)
    return inbox


def asked_of(bench, monkeypatch):
    """Return a list that gets what the ledger is asked for events."""
    calls = []
    real = type(bench.ledger).events

    async def counted(self, **fields):
        calls.append(fields)
        return await real(self, **fields)

    monkeypatch.setattr(type(bench.ledger), "events", counted)
    return calls


def test_all_hear_the_same(hub, connection):
    """Each stream gets each event, and what happened before it came does not count."""
    connection.roost.enqueue("echo", work_id="before")
    first, second = begun(hub), begun(hub)
    connection.roost.enqueue("echo", work_id="w1")
    for inbox in (first, second):
        assert ["w1"] == works(until(inbox, lambda batch: batch.events))


def test_one_follower_serves_them_all(hub, connection, bench, monkeypatch):
    """Three listeners wait for events in one place."""
    calls = asked_of(bench, monkeypatch)
    inboxes = [begun(hub) for _ in range(3)]
    connection.roost.enqueue("echo", work_id="w1")
    for inbox in inboxes:
        until(inbox, lambda batch: batch.events)
    assert 1 == len([one for one in calls if one.get("block_ms") and one["after"] == "0-0"])


def test_there_is_a_cap(hub):
    """One more is refused, until one has left."""
    inboxes = [hub.enter() for _ in range(3)]
    with pytest.raises(NoStream, match="ROOST_CONSOLE_STREAMS"):
        hub.enter()
    hub.leave(inboxes[0])
    hub.leave(inboxes[0])
    assert 2 == hub.listeners
    hub.leave(hub.enter())


def test_whoever_comes_back_hears_what_was_missed(hub, connection):
    """By the id of the last event that it has heard."""
    inbox = begun(hub)
    connection.roost.enqueue("echo", work_id="w1")
    heard = until(inbox, lambda batch: batch.events).position
    hub.leave(inbox)
    connection.roost.enqueue("echo", work_id="w2")
    connection.roost.enqueue("echo", work_id="w3")
    again = hub.enter(heard)
    batch = again.take(0)
    assert (["w2", "w3"], False) == (works(batch), batch.is_trimmed)
    connection.roost.enqueue("echo", work_id="w4")
    assert ["w4"] == works(until(again, lambda batch: batch.events))


def test_nothing_happened_meanwhile(hub, connection):
    """Then there is nothing to tell, and nothing is lost later."""
    connection.roost.enqueue("echo", work_id="w1")
    newest = connection.roost.events()[-1].event_id
    batch = hub.enter(newest).take(0)
    assert ((), newest, False) == (batch.events, batch.position, batch.is_trimmed)
    assert not hub.enter("0-0").take(0).is_trimmed


@pytest.mark.parametrize("after", ["9999999999999-0", "x", "1", "", "1-0\nevent: happened"])
def test_an_unknown_position_means_reading_again(hub, connection, after):
    """Of another server, or no id at all; the position is one of this server's from then on."""
    connection.roost.enqueue("echo", work_id="w1")
    newest = connection.roost.events()[-1].event_id
    batch = hub.enter(after).take(0)
    assert (after != "", newest) == (batch.is_trimmed, batch.position) or after == ""


def test_a_trimmed_position_means_reading_again(hub, connection, bench):
    """Events after it are gone, so that nobody knows what has happened."""
    for number in range(3):
        connection.roost.enqueue("echo", work_id=f"w{number}")
    first, *_, last = (one.event_id for one in connection.roost.events())
    del bench.ledger._state.events[:2]
    batch = hub.enter(first).take(0)
    assert (True, [], last) == (batch.is_trimmed, works(batch), batch.position)


def test_too_much_was_missed(hub, connection, monkeypatch):
    """Then the page reads everything again, too."""
    connection.roost.enqueue("echo", work_id="w0")
    first = connection.roost.events()[-1].event_id
    monkeypatch.setattr(positions, "MOST_MISSED", 3)
    for number in range(1, 4):
        connection.roost.enqueue("echo", work_id=f"w{number}")
    assert hub.enter(first).take(0).is_trimmed


def silent(bench, monkeypatch):
    """Let the server's clock not answer; return a function that ends this."""

    async def fail(self):
        raise BackendUnavailable("away")

    with_silence = monkeypatch.context()
    patch = with_silence.__enter__()
    patch.setattr(type(bench.server), "now_ms", fail)
    return lambda: with_silence.__exit__(None, None, None)


def test_a_lost_server_is_told_and_its_return(hub, connection, bench, monkeypatch):
    """To those who listen, and to those who come meanwhile; then events come again."""
    inbox = begun(hub)
    speak = silent(bench, monkeypatch)
    until(inbox, lambda batch: batch.is_gone is True)
    late = hub.enter()
    assert late.take(LIMIT).is_gone is True
    speak()
    for one in (inbox, late):
        until(one, lambda batch: batch.is_gone is False)
    connection.roost.enqueue("echo", work_id="w1")
    for one in (inbox, late):
        assert ["w1"] == works(until(one, lambda batch: batch.events))


def test_events_lost_with_the_server_are_told(hub, connection, bench, monkeypatch):
    """It is back, but without what happened: pages read everything again."""
    for number in range(3):
        connection.roost.enqueue("echo", work_id=f"w{number}")
    inbox = begun(hub)
    speak = silent(bench, monkeypatch)
    until(inbox, lambda batch: batch.is_gone is True)
    del bench.ledger._state.events[:]
    speak()
    until(inbox, lambda batch: batch.is_trimmed)
    connection.roost.enqueue("echo", work_id="w5")
    until(inbox, lambda batch: "w5" in works(batch))


def test_the_clock_is_the_servers(hub, bench):
    """It is read once, and then known for a minute."""
    bench.provider.clock.advance(3_600_000)
    expected = bench.provider.clock.now_ms() / 1000
    assert expected == pytest.approx(hub.now().timestamp(), abs=LIMIT)
    bench.provider.clock.advance(3_600_000)
    assert expected == pytest.approx(hub.now().timestamp(), abs=LIMIT)


def test_nobody_listens_nothing_is_asked(hub, bench, connection, monkeypatch):
    """A while after the last one has left, following ends; with the next one it begins again."""
    monkeypatch.setattr(hubs, "LINGER_SECONDS", 0.02)
    inbox = begun(hub)
    thread = hub._thread
    hub.leave(inbox)
    thread.join(LIMIT)
    assert (False, None) == (thread.is_alive(), hub._thread)
    inbox = begun(hub)
    connection.roost.enqueue("echo", work_id="w1")
    assert ["w1"] == works(until(inbox, lambda batch: batch.events))


def test_a_fault_is_not_the_end(hub, connection, monkeypatch, caplog):
    """Following begins again, and the log has the traceback."""
    inbox = begun(hub)
    faults = iter([ZeroDivisionError("a fault")])
    real = hub._look

    async def look(roost):
        for fault in faults:
            raise fault
        await real(roost)

    monkeypatch.setattr(hub, "_look", look)
    until(inbox, lambda batch: batch.is_gone is False)
    assert "ZeroDivisionError" in caplog.text
    connection.roost.enqueue("echo", work_id="w1")
    assert ["w1"] == works(until(inbox, lambda batch: batch.events))


def test_the_end_ends_all_streams(hub, connection):
    """At once, also those that wait; and there are no new ones."""
    inbox = begun(hub)
    texts = []
    thread = threading.Thread(
        target=lambda: texts.extend(messages(hub, inbox, lambda: False)), daemon=True
    )
    thread.start()
    hub.close()
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert texts[0].startswith("retry: ")
    with pytest.raises(NoStream, match="ending"):
        hub.enter()


def test_a_client_that_left_ends_its_stream(hub):
    """It is asked each time."""
    assert ["retry: 2000\n\n"] == list(messages(hub, hub.enter(), lambda: True))


def test_a_stream_pulses_as_soon_as_it_can(hub):
    """So that a page knows at once how old its news is, and where to resume from."""
    stream = messages(hub, hub.enter(), lambda: False)
    next(stream)
    first = next(stream)
    assert first.startswith("id: 0-0\nevent: pulse\ndata: {")
    stream.close()
