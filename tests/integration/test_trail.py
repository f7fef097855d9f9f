"""What a work item keeps of its own past, on a real server: what it costs, and that it stays."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.backend import Then
from roost_core.testing.contract.kit import error_bytes
from tests.contract.harnesses import RedisHarness

#: What its trail may cost a work item, in bytes of fields.
MOST_BYTES = 16_000


def driven(server, scenario):
    """Run a scenario against an empty queue."""

    async def main():
        kit = RedisHarness(server.url)
        await kit.open()
        try:
            await scenario(kit)
        finally:
            await kit.close()

    asyncio.run(main())


async def evict(kit):
    """Let all events of the shared stream go."""
    await kit.backend.client.xtrim(kit.backend.keys.key("events"), maxlen=0, approximate=False)


async def trail_of(kit, work_id):
    """Return the fields of a work item's trail as they are stored."""
    fields = await kit.backend.client.hgetall(kit.backend.keys.key("work"))
    prefix = f"{work_id} t".encode()
    return {name: value for name, value in fields.items() if name.startswith(prefix)}


def test_a_trail_outlives_the_stream(redis_server):
    """What is in the shared stream no more is told by the work item itself."""

    async def scenario(kit):
        await kit.fail(await kit.leased("a"), error=error_bytes(message="no such host"))
        await evict(kit)
        assert [] == list(await kit.backend.events(work_id="a"))
        trail = await kit.backend.trail("a")
        assert ["enqueued", "attempt_failed", "leased"] == [event.kind for event in trail]
        assert "no such host" == trail[1].data["error"]["message"]

    driven(redis_server, scenario)


@pytest.mark.parametrize("size", [1, 50, 500, 15_000])
def test_a_trail_is_bounded_in_bytes(redis_server, size):
    """However many events there are, and however long each is."""

    async def scenario(kit):
        claim = await kit.leased("a")
        data = b'{"text":"%s"}' % (b"x " * (size // 2))
        for version in range(100):
            await kit.commit(claim, version=version, events=(data,) * 3)
        await kit.commit(claim, Then.FINISH, version=100)
        stored = await trail_of(kit, "a")
        assert sum(map(len, stored.values())) <= MOST_BYTES
        assert len(stored) <= 160
        trail = await kit.backend.trail("a")
        assert ["enqueued", "emitted"] == [trail[0].kind, trail[1].kind]
        assert "leased" == trail[-1].kind
        assert len(trail) >= 40

    driven(redis_server, scenario)


def test_errors_are_kept_in_brief(redis_server):
    """A long message is cut, a traceback left out; the kind is always there."""

    async def scenario(kit):
        long = '"quoted", and \\ more ' * 2000
        await kit.fail(await kit.leased("a"), error=error_bytes(message=long))
        trail = await kit.backend.trail("a")
        error = trail[1].data["error"]
        assert "exception" == error["kind"]
        assert error["message"].startswith('"quoted", and \\ more "quoted"')
        assert len(error["message"]) < 200
        assert trail[1].data["cut"] is True

    driven(redis_server, scenario)


def test_purge_leaves_nothing_of_it(redis_server):
    """Not a field of the hash is left, also of a record that does not decode."""

    async def scenario(kit):
        await kit.commit(await kit.leased("a"), Then.FINISH)
        await kit.fail(await kit.leased("b"), permanent=True)
        key = kit.backend.keys.key("work")
        await kit.backend.client.hset(key, "b", "broken")
        assert {"a", "b"} == set(await kit.backend.purge(0, 0, 100))
        assert {} == await kit.backend.client.hgetall(key)

    driven(redis_server, scenario)


def test_a_damaged_record_still_tells(redis_server):
    """What the item kept can be read when its record cannot."""

    async def scenario(kit):
        await kit.fail(await kit.leased("a"))
        await kit.backend.client.hset(kit.backend.keys.key("work"), "a", "broken")
        kinds = {event.kind for event in await kit.backend.trail("a")}
        assert {"attempt_failed", "leased"} == kinds

    driven(redis_server, scenario)
