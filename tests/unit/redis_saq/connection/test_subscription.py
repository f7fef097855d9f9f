"""A connection that listens: what it hears, and how it treats silence. Time leaps."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from roost_core.errors import BackendError, BackendUnavailable
from roost_plugins.redis_saq.connection.subscription import ANSWER_WITHIN, PING_AFTER, Subscription
from tests.event_loops import leaping

PING = b"*1\r\n$4\r\nPING\r\n"
PONG = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"

pytestmark = leaping()


class Wire:
    """A transport that records when something is sent, and answers pings if it is told to."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.answers = True
        self.said = []
        self.pings = []
        self.is_closed = False
        self.heard = []
        self.line = Subscription("there", lambda *what: self.heard.append(what))
        self.line.connection_made(self)

    def write(self, raw):
        """Note it, and answer."""
        if raw != PING:
            self.said.append(raw)
            return
        self.pings.append(self.loop.time())
        if self.answers:
            self.loop.call_soon(self.line.data_received, PONG)

    def abort(self):
        """Note it."""
        self.is_closed = True


@pytest.fixture
@contextlib.asynccontextmanager
async def wire():
    """Give a wire; it is closed at the end."""
    wire = Wire()
    yield wire
    await wire.line.close()
    assert wire.is_closed


async def test_what_is_idle_is_pinged(wire):
    """As long as pings are answered, silence means nothing, however long it is."""
    await asyncio.sleep(1000)
    assert wire.line.ended is None
    assert 1000 / PING_AFTER - 1 <= len(wire.pings) <= 1000 / PING_AFTER


async def test_a_ping_that_a_full_disk_refuses_is_answered(wire):
    """A server that cannot write refuses pings too; its messages are heard anyway."""
    wire.answers = False
    for _ in range(3):
        wire.line.data_received(b"-MISCONF Errors writing to the AOF file: No space left\r\n")
        await asyncio.sleep(PING_AFTER + 0.1)
    assert wire.line.ended is None
    assert 3 == len(wire.pings)
    wire.line.data_received(b"-NOPERM not this\r\n")
    assert "NOPERM" in str(wire.line.ended)


async def test_what_is_heard_is_as_good_as_a_ping(wire):
    """A connection with traffic is not pinged."""
    for _ in range(100):
        await asyncio.sleep(PING_AFTER - 0.1)
        wire.line.data_received(PONG)
    assert [] == wire.pings


async def test_a_black_hole_is_noticed(wire):
    """A ping that nobody answers ends the connection, and the error says so."""
    wire.answers = False
    began = wire.loop.time()
    with pytest.raises(BackendUnavailable, match="there does not answer: nothing for 10 s"):
        await wire.line.until_end()
    assert pytest.approx(PING_AFTER + ANSWER_WITHIN) == wire.loop.time() - began
    assert 1 == len(wire.pings)


async def test_a_subscription_that_is_not_confirmed(wire):
    """A server that does not answer SUBSCRIBE is away as well, and found out sooner."""
    wire.line.subscribe(["a"])
    began = wire.loop.time()
    with pytest.raises(BackendUnavailable):
        await wire.line.until_end()
    assert pytest.approx(ANSWER_WITHIN) == wire.loop.time() - began


async def test_messages_are_passed_on(wire):
    """Confirmations and messages, even in pieces; anything else is ignored."""
    wire.line.subscribe(["a", "b"])
    assert [b"*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n"] == wire.said
    raw = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
    raw += b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"
    for at in range(len(raw)):
        wire.line.data_received(raw[at : at + 1])
    wire.line.data_received(PONG + b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n")
    assert [("subscribe", "a", b""), ("message", "a", b"x")] == wire.heard


@pytest.mark.parametrize(
    ("raw", "kind", "text"),
    [
        (b"-ERR max number of clients reached\r\n", BackendUnavailable, "raise its maxclients"),
        (b"-NOPERM no channels for you\r\n", BackendError, "refused: NOPERM"),
        (b"-LOADING wait\r\n", BackendUnavailable, "refuses for now"),
        (b"?\r\n", BackendUnavailable, "does not speak"),
    ],
)
async def test_refusals(wire, raw, kind, text):
    """The server's refusal ends the connection, with a message for people."""
    wire.line.data_received(raw)
    with pytest.raises(kind, match=text) as found:
        await wire.line.until_end()
    assert kind is type(found.value)
