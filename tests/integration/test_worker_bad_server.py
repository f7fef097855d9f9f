"""Workers over a real server that misbehaves."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio

from roost_core.errors import BackendError
from roost_core.models import State
from tests.integration.redis_bench import (
    Counting,
    Crew,
    all_done,
    burst,
    queue,
    settings_for,
    versions,
)
from tests.servers import need, redis_binary, server_in


@pytest.fixture(scope="module")
def server(server_root):
    """Give a server that nobody else talks to, because these tests cut everybody off."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "worker") as found:
        yield found


async def client_kill(roost, kind="normal"):
    """Cut all connections of a kind, except the one that asks."""
    await roost.ledger.client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


async def harm(settings, *, harm_once, times, pause=0.02):
    """Run a crew over work while the server is harmed again and again; check the record."""
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await crew.start()
        items = [
            await roost.enqueue("counting", {"steps": 30, "seconds": 0.01, "delay": 0.002})
            for _ in range(10)
        ]
        for _ in range(times):
            await asyncio.sleep(pause)
            await harm_once(roost)
        assert [State.DONE] * 10 == await all_done(roost, items)
        assert {one.work_id: list(range(1, 32)) for one in items} == await versions(roost)
        return items, engine


@pytest.mark.fault(6, "SCRIPT FLUSH", n=10)
async def test_script_flush(server):
    """Forgotten scripts are loaded again: ten times in the middle, and no step is run twice."""

    async def flush(roost):
        await roost.ledger.client.script_flush()

    items, engine = await harm(settings_for(server), harm_once=flush, times=10)
    assert 30 * len(items) == len(engine.begun)


@pytest.mark.fault(6, "CLIENT KILL", n=10)
async def test_client_kill(server):
    """All connections are cut ten times in the middle: every version exactly once."""
    await harm(settings_for(server, lease_ttl=2.0), harm_once=client_kill, times=10)


@pytest.mark.fault(6, "CLIENT KILL, listeners too", n=10)
async def test_client_kill_of_all_kinds(server):
    """Including those that listen."""

    async def kill(roost):
        await client_kill(roost, "pubsub")
        await client_kill(roost)

    await harm(settings_for(server, lease_ttl=2.0), harm_once=kill, times=10)


@pytest.mark.fault(14, "READONLY, or no memory left", n=3)
@pytest.mark.parametrize("what", ["out of memory", "read only"])
async def test_a_server_that_refuses_for_now(server_root, what):
    """Steps wait for the server to take writes again; no attempt is used up."""
    binary = need(redis_binary(), "redis-server")
    with server_in(binary, server_root / "refusing") as server:

        async def refuse(client):
            if what == "read only":
                await client.execute_command("REPLICAOF", "127.0.0.1", "1")
            else:
                await client.config_set("maxmemory", 1)

        async def recover(client):
            if what == "read only":
                await client.execute_command("REPLICAOF", "NO", "ONE")
            else:
                await client.config_set("maxmemory", 0)

        settings = settings_for(server)
        engine = Counting()
        async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
            await crew.start()
            wish = {"steps": 20, "seconds": 0.005, "delay": 0.001}
            items = [await roost.enqueue("counting", wish) for _ in range(5)]
            await engine.began.wait()
            client = roost.ledger.client
            for _ in range(3):
                await refuse(client)
                await asyncio.sleep(0.2)
                await recover(client)
                await asyncio.sleep(0.05)
            assert [State.DONE] * 5 == await all_done(roost, items)
            assert {one.work_id: list(range(1, 22)) for one in items} == await versions(roost)
            metas = [(await roost.work(one).status()).meta for one in items]
            assert {(0, 0)} == {(one.attempts, one.recoveries) for one in metas}
            assert 100 == len(engine.begun)


@pytest.mark.parametrize("what", ["password", "permission", "user"])
async def test_a_login_that_is_refused_for_now(server_root, what):
    """Somebody changes passwords or permissions: steps wait, none is dropped or run twice."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "rotating") as server:
        rights = ("on", "~*", "&*", "+@all")
        admin = redis.asyncio.Redis(unix_socket_path=str(server.socket))
        settings = settings_for(server, lease_ttl=30.0).evolve(
            redis_url=f"unix://me:old@{server.socket}"
        )
        engine = Counting()

        async def refuse():
            if what == "permission":
                await admin.execute_command("ACL", "SETUSER", "me", "-@all")
            elif what == "password":
                await admin.execute_command("ACL", "SETUSER", "me", "resetpass", ">new")
                await admin.execute_command("CLIENT", "KILL", "USER", "me")
            else:
                await admin.execute_command("ACL", "DELUSER", "me")

        async def allow():
            await admin.execute_command("ACL", "SETUSER", "me", ">old", *rights)

        await allow()
        async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
            await crew.start()
            items = [
                await roost.enqueue("counting", {"steps": 12, "seconds": 0.05}) for _ in range(5)
            ]
            await engine.began.wait()
            for _ in range(2):
                await refuse()
                await asyncio.sleep(1.0)
                await allow()
                await asyncio.sleep(0.1)
            assert [State.DONE] * 5 == await all_done(roost, items)
            assert {one.work_id: list(range(1, 14)) for one in items} == await versions(roost)
            metas = [(await roost.work(one).status()).meta for one in items]
            assert {(0, 0)} == {(one.attempts, one.recoveries) for one in metas}
            assert 60 == len(engine.begun)
        await admin.aclose()


async def test_a_first_login_that_is_refused_is_told_at_once(server):
    """A wrong password is one line, and nothing is repeated."""
    settings = settings_for(server).evolve(redis_url=f"unix://me:wrong@{server.socket}")
    with pytest.raises(BackendError, match="refused the login") as told:
        async with queue(settings):
            pass
    assert BackendError is type(told.value)
    assert "wrong" not in str(told.value).replace("WRONGPASS", "")


async def test_an_evicting_server_is_refused(server_root):
    """A worker does not start where the server may throw its work away."""
    binary = need(redis_binary(), "redis-server")
    options = ("--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb")
    with server_in(binary, server_root / "evicting", *options) as server:
        settings = settings_for(server)
        async with queue(settings, Counting()) as roost:
            with pytest.raises(BackendError, match="maxmemory-policy is allkeys-lru"):
                await burst(settings, roost)
