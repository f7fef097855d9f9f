"""The index by which work is found, on real servers: what keeps it true, and what if it is not."""

from __future__ import annotations

import pytest

from roost_core.backend import ClaimRequest, Failure, Purged
from roost_core.client.requests import EnqueueRequest
from roost_core.codec.records import encode_model
from roost_core.models import ErrorRecord
from roost_core.query import fingerprint, parse
from tests.integration.redis_bench import Counting, queue, settings_for
from tests.servers import need, redis_binary, server_in


@pytest.fixture(params=["redis_server", "valkey_server"])
def server(request):
    """Return each server."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def roost(server):
    """Give a connection to a queue of its own."""
    return queue(settings_for(server), Counting())


def keys_of(roost):
    """Return the client, and the function that names keys."""
    return roost.ledger.client, roost.ledger.keys.key


async def members(roost):
    """Return the members of the index."""
    client, key = keys_of(roost)
    return {one.decode() for one in await client.zrange(key("index"), 0, -1)}


async def fail(roost, raw, *, permanent):
    """Let the first work item that is ready fail with an encoded error."""
    (claim,) = (await roost.ledger.claim(ClaimRequest("w", ("counting",), 1, 60_000))).claims
    await roost.ledger.fail(claim.lease, Failure("c1", raw, permanent, 3_600_000))
    return claim.lease.work_id


def error(message, **fields):
    """Encode an error."""
    return encode_model(ErrorRecord("exception", message, **fields))


ERRORS = [
    error("plain"),
    error(""),
    error("item w-12 of 7: 429", error_type="HTTPError"),
    error('quotes " and \\ and "," and "}', error_type='Odd"Type'),
    error("zwei Zeilen\n2 ü €", traceback='"message":"none"', worker_id="w"),
    error("a" * 79 + "9" + "b" * 400),
    error("x9 " * 300),
    error("é" * 100),
    error("ends in 9"),
    encode_model(ErrorRecord("timeout", "m", extra={"message": "first", "kind": 'a","b'})),
    b"",
    b"\x00\xff",
    b'{"kind":"a"',
    b'{"message":"open 12',
]


@pytest.mark.parametrize("raw", ERRORS)
async def test_scripts_see_the_same_fingerprint(roost, raw):
    """What the index says of an error is what everybody computes from its bytes."""
    await roost.enqueue("counting", work_id="a")
    await fail(roost, raw, permanent=True)
    expected = {"e counting a", f"f {fingerprint(raw)} a"}
    assert expected == await members(roost)


async def test_a_member_for_each_thing(roost):
    """Engine, labels and error; one for an error that may pass, another for a dead letter."""
    await roost.enqueue("counting", work_id="a", labels={"team": "x", "env": "prod"})
    own = {"e counting a", "l team=x a", "l env=prod a"}
    assert own == await members(roost)
    raw = error("no")
    await fail(roost, raw, permanent=False)
    assert own | {f"r {fingerprint(raw)} a"} == await members(roost)
    await roost.ledger.purge(0, 0, 10)
    assert own | {f"r {fingerprint(raw)} a"} == await members(roost)


async def test_work_without_an_index(roost):
    """What is missing there is still found, and the answer says so, until it is repaired."""
    client, key = keys_of(roost)
    await roost.enqueue("counting", work_id="a1", labels={"team": "x"})
    await roost.enqueue("other", work_id="a2", any_engine=True)
    await roost.enqueue("counting", work_id="d")
    await client.zrem(key("index"), "e counting a1", "l team=x a1")
    for text, ids in (("engine:counting", ["a1", "d"]), ("label:team", ["a1"]), ("id:a*", 2)):
        found = await roost.find(text)
        count = await roost.count(text)
        assert not found.is_indexed
        assert not count.is_indexed
        number = ids if isinstance(ids, int) else len(ids)
        assert (number, number) == (len(found), count.total)
    by_engine = await roost.count(by="engine")
    assert {"counting": 2, "other": 1} == {one.name: one.count for one in by_engine.groups}
    assert not by_engine.is_indexed
    (told,) = [one for one in await roost.ledger.diagnose() if one.subject == "index"]
    assert "it has 2 of 3 work items and 0 of 0 dead letters" in told.message
    await roost.repair()
    assert (await roost.find("engine:counting")).is_indexed
    assert (await roost.count(by="engine")).is_indexed
    assert [] == [one for one in await roost.ledger.diagnose() if one.subject == "index"]


async def test_a_dead_letter_that_the_index_lacks(roost):
    """What asks for errors looks at all; the rest need not."""
    client, key = keys_of(roost)
    await roost.enqueue("counting", work_id="a")
    raw = error("item 5")
    await fail(roost, raw, permanent=True)
    await client.zrem(key("index"), f"f {fingerprint(raw)} a")
    found = await roost.find("error:item")
    assert (1, False) == (len(found), found.is_indexed)
    count = await roost.count("state:failed", by="error")
    assert [(fingerprint(raw), 1)] == [(one.name, one.count) for one in count.groups]
    assert not count.is_indexed
    assert (await roost.find("engine:counting")).is_indexed
    await roost.repair()
    assert (await roost.count("state:failed", by="error")).is_indexed


async def test_what_purges_of_older_ones_have_left(roost):
    """It is never found, and goes with later purges: a part of the index each minute."""
    client, key = keys_of(roost)
    await roost.enqueue("counting", work_id="a", labels={"team": "x"})
    wrong = ["e counting gone", "l team=y a", "l team=x gone", "f 0123456789ab a", "r 0 a", "?"]
    await client.zadd(key("index"), dict.fromkeys(wrong, 0))
    assert ["a"] == [row.meta.work_id for row in await roost.find("label:team")]
    assert 1 == (await roost.count("label:team=y,x")).total
    await roost.ledger.purge(3_600_000, None, 10)
    assert {"e counting a", "l team=x a"} == await members(roost)


async def test_a_broken_record_stays_where_it_can_be_found(roost):
    """As a dead letter, of the engine that its item names; once it is purged nothing is left."""
    client, key = keys_of(roost)
    await roost.enqueue("counting", work_id="a", labels={"team": "x"})
    await client.hset(key("work"), "a", b"\xff")
    await roost.ledger.claim(ClaimRequest("w", ("counting",), 1, 60_000))
    assert (1, True) == ((await roost.count("error:*")).total, (await roost.count()).is_exact)
    assert (await roost.count("engine:counting")).is_indexed
    await roost.ledger.purge(0, 0, 10)
    assert {"l team=x a"} >= await members(roost)
    assert 0 == (await roost.count("engine:counting")).total


@pytest.mark.parametrize("text", ["", "engine:counting", "label:team=x", "error:*", "id:a*", "x"])
async def test_an_index_that_is_none(roost, text):
    """Whatever is in its place, work is enqueued and fails, and a repair makes it again."""
    client, key = keys_of(roost)
    await client.set(key("index"), "x")
    await roost.enqueue("counting", work_id="a", labels={"team": "x"})
    assert "a" == await fail(roost, error("no"), permanent=False)
    await roost.repair()
    assert ["a"] == [row.meta.work_id for row in await roost.find(text)]


@pytest.fixture(scope="module")
def own_server(server_root):
    """Give a server that nobody else talks to."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "found") as found:
        yield found


