"""What a newer Roost has written is left for a newer worker, and is in nobody's way."""

from __future__ import annotations

import json

import pytest

from roost_core import State
from roost_core.backend import ClaimRequest, ListQuery
from roost_core.errors import WrittenByNewer
from roost_core.shown.plain import row_json
from roost_core.testing import MemoryArtifactStore
from roost_core.worker import Worker
from tests.integration.redis_bench import (
    Counting,
    Crew,
    all_done,
    eventually,
    queue,
    settings_for,
)

#: More than a claim looks at, or makes ready, in one batch.
MANY = 101
OTHERS = 3


@pytest.fixture
def server(redis_server):
    """Return the operating system's redis-server."""
    return redis_server


def made_newer(raw):
    """Return a record as a newer Roost could have written it: the next layout is 5."""
    layout, rest = raw.split(b" ", 1)
    state, engine, _ = rest.split(b" ", 2)
    return b"%d %s %s {what it holds is not known}" % (int(layout) + 3, state, engine)


async def make_newer(roost, work_ids):
    """Turn the records of work items into a newer Roost's; return them as they were, and are."""
    client, key = roost.ledger.client, roost.ledger.keys.key("work")
    before = dict(zip(work_ids, await client.hmget(key, work_ids), strict=True))
    after = {work_id: made_newer(raw) for work_id, raw in before.items()}
    await client.hset(key, mapping=after)
    return before, after


async def records_of(roost, work_ids):
    """Return the records of work items by id."""
    found = await roost.ledger.client.hmget(roost.ledger.keys.key("work"), work_ids)
    return dict(zip(work_ids, found, strict=True))


async def stand_in(roost, place, number):
    """Enqueue work and bring it to a place; return the ids."""
    ledger = roost.ledger
    delay = 3600 if place == "sleeping" else 0
    items = [
        await roost.enqueue("counting", {"steps": 1}, delay_seconds=delay) for _ in range(number)
    ]
    ids = [one.work_id for one in items]
    client, key = ledger.client, ledger.keys.key
    if place == "sleeping":
        await client.zadd(key("sleeping"), dict.fromkeys(ids, 1))
    if place in ("running", "retry_wait", "done"):
        batch = await ledger.claim(ClaimRequest("w", ("counting",), number, 60_000))
        assert number == len(batch.claims)
        for claim in batch.claims:
            work_id = claim.lease.work_id
            if place == "running":
                await client.zadd(key("running"), {work_id: 1})
            else:
                raw = await client.hget(key("work"), work_id)
                raw = raw.replace(b"running", place.encode(), 1)
                await client.hset(key("work"), work_id, raw)
                await client.zrem(key("running"), work_id)
                await client.zadd(key(place), {work_id: 1})
    return ids


@pytest.mark.parametrize("place", ["ready", "sleeping", "retry_wait", "running"])
async def test_many_in_front_hold_nobody_up(server, place):
    """One claim gets what it can of its own; later ones do not meet the newer work again."""
    settings = settings_for(server)
    async with queue(settings, Counting()) as roost:
        all_ids = await stand_in(roost, place, MANY + OTHERS)
        # In the order in which they are there: first come, or at one time by name.
        standing = all_ids if place == "ready" else sorted(all_ids)
        newer, own = standing[:MANY], standing[MANY:]
        before, after = await make_newer(roost, newer)
        request = ClaimRequest("worker", ("counting",), OTHERS, 15_000)
        batch = await roost.ledger.claim(request)
        assert sorted(own) == sorted(one.lease.work_id for one in batch.claims)
        assert MANY == batch.left + (await roost.ledger.claim(request)).left
        again = await roost.ledger.claim(request)
        assert ((), 0) == (again.claims, again.left)
        # Nothing but the end of its own item's lease is to come, so it claims nothing before that.
        assert again.next_wake_ms > 1000
        assert after == await records_of(roost, newer)
        findings = {one.subject: one for one in await roost.ledger.diagnose()}
        assert "warning" == findings["upgrade"].level
        assert findings["upgrade"].message.startswith(f"{MANY} work items")
        # A worker that knows the layout: for it, they are not newer.
        client, key = roost.ledger.client, roost.ledger.keys.key
        await client.hset(key("work"), mapping=before)
        await client.zadd(key("newer"), dict.fromkeys(await client.zrange(key("newer"), 0, -1), 1))
        await Worker(settings, roost.plugins, roost.server, MemoryArtifactStore(), burst=True).run()
        states = {(await roost.ledger.read(work_id)).state for work_id in newer}
        assert {State.DONE} == states
        assert 0 == await client.zcard(key("newer"))


