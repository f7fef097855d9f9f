"""Script calls in groups: over a connection that a test answers for."""

from __future__ import annotations

import asyncio

import pytest
import redis.exceptions

from roost_core.errors import BackendError, BackendUnavailable
from roost_plugins.redis_saq import calls as calls_module
from roost_plugins.redis_saq import scripts
from roost_plugins.redis_saq.calls import Calls
from roost_plugins.redis_saq.keys import Keys

SCRIPT = scripts.load("read", Keys("roost", "default", "default"), 1000)
OTHER = scripts.load("list", Keys("roost", "default", "default"), 1000)


class FakeConnection:
    """Takes packed commands apart, and answers with what the server thinks of each."""

    def __init__(self, server):
        self.server = server
        self.answers = []
        self.is_open = True

    async def send_packed_command(self, raw):
        """Take one write."""
        if not self.is_open:
            raise redis.exceptions.ConnectionError("closed")
        commands = parsed(raw)
        self.server.writes.append(len(commands))
        self.answers += [self.server.answer(command) for command in commands]

    async def read_response(self):
        """Give the next answer."""
        await asyncio.sleep(0)
        await self.server.answering.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def disconnect(self, nowait=False):
        """Close."""
        self.is_open = False


class FakeServer:
    """An endpoint, its clients, their pools, and what was asked of them."""

    description = "there"
    is_embedded = False

    def __init__(self):
        self.known = {SCRIPT.sha, OTHER.sha}
        self.loaded = []
        self.writes = []
        self.asked = []
        self.connections = []
        self.released = []
        self.queue = []
        self.ensured = 0
        self.closed = 0
        self.answering = asyncio.Event()
        self.answering.set()

    # the endpoint
    async def ensure(self):
        """Start it."""
        self.ensured += 1

    def client(self):
        """Give a client; all are one."""
        return self

    # the client
    @property
    def connection_pool(self):
        """Give the pool."""
        return self

    async def script_load(self, source):
        """Learn a script."""
        found = next(one for one in (SCRIPT, OTHER) if one.source == source)
        self.loaded.append(found.name)
        self.known.add(found.sha)

    async def aclose(self):
        """Close the client."""
        self.closed += 1

    # the pool
    async def get_connection(self):
        """Connect."""
        self.connections.append(FakeConnection(self))
        return self.connections[-1]

    async def release(self, connection):
        """Take it back."""
        self.released.append(connection)

    # the server
    def answer(self, command):
        """Answer one command, or let it fail."""
        assert b"EVALSHA" == command[0]
        if command[1].decode() not in self.known:
            return redis.exceptions.NoScriptError("No matching script.")
        self.asked.append(command)
        if self.queue:
            answer = self.queue.pop(0)
            if answer is not None:
                return answer
        return command[-1]


def parsed(raw):
    """Take RESP apart."""
    commands = []
    while raw:
        head, _, raw = raw.partition(b"\r\n")
        assert head[:1] == b"*"
        words = []
        for _ in range(int(head[1:])):
            size, _, raw = raw.partition(b"\r\n")
            assert size[:1] == b"$"
            words.append(raw[: int(size[1:])])
            assert raw[int(size[1:]) : int(size[1:]) + 2] == b"\r\n"
            raw = raw[int(size[1:]) + 2 :]
        commands.append(words)
    return commands


@pytest.fixture
def run():
    """Run a coroutine function of opened calls and their server."""

    def run_it(main):
        async def with_calls():
            server = FakeServer()
            calls = Calls(server)
            await calls.open()
            try:
                async with asyncio.timeout(60):
                    await main(calls, server)
            finally:
                await calls.close()
                await calls.close()

        asyncio.run(with_calls())

    return run_it


def test_a_call(run):
    """Name, keys and arguments go out as they are: texts, numbers and bytes."""

    async def main(calls, server):
        answer = await calls(SCRIPT, "wörk", 5, 2.5, b"\x00\r\n$3", "", b"last")
        assert b"last" == answer
        expected = [b"EVALSHA", SCRIPT.sha.encode(), str(len(SCRIPT.keys)).encode()]
        expected += [key.encode() for key in SCRIPT.keys]
        expected += ["wörk".encode(), b"5", b"2.5", b"\x00\r\n$3", b"", b"last"]
        assert [expected] == server.asked

    run(main)


def test_calls_leave_together(run):
    """Those made while one is under way share the next write; each gets its own answer."""

    async def main(calls, server):
        answers = await asyncio.gather(*(calls(SCRIPT, str(number)) for number in range(300)))
        assert [str(number).encode() for number in range(300)] == answers
        assert sum(server.writes) == 300
        assert len(server.writes) <= 4
        assert max(server.writes) <= calls_module._GROUP
        assert 1 == len(server.connections)

    run(main)


def test_forgotten_scripts(run):
    """They are loaded, once each, and called again; answers do not get mixed up."""

    async def main(calls, server):
        server.known.clear()
        mine = [calls(SCRIPT if number % 3 else OTHER, str(number)) for number in range(20)]
        assert [str(number).encode() for number in range(20)] == await asyncio.gather(*mine)
        assert ["list", "read"] == sorted(server.loaded)

    run(main)


