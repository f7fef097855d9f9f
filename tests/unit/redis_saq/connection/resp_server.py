"""A server whose answers a test controls, on a socket in a temporary folder."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile

import redis.asyncio
import redis.asyncio.retry
import redis.backoff

from roost_core.settings import Settings
from roost_plugins.redis_saq import scripts
from roost_plugins.redis_saq.keys import Keys

KEYS = Keys("roost", "default", "default")
BOUNDS = scripts.Bounds.of(Settings())
SCRIPT = scripts.load("read", KEYS, BOUNDS)
OTHER = scripts.load("list", KEYS, BOUNDS)


def bulk(value):
    """Write an answer that is a text of bytes."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


class Peer(asyncio.Protocol):
    """A connection as the server sees it: commands that came, group by group."""

    def __init__(self, server):
        self.server = server
        self.raw = b""
        self.is_open = True

    def connection_made(self, transport):
        """Note it."""
        self.transport = transport
        self.server.peers.append(self)
        self.server.changed.set()

    def connection_lost(self, error):
        """Note it."""
        self.is_open = False
        self.server.changed.set()

    def data_received(self, data):
        """Parse a write, and answer what is to be answered at once."""
        self.raw += data
        while (found := _parsed(self.raw)) is not None:
            words, self.raw = found
            if words[0] in (b"EVALSHA", b"EVAL"):
                self.server.take(self, words)
            else:
                self.transport.write(b"+OK\r\n")  # what a client says about itself on connecting

    def write(self, raw):
        """Send bytes."""
        self.transport.write(raw)

    def cut(self):
        """Hang up."""
        self.transport.close()


class RespServer:
    """An endpoint, and the server behind it.

    As long as it ``echoes``, a call is answered with its last argument, or, if there is one, with
    the next of ``answers``. Otherwise calls wait in ``asked`` for the test to answer them.
    """

    description = "there"
    is_embedded = False

    def __init__(self, folder, is_plain):
        self.path = f"{folder}/s"
        #: The socket, if calls are to connect to it themselves, without redis-py.
        self.plain_socket = self.path if is_plain else None
        self.known = {SCRIPT.sha, OTHER.sha}
        self.peers = []
        self.asked = []
        self.answers = []
        self.echoes = True
        self.changed = asyncio.Event()
        self.ensured = 0
        self.clients = []
        #: What the loop's exception handler is told.
        self.unseen = []
        self._server = None

    async def start(self):
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Peer(self), self.path)

    async def stop(self):
        """Stop listening, and hang up."""
        self._server.close()
        for peer in self.peers:
            peer.transport.abort()
        await self.until(lambda: not any(peer.is_open for peer in self.peers))

    @contextlib.asynccontextmanager
    async def listening(self):
        """Listen meanwhile."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    # -- the endpoint ----------------------------------------------------------------------

    async def ensure(self):
        """Count."""
        self.ensured += 1
        self.changed.set()

    def client(self):
        """Give a new client."""
        client = redis.asyncio.Redis.from_url(
            f"unix://{self.path}",
            protocol=2,
            retry=redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0),
        )
        self.clients.append(client)
        return client

    # -- what a test says and asks ---------------------------------------------------------

    def take(self, peer, words):
        """Take one call."""
        if words[0] == b"EVAL":
            self.known |= {one.sha for one in (SCRIPT, OTHER) if one.source.encode() == words[1]}
        self.asked.append((peer, words))
        self.changed.set()
        if self.echoes:
            peer.write(self.answer_to(words))

    def answer_to(self, words):
        """Return the server's own answer to a call."""
        if words[0] == b"EVALSHA" and words[1].decode() not in self.known:
            return b"-NOSCRIPT No matching script.\r\n"
        return self.answers.pop(0) if self.answers else bulk(words[-1])

    async def until(self, true):
        """Wait until something is true that changes with what the server receives."""
        while not true():
            self.changed.clear()
            await self.changed.wait()

    async def until_asked(self, number):
        """Wait until this many calls have come."""
        await self.until(lambda: len(self.asked) >= number)

    @property
    def last_arguments(self):
        """The last argument of each call that came."""
        return [words[-1] for _, words in self.asked]


def _parsed(raw):
    """Split one RESP command off; return its words and the rest, or None if it is incomplete."""
    head, end, rest = raw.partition(b"\r\n")
    if not end:
        return None
    assert head[:1] == b"*"
    words = []
    for _ in range(int(head[1:])):
        size, end, rest = rest.partition(b"\r\n")
        if not end or len(rest) < int(size[1:]) + 2:
            return None
        assert size[:1] == b"$"
        words.append(rest[: int(size[1:])])
        assert rest[int(size[1:]) : int(size[1:]) + 2] == b"\r\n"
        rest = rest[int(size[1:]) + 2 :]
    return words, rest


@contextlib.contextmanager
def resp_server(is_plain):
    """Give a server that can listen; nothing may go wrong unnoticed, up to the loop's end."""
    with tempfile.TemporaryDirectory(prefix="roost-") as folder:
        server = RespServer(folder, is_plain)
        yield server
        assert [] == server.unseen
