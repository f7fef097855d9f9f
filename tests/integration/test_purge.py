"""What a purge removes and leaves, on a real server."""

from __future__ import annotations

import contextlib

import pytest

from roost_core.backend import EnqueueOutcome, Finish, OrderOutcome, Yield
from roost_core.models import Verb
from tests.contract.harnesses import RedisHarness


@contextlib.asynccontextmanager
async def driven(server):
    """Give an empty queue."""
    kit = RedisHarness(server.url)
    await kit.open()
    try:
        yield kit
    finally:
        await kit.close()


@pytest.mark.parametrize("damage", ["broken", "2 nonsense 5\n\n\n\nkey\n", None])
async def test_the_key_of_a_damaged_record_goes_too(redis_server, damage):
    """Its key is read from what is left of it, or from the item, and freed."""
    async with driven(redis_server) as kit:
        await kit.fail(await kit.leased("a", idempotency_key="key"), permanent=True)
        await kit.created("b", idempotency_key="other")
        client, key = kit.ledger.client, kit.ledger.keys.key
        item = b'{"schema":1,"idempotency_key":"key"}'
        await client.hset(key("work"), "a item", b"gone" if damage and "key" in damage else item)
        if damage is None:
            await client.hdel(key("work"), "a")
        else:
            await client.hset(key("work"), "a", damage)
        assert ["a"] == await kit.purge(0, 0, 100)
        assert {b"other"} == set(await client.hgetall(key("key")))
        await kit.created("a", idempotency_key="key")


async def test_a_damaged_record_does_not_take_the_key_of_another(redis_server):
    """A key that stands for other work stays, whatever the damaged bytes say."""
    async with driven(redis_server) as kit:
        await kit.fail(await kit.leased("a"), permanent=True)
        await kit.created("b", idempotency_key="key")
        client, key = kit.ledger.client, kit.ledger.keys.key
        await client.hset(key("work"), "a", "2 nonsense 5\n\n\n\nkey\n")
        assert ["a"] == await kit.purge(0, 0, 100)
        assert {b"key"} == set(await client.hgetall(key("key")))


@pytest.mark.parametrize("is_dropped", [True, False])
async def test_nothing_of_its_leases_stays(redis_server, is_dropped):
    """Their trail, and the answers that are remembered for lost replies."""
    async with driven(redis_server) as kit:
        client, key = kit.ledger.client, kit.ledger.keys.key
        claim = await kit.leased("a")
        for _ in range(4):
            await kit.commit(claim, Yield(), events=(b"{}",))
            claim = await kit.claim_one("a")
        await kit.fail(claim, permanent=True)
        stored = {name.decode() for name in await client.hkeys(key("work"))}
        assert {"a", "a item", "a snapshot", "a error", "a a0", "a a1", "a a2", "a t0"} <= stored
        if is_dropped:
            assert OrderOutcome.DONE == (await kit.order("a", Verb.DROP)).outcome
        else:
            assert ["a"] == await kit.purge(0, 0, 100)
        assert [] == await client.hkeys(key("work"))


@pytest.mark.parametrize("is_dropped", [True, False])
async def test_a_lost_key_that_other_work_has_by_now(redis_server, is_dropped):
    """It stays with that: enqueued again under the key, it is not stored twice."""
    async with driven(redis_server) as kit:
        await kit.created("a", idempotency_key="key")
        await kit.done("a", Verb.CANCEL)
        await kit.ledger.client.hdel(kit.ledger.keys.key("key"), "key")
        await kit.created("b", idempotency_key="key")
        if is_dropped:
            assert OrderOutcome.DONE == (await kit.order("a", Verb.DROP)).outcome
        else:
            assert ["a"] == await kit.purge(0, 0, 100)
        answer = await kit.enqueue("c", idempotency_key="key")
        assert (EnqueueOutcome.EXISTING, "b") == (answer.outcome, answer.work_id)


async def test_a_damaged_record_has_the_life_that_the_index_knows(redis_server):
    """So that its clean-up does not touch a successor either."""
    async with driven(redis_server) as kit:
        await kit.fail(await kit.leased("a"), permanent=True)
        created = (await kit.read("a")).created_ms
        await kit.ledger.client.hset(kit.ledger.keys.key("work"), "a", "broken")
        (gone,) = await kit.ledger.purge(0, 0, 100)
        assert ("a", created) == (gone.work_id, gone.life)


async def test_many_are_forgotten_in_one_call(redis_server):
    """The list of what is to be forgotten ends empty, however many there were."""
    async with driven(redis_server) as kit:
        for number in range(250):
            await kit.commit(await kit.leased(f"{number}"), Finish())
        gone = await kit.ledger.purge(0, None, 1000)
        assert 250 == len(gone)
        assert [] == list(await kit.ledger.purge(0, None, 1000, gone))
        assert 0 == await kit.ledger.client.zcard(kit.ledger.keys.key("forgetting"))