def test_a_server_that_forgets_at_once(run):
    """That is no answer; nobody goes round in circles."""

    async def main(calls, server):
        server.known.clear()

        async def script_load(source):
            server.loaded.append("in vain")

        server.script_load = script_load
        with pytest.raises(BackendUnavailable, match="forgets its scripts"):
            await calls(SCRIPT, "a")
        assert ["in vain"] == server.loaded

    run(main)


def test_one_refusal_among_others(run):
    """A refused call has its own error; the others of its group have their answers."""

    async def main(calls, server):
        server.queue = [
            None,
            redis.exceptions.ResponseError("user_script:5: attempt to index nil"),
            redis.exceptions.OutOfMemoryError("command not allowed"),
            None,
        ]
        found = await asyncio.gather(
            *(calls(SCRIPT, str(number)) for number in range(4)), return_exceptions=True
        )
        assert (b"0", b"3") == (found[0], found[3])
        assert [BackendError, BackendUnavailable] == [type(one) for one in found[1:3]]
        assert 1 == len(server.connections)

    run(main)


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.ConnectionError("cut"),
        redis.exceptions.TimeoutError("slow"),
        ConnectionResetError("reset"),
        redis.exceptions.BusyLoadingError("loading"),
    ],
)
def test_a_cut_connection(run, error):
    """Those answered keep their answers, the rest get none; the next call has a new connection."""

    async def main(calls, server):
        server.queue = [None, error, None]
        found = await asyncio.gather(
            *(calls(SCRIPT, str(number)) for number in range(3)), return_exceptions=True
        )
        assert b"0" == found[0]
        assert [BackendUnavailable] * 2 == [type(one) for one in found[1:]]
        assert b"x" == await calls(SCRIPT, "x")
        assert [False, True] == [one.is_open for one in server.connections]
        assert server.connections[:1] == server.released

    run(main)


def test_a_replica(run):
    """A server that takes no writes may have been replaced: the next call connects anew."""

    async def main(calls, server):
        server.queue = [redis.exceptions.ReadOnlyError("You can't write"), None]
        found = await asyncio.gather(calls(SCRIPT, "0"), calls(SCRIPT, "1"), return_exceptions=True)
        assert (BackendUnavailable, b"1") == (type(found[0]), found[1])
        assert b"x" == await calls(SCRIPT, "x")
        assert 2 == len(server.connections)

    run(main)


def test_who_gives_up_before_it_is_sent(run):
    """Such a call is not sent: a claim would be nobody's."""

    async def main(calls, server):
        server.answering.clear()
        first = calls(SCRIPT, "first")
        await asyncio.sleep(0.01)
        second, third = calls(SCRIPT, "second"), calls(SCRIPT, "third")
        second.cancel()
        first.cancel()
        server.answering.set()
        assert b"third" == await third
        assert [b"first", b"third"] == [one[-1] for one in server.asked]

    run(main)


def test_who_gives_up_while_it_is_under_way(run):
    """Its answer is read and dropped: the next one's is its own."""

    async def main(calls, server):
        server.answering.clear()
        first, second = calls(SCRIPT, "first"), calls(SCRIPT, "second")
        await asyncio.sleep(0.01)
        first.cancel()
        server.answering.set()
        assert b"second" == await second
        assert b"x" == await calls(SCRIPT, "x")

    run(main)


def test_closing(run):
    """Calls that wait fail; so do those made afterwards; opening again is possible."""

    async def main(calls, server):
        server.answering.clear()
        under_way = calls(SCRIPT, "a")
        await asyncio.sleep(0.01)
        waiting = calls(SCRIPT, "b")
        await calls.close()
        found = await asyncio.gather(under_way, waiting, calls(SCRIPT, "c"), return_exceptions=True)
        assert [BackendUnavailable] * 3 == [type(one) for one in found]
        assert not server.connections[0].is_open
        with pytest.raises(BackendUnavailable, match="not open"):
            _ = calls.client
        server.answering.set()
        await calls.open()
        assert b"d" == await calls(SCRIPT, "d")

    run(main)


def test_an_embedded_server_is_started_again(run):
    """A connection that breaks is a reason to look after it; a refusal is none."""

    async def main(calls, server):
        server.is_embedded = True
        server.queue = [redis.exceptions.OutOfMemoryError("full")]
        await asyncio.gather(calls(SCRIPT, "a"), return_exceptions=True)
        await asyncio.sleep(0)
        assert 1 == server.ensured
        server.queue = [redis.exceptions.ConnectionError("gone")]
        await asyncio.gather(calls(SCRIPT, "a"), return_exceptions=True)
        await asyncio.sleep(0.01)
        assert (2, 1) == (server.ensured, server.closed)
        assert b"b" == await calls(SCRIPT, "b")

    run(main)


def test_an_argument_that_cannot_be_sent(run):
    """A text with a lone surrogate fails its own call, and no other."""

    async def main(calls, server):
        first = calls(SCRIPT, "a")
        with pytest.raises(UnicodeEncodeError):
            calls(SCRIPT, "\ud800")
        assert [b"a", b"c"] == await asyncio.gather(first, calls(SCRIPT, "c"))

    run(main)