async def scripts_called(roost, ask):
    """Return the number of script calls that a question takes, and of work items looked at."""
    client = roost.ledger.client

    async def called():
        stats = await client.info("commandstats")
        return sum(
            stats.get(f"cmdstat_{one}", {"calls": 0})["calls"] for one in ("evalsha", "eval")
        )

    before = await called()
    answer = await ask()
    return await called() - before, answer.looked


async def test_what_is_indexed_costs_the_same_at_any_size(own_server):
    """As many calls, and no more work items looked at than come back, however many there are."""
    async with queue(settings_for(own_server), Counting()) as roost:
        asked = {}
        for size in (200, 2000):
            have = (await roost.count()).total
            await roost.enqueue_many(
                [roost_request(f"w-{number:05}", number) for number in range(have, size)]
            )
            for text in ("engine:counting", "label:team=t3", "id:w-00*", "state:queued", "error:*"):
                for by in (None, "engine" if "engine" in text else None):
                    await roost.count(text, by=by)
                    calls, looked = await scripts_called(roost, lambda: roost.count(text, by=by))  # noqa: B023
                    assert (text, 0) == (text, looked)
                    assert asked.setdefault((text, by), calls) == calls
            for text in ("", "engine:counting", "label:one=1", "id:w-0000*", "state:queued"):
                await roost.find(text, limit=10)
                calls, looked = await scripts_called(roost, lambda: roost.find(text, limit=10))  # noqa: B023
                assert asked.setdefault(text, calls) == calls
                assert (text, True) == (text, looked <= 12)


def roost_request(work_id, number):
    """Make a work item with a label that many have, and one that few have."""
    labels = {"team": f"t{number % 7}"} | ({"one": "1"} if number < 5 else {})
    return EnqueueRequest(engine="counting", work_id=work_id, labels=labels)


async def test_a_count_that_looks_is_bounded(own_server):
    """It says how many it has looked at; a query without anything indexed looks at all."""
    async with queue(settings_for(own_server), Counting()) as roost:
        await roost.enqueue_many([roost_request(f"w-{number}", number) for number in range(1200)])
        some = await roost.count("priority:0", look=700)
        assert (700, 700, False) == (some.total, some.looked, some.is_exact)
        whole = await roost.count("priority:0")
        assert (1200, 1200, True) == (whole.total, whole.looked, whole.is_exact)
        narrow = await roost.count("label:team=t1 priority:0")
        assert (172, 172, True) == (narrow.total, narrow.looked, narrow.is_exact)
        pages = [row.meta.work_id async for row in roost.select("priority:0").rows()]
        assert 1200 == len(set(pages)) == len(pages)
        assert parse("priority:0") == roost.select("priority:0").query


async def test_what_a_person_drops_is_struck_off_without_a_walk(roost):
    """That happens once for each work item: the walk through the index is left to upkeep."""
    requests = [EnqueueRequest(engine="counting") for _ in range(200)]
    await roost.enqueue_many(requests)
    client, _ = keys_of(roost)

    async def looked_at():
        return (await client.info("commandstats"))["cmdstat_hget"]["calls"]

    await roost.ledger.purge(3_600_000, None, 10)
    before = await looked_at()
    await roost.ledger.purge(3_600_000, None, 0, [Purged("w-none", 1)])
    assert 20 > await looked_at() - before