async def test_purges_pass_them_over(server):
    """Old work of a newer Roost stays; what comes behind it is purged."""
    settings = settings_for(server)
    async with queue(settings, Counting()) as roost:
        newer = await stand_in(roost, "done", MANY)
        _, after = await make_newer(roost, newer)
        own = await stand_in(roost, "done", OTHERS)
        client, key = roost.ledger.client, roost.ledger.keys.key
        await client.zadd(key("done"), dict.fromkeys(own, 2))
        gone = await roost.ledger.purge(1, None, 50)
        assert own == sorted((one.work_id for one in gone), key=own.index)
        assert after == await records_of(roost, newer)
        assert MANY == await client.zcard(key("done"))


async def test_people_are_told(server):
    """A listing has a mark, and the status one line; what every layout contains is shown."""
    settings = settings_for(server)
    async with queue(settings, Counting()) as roost:
        (newer,) = await stand_in(roost, "ready", 1)
        await make_newer(roost, [newer])
        (row,) = await roost.list()
        plain = row_json(row)
        seen = [plain[name] for name in ("work_id", "engine", "state", "is_readable", "is_newer")]
        assert [newer, "counting", "queued", False, True] == seen
        with pytest.raises(WrittenByNewer, match=f"newer Roost wrote {newer}"):
            await roost.work(newer).status()


async def test_an_upgrade_under_a_lease(server):
    """The old holder's step is dropped, without an attempt, and the newer record is left."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        item = await roost.enqueue("counting", {"steps": 1, "gated": True})
        await crew.start()
        await engine.began.wait()
        _, after = await make_newer(roost, [item.work_id])
        engine.gate.set()
        other = await roost.enqueue("counting", {"steps": 2})
        assert [State.DONE] == await all_done(roost, [other])
        assert after == await records_of(roost, [item.work_id])
        kinds = [one.kind for one in await roost.work(item.work_id).events()]
        assert ["enqueued", "claimed", "committed"] == kinds


@pytest.mark.parametrize("what", ["item", "snapshot"])
async def test_bytes_with_a_newer_schema(server, what):
    """They are given back once, without blame, and not met again."""
    settings = settings_for(server, slice_steps=1)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        item = await roost.enqueue("counting", {"steps": 5, "delay": 3600})
        client, key = roost.ledger.client, roost.ledger.keys.key
        await crew.start()
        await engine.began.wait()
        await eventually(lambda: client.zscore(key("sleeping"), item.work_id))
        field = f"{item.work_id} {what}"
        raw = json.loads(await client.hget(key("work"), field))
        newer = json.dumps({**raw, "schema": 7, "more": [1]})
        await client.hset(key("work"), field, newer)
        await client.zadd(key("sleeping"), {item.work_id: 1})
        for _ in range(5):
            other = await roost.enqueue("counting", {"steps": 2})
            assert [State.DONE] == await all_done(roost, [other])
        stored = await roost.ledger.read(item.work_id)
        assert (0, 0, None) == (stored.attempts, stored.recoveries, stored.error)
        assert newer.encode() == getattr(stored, what)
        kinds = [one.kind for one in await roost.work(item.work_id).events()]
        assert 1 == kinds.count("interrupted")
        assert 7 == await client.zscore(key("newer"), (await client.zrange(key("newer"), 0, 0))[0])


async def test_words_and_lines_that_are_not_known(server):
    """What a Roost of the same layout has added survives whatever happens to the work."""
    settings = settings_for(server, slice_steps=2)
    engine = Counting()
    async with queue(settings, engine) as roost:
        item = await roost.enqueue("counting", {"steps": 9, "delay": 0.01})
        client, key = roost.ledger.client, roost.ledger.keys.key
        lines = (await client.hget(key("work"), item.work_id)).split(b"\n")
        lines[0] += b" a-word 17"
        lines[2] += b" another"
        raw = b"\n".join([*lines, b"a line", b"and another"])
        await client.hset(key("work"), item.work_id, raw)
        async with Crew(settings, engine) as crew:
            await crew.start()
            assert [State.DONE] == await all_done(roost, [item])
        stored = (await records_of(roost, [item.work_id]))[item.work_id].split(b"\n")
        assert stored[0].endswith(b" a-word 17")
        assert stored[2].endswith(b" another")
        assert [b"a line", b"and another"] == stored[6:]


async def test_newer_work_is_listed_by_its_engine(server):
    """Every layout names the engine: a listing of one engine's work shows that work, too."""
    settings = settings_for(server)
    async with queue(settings, Counting(), Counting("other")) as roost:
        mine = await roost.enqueue("counting", {"steps": 1})
        await roost.enqueue("other", {"steps": 1})
        await make_newer(roost, [mine.work_id])
        for engine, expected in (("counting", [mine.work_id]), ("none", [])):
            found = await roost.ledger.list(ListQuery(engine=engine))
            assert expected == [one.work_id for one in found]
