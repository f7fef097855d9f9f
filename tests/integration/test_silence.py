"""Connections that go silent without being closed, and waits in any number over few connections."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys

import pytest

from roost_core.errors import BackendUnavailable, RoostError
from roost_core.models import State
from roost_plugins.redis_saq.connection import pipe, subscription
from roost_plugins.redis_saq.lanes import lanes
from roost_plugins.redis_saq.ledger import waiting
from roost_plugins.redis_saq.settings import RedisSettings
from tests.integration.redis_bench import (
    PATIENCE,
    Counting,
    Crew,
    all_done,
    eventually,
    idle,
    queue,
    settings_for,
)
from tests.integration.swallowing import Swallowing
from tests.servers import need, redis_binary, server_in


@pytest.fixture(scope="module")
def server(server_root):
    """Give a server that nobody else talks to."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "silence") as found:
        yield found


@pytest.fixture(scope="module")
def small_server(server_root):
    """Give a server that takes few connections."""
    binary = need(redis_binary(), "redis-server")
    with server_in(binary, server_root / "small", "--maxclients", "3") as found:
        yield found


@pytest.fixture
def sharp(monkeypatch):
    """Let silence be noticed soon, and let nothing else help."""
    monkeypatch.setattr(subscription, "PING_AFTER", 0.2)
    monkeypatch.setattr(subscription, "ANSWER_WITHIN", 0.3)
    monkeypatch.setattr(pipe, "COMMAND_TIMEOUT", 0.6)
    monkeypatch.setattr(waiting, "_BLOCK_MS", 200)
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 3600.0)
    monkeypatch.setattr(lanes, "_ASK_AGAIN", 3600.0)


async def listening(roost, number=1):
    """Wait until this many connections listen to the end of something."""

    async def listens():
        found = await roost.ledger.client.pubsub_channels(roost.ledger.keys.ended_channel("*"))
        return len(found) == number

    await eventually(listens)


async def test_a_worker_whose_listener_hears_nothing(server, server_root, sharp, caplog):
    """The one connection goes silent: that is noticed and reported, and the worker reconnects."""
    settings = settings_for(server, lease_ttl=3600.0)
    engine = Counting()
    caplog.set_level(logging.INFO, "roost.worker")

    async def is_told(words):
        return any(words in one.getMessage() for one in caplog.records)

    async with Swallowing(server.socket, server_root / "p1") as proxy:
        through = settings.evolve(redis_url=proxy.url)
        async with queue(settings, engine) as roost, Crew(through, engine) as crew:
            await crew.start()
            await idle(roost)
            assert 1 == proxy.swallow(b"SUBSCRIBE")
            item = await roost.enqueue("counting", {"steps": 2})
            assert [State.DONE] == await all_done(roost, [item])
            # The claim that follows a subscription may have brought it, before anybody noticed.
            await eventually(lambda: is_told("cannot listen for work, trying again"))
            await eventually(lambda: is_told("the server's messages are heard again"))
            item = await roost.enqueue("counting", {"steps": 2})
            assert [State.DONE] == await all_done(roost, [item])


async def test_a_wait_that_hears_nothing(server, server_root, sharp):
    """The connection that should announce the end goes silent: the wait ends anyway."""
    settings = settings_for(server)
    engine = Counting()
    async with (
        Swallowing(server.socket, server_root / "p2") as proxy,
        queue(settings, engine) as roost,
        queue(settings.evolve(redis_url=proxy.url), engine) as far,
        Crew(settings, engine) as crew,
    ):
        item = await roost.enqueue("counting", {"steps": 2})
        waiting_for = asyncio.create_task(far.work(item).wait())
        await listening(roost)
        assert 1 == proxy.swallow(b"SUBSCRIBE")
        await crew.start()
        async with asyncio.timeout(PATIENCE):
            assert State.DONE is (await waiting_for).meta.state


async def test_a_follower_that_hears_nothing(server, server_root, sharp):
    """The connection that waits for events goes silent: they come over the next one."""
    settings = settings_for(server)
    async with (
        Swallowing(server.socket, server_root / "p3") as proxy,
        queue(settings, Counting()) as roost,
        queue(settings.evolve(redis_url=proxy.url), Counting()) as far,
    ):
        first = await roost.enqueue("counting", {"steps": 2})
        follower = far.follow(after="0")
        assert first.work_id == (await anext(follower)).work_id
        following = asyncio.create_task(anext(follower))

        async def is_blocked():
            return proxy.swallow(b"XREAD")

        await eventually(is_blocked)
        second = await roost.enqueue("counting", {"steps": 2})
        async with asyncio.timeout(PATIENCE):
            assert second.work_id == (await following).work_id
        await follower.aclose()


