"""What a work item keeps of its own past, on a real server: what it costs, and that it stays."""

from __future__ import annotations

import contextlib

import pytest

from roost_core.backend import Finish
from roost_core.testing.contract.kit import error_bytes
from tests.contract.harnesses import RedisHarness

#: What its trail may cost a work item, in bytes of fields.
MOST_BYTES = 16_000


#: What the stream may take in tests, in bytes.
BOUND = 1 << 20


def bounded(server):
    """Give an empty queue whose stream may take few bytes."""
    return driven(server, events_bytes=BOUND)


@contextlib.asynccontextmanager
async def driven(server, **settings):
    """Give an empty queue."""
    kit = RedisHarness(server.url, **settings)
    await kit.open()
    try:
        yield kit
    finally:
        await kit.close()


async def evict(kit):
    """Remove all events from the shared stream."""
    await kit.ledger.client.xtrim(kit.ledger.keys.key("events"), maxlen=0, approximate=False)


async def trail_of(kit, work_id):
    """Return the fields of a work item's trail as they are stored."""
    fields = await kit.ledger.client.hgetall(kit.ledger.keys.key("work"))
    prefix = f"{work_id} t".encode()
    return {name: value for name, value in fields.items() if name.startswith(prefix)}


async def test_a_trail_outlives_the_stream(redis_server):
    """What is no longer in the shared stream is still known from the work item itself."""
    async with driven(redis_server) as kit:
        await kit.fail(await kit.leased("a"), error=error_bytes(message="no such host"))
        await evict(kit)
        assert [] == list(await kit.ledger.events(work_id="a"))
        trail = await kit.ledger.trail("a")
        assert ["enqueued", "attempt_failed", "leased"] == [event.kind for event in trail]
        assert "no such host" == trail[1].data["error"]["message"]


@pytest.mark.parametrize("size", [1, 50, 500, 15_000])
async def test_a_trail_is_bounded_in_bytes(redis_server, size):
    """However many events there are, and however long each is."""
    async with driven(redis_server) as kit:
        claim = await kit.leased("a")
        data = b'{"text":"%s"}' % (b"x " * (size // 2))
        for version in range(100):
            await kit.commit(claim, version=version, events=(data,) * 3)
        await kit.commit(claim, Finish(), version=100)
        stored = await trail_of(kit, "a")
        assert sum(map(len, stored.values())) <= MOST_BYTES
        assert len(stored) <= 160
        trail = await kit.ledger.trail("a")
        assert ["enqueued", "emitted"] == [trail[0].kind, trail[1].kind]
        assert "leased" == trail[-1].kind
        assert len(trail) >= 40


async def test_errors_are_kept_in_brief(redis_server):
    """A long message is cut, a traceback left out; the kind is always there."""
    async with driven(redis_server) as kit:
        long = '"quoted", and \\ more ' * 2000
        await kit.fail(await kit.leased("a"), error=error_bytes(message=long))
        trail = await kit.ledger.trail("a")
        error = trail[1].data["error"]
        assert "exception" == error["kind"]
        assert error["message"].startswith('"quoted", and \\ more "quoted"')
        assert len(error["message"]) < 200
        assert trail[1].data["cut"] is True


async def test_purge_leaves_nothing_of_it(redis_server):
    """Not a field of the hash is left, also of a record that does not decode."""
    async with driven(redis_server) as kit:
        await kit.commit(await kit.leased("a"), Finish())
        await kit.fail(await kit.leased("b"), permanent=True)
        key = kit.ledger.keys.key("work")
        await kit.ledger.client.hset(key, "b", "broken")
        assert {"a", "b"} == set(await kit.purge(0, 0, 100))
        assert {} == await kit.ledger.client.hgetall(key)


async def test_a_damaged_record_still_tells(redis_server):
    """What the item kept can be read when its record cannot."""
    async with driven(redis_server) as kit:
        await kit.fail(await kit.leased("a"))
        await kit.ledger.client.hset(kit.ledger.keys.key("work"), "a", "broken")
        kinds = {event.kind for event in await kit.ledger.trail("a")}
        assert {"attempt_failed", "leased"} == kinds


async def _stream_bytes(kit):
    key = kit.ledger.keys.key("events")
    return await kit.ledger.client.memory_usage(key, samples=0)


@pytest.mark.parametrize("server_name", ["redis_server", "valkey_server"])
async def test_the_stream_is_bounded_in_bytes(request, server_name):
    """Large events of one long lease push old ones out, and no claim is needed for that."""
    async with bounded(request.getfixturevalue(server_name)) as kit:
        claim = await kit.leased("a")
        event = b'{"text":"%s"}' % (b"x" * 16_000)
        for version in range(40):
            await kit.commit(claim, version=version, events=(event,) * 8)
        assert await _stream_bytes(kit) <= 2 * BOUND
        assert 20 <= await kit.ledger.client.xlen(kit.ledger.keys.key("events"))


async def test_claims_keep_the_stream_in_bounds(redis_server):
    """Where many claims bring many events, they see to it."""
    async with bounded(redis_server) as kit:
        event = b'{"text":"%s"}' % (b"x" * 4000)
        for number in range(400):
            await kit.commit(await kit.leased(f"{number}"), Finish(), events=(event,))
        assert await _stream_bytes(kit) <= 2 * BOUND


async def test_a_server_that_does_not_measure_is_no_obstacle(redis_server):
    """Where MEMORY is not permitted, the number of events is the only bound."""
    async with driven(redis_server) as kit:
        admin = kit.ledger.client
        await admin.execute_command(
            "ACL", "SETUSER", "plain", "on", "nopass", "~*", "&*", "+@all", "-memory"
        )
        try:
            limited = RedisHarness(redis_server.url.replace("unix://", "unix://plain:x@"))
            await limited.open()
            try:
                assert "plain" == (await limited.ledger.client.acl_whoami())
                claim = await limited.leased("b")
                await limited.commit(claim, events=(b'{"text":"%s"}' % (b"x" * 16_000),) * 80)
                assert 80 <= await limited.ledger.client.xlen(limited.ledger.keys.key("events"))
            finally:
                await limited.close()
        finally:
            await admin.execute_command("ACL", "DELUSER", "plain")