async def test_one_connection_for_all_who_wait_and_follow(server):
    """Hundreds of waits and followers of one client share a few connections."""
    settings = settings_for(server)
    engine = Counting()
    number = 200
    async with (
        queue(settings, engine) as roost,
        queue(settings, engine) as other,
        Crew(settings, engine) as crew,
    ):
        items = [await other.enqueue("counting", {"steps": 1}) for _ in range(number)]
        before = (await other.ledger.client.info("clients"))["connected_clients"]
        waits = [asyncio.create_task(roost.work(one).wait()) for one in items]

        async def last(item):
            async for event in roost.work(item).follow(after="0"):
                if event.state is State.DONE:
                    return event.work_id
            raise AssertionError("events have no end")

        follows = [asyncio.create_task(last(one)) for one in items]
        await listening(other, number)
        most = (await other.ledger.client.info("clients"))["connected_clients"]
        assert most <= before + 3  # for calls, for messages, for events
        await crew.start()
        async with asyncio.timeout(PATIENCE):
            found = await asyncio.gather(*waits)
            assert [one.work_id for one in items] == await asyncio.gather(*follows)
        assert {State.DONE} == {one.meta.state for one in found}
        # Nothing is listened to any more.
        await listening(other, 0)


async def test_waits_after_their_connection_was_cut(server):
    """All of them continue over the next one, even those whose work has ended in between."""
    settings = settings_for(server)
    engine = Counting()
    async with (
        queue(settings, engine) as roost,
        queue(settings, engine) as other,
        Crew(settings, engine) as crew,
    ):
        items = [await other.enqueue("counting", {"steps": 1}) for _ in range(50)]
        waits = [asyncio.create_task(roost.work(one).wait()) for one in items]
        await listening(other, 50)
        for _ in range(3):
            await other.ledger.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            await listening(other, 50)
        await crew.start()
        async with asyncio.timeout(PATIENCE):
            found = await asyncio.gather(*waits)
        assert {State.DONE} == {one.meta.state for one in found}


async def test_a_lost_message_is_made_up_for(server, monkeypatch):
    """An end that no message announces is seen when all waits are checked together."""
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 0.2)
    settings = settings_for(server)
    async with queue(settings, Counting()) as roost, queue(settings, Counting()) as other:
        items = [await other.enqueue("counting", {"steps": 1}) for _ in range(1100)]
        waits = [asyncio.create_task(roost.work(one).wait()) for one in items]
        await listening(other, 1100)
        keys, client = other.ledger.keys, other.ledger.client
        # Purged, as it seems: whoever waits for it learns that it is gone.
        gone = items[700].work_id
        await client.hdel(keys.key("work"), gone)
        await client.zrem(keys.key("created"), gone)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(RoostError, match=gone):
                await waits[700]
        assert 1 == sum(one.done() for one in waits)
        for one in waits:
            one.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


MANY_WAITS = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from roost_core import Roost, Settings

async def main():
    settings = Settings(extra={"redis_url": sys.argv[1]}, namespace=sys.argv[2])
    async with Roost.connect(settings) as roost:
        items = [await roost.enqueue("none", any_engine=True) for _ in range(1500)]
        found = await asyncio.gather(*(roost.work(one).wait(timeout=2) for one in items))
        print(len(found), {str(one.meta.state) for one in found})

asyncio.run(main())
"""

NO_FILES_LEFT = """
import asyncio, os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from roost_core import Roost, RoostError, Settings

async def main():
    settings = Settings(extra={"redis_url": sys.argv[1]}, namespace=sys.argv[2])
    async with Roost.connect(settings) as roost:
        item = await roost.enqueue("none", any_engine=True)
        await roost.work(item).status()
        kept = []
        try:
            while True:
                kept.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        for backend_call in (
            lambda: roost.ledger.wait_terminal(item.work_id, 20),
            lambda: roost.ledger.events(after="1", work_id="x", block_ms=20_000),
        ):
            try:
                await backend_call()
            except RoostError as error:
                print(error)

asyncio.run(main())
"""


def in_child(text, server):
    """Run a program; return what it prints."""
    settings = settings_for(server)
    done = subprocess.run(
        [sys.executable, "-c", text, settings.of(RedisSettings).url, settings.namespace],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "" == done.stderr
    return done.stdout.splitlines()


def test_1500_waits_and_64_files(server):
    """Waits need no file descriptors of their own."""
    assert ["1500 {'queued'}"] == in_child(MANY_WAITS, server)


def test_no_files_left(server):
    """Running out of file descriptors is an error in one line that says what to do."""
    expected = (
        f"no connection to the server at {server.url}: too many open files; "
        "close some, or raise the limit (ulimit -n)"
    )
    assert [expected] * 2 == in_child(NO_FILES_LEFT, server)


async def test_no_connections_left(small_server):
    """So is running out of connections, on every way to the server."""
    settings = settings_for(small_server)
    async with contextlib.AsyncExitStack() as stack:
        roosts = []
        # A client that sends before the server has hung up does not always hear why.
        why = "raise its maxclients|does not answer"

        async def connect():
            while True:
                roosts.append(await stack.enter_async_context(queue(settings, Counting())))

        with pytest.raises(BackendUnavailable, match=why):
            await connect()
        item = await roosts[0].enqueue("counting", {"steps": 1})
        with pytest.raises(BackendUnavailable, match=why):
            await roosts[0].ledger.wait_terminal(item.work_id, PATIENCE)
        with pytest.raises(BackendUnavailable, match=why):
            await roosts[0].ledger.counts()
