"""Damaged indexes and records on a real server: each hurts at most the work that it belongs to."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.backend import ClaimRequest
from roost_core.errors import BackendUnavailable
from roost_core.models import State
from tests.integration.corrupt_bench import DIGITS, claim_of, running
from tests.integration.redis_bench import Counting, all_done, kinds

pytestmark = pytest.mark.fault(11, "a record, member, score or key damaged")


@pytest.fixture
def server(redis_server):
    """Return the operating system's redis-server."""
    return redis_server


@pytest.mark.parametrize(
    "member",
    [
        "led x",
        "led",
        "led ",
        "",
        " ",
        "led x y",
        "led  x",
        "led x y z",
        b"led \xff \xff",
        "counting 0 w",
    ],
)
async def test_members_of_ready_that_are_none(server, member):
    """The claim is bounded, the member is removed, and those behind it are taken."""
    async with running(server) as (queue, _start):
        innocent = [await queue.enqueue() for _ in range(3)]
        await queue.add("ready", member)
        before = await queue.commands()
        batch = await queue.roost.ledger.claim(claim_of())
        assert await queue.commands() - before < 100
        assert innocent == [one.lease.work_id for one in batch.claims]
        await queue.roost.ledger.claim(claim_of())
        left = await queue.client.zrange(queue.name("ready"), 0, -1)
        # A member that begins with no engine that anybody runs is in nobody's way.
        assert all(not one.startswith((b"led ", b"counting ")) for one in left)


@pytest.mark.parametrize("score", ["-inf", -1, 7, 1e18, "inf"])
async def test_scores_in_the_line(server, score):
    """One odd score in the set that is ordered by name hides nobody for long."""
    async with running(server, lease_ttl=2.0) as (queue, start):
        await queue.add("ready", "zzz 00000 nobody", score)
        await queue.add("ready", "a 00000 nobody", score)
        items = [await queue.enqueue() for _ in range(3)]
        await start()
        assert [State.DONE] * 3 == await all_done(queue.roost, items)


@pytest.mark.parametrize("place", ["ready", "sleeping", "retry_wait", "running"])
async def test_what_is_done_does_not_run_again(server, place):
    """The id of a done item in another index is dropped there."""
    engine = Counting()
    async with running(server, engine) as (queue, start):
        first = await queue.enqueue()
        member = (await queue.client.zrange(queue.name("ready"), 0, 0))[0]
        await start()
        await all_done(queue.roost, [first])
        begun, seen = len(engine.begun), await kinds(queue.roost, first)
        await queue.add(place, member if place == "ready" else first)
        second = await queue.enqueue()
        assert [State.DONE] == await all_done(queue.roost, [second])
        assert ["done"] == await queue.places(first)
        assert (begun, seen) == (begun, await kinds(queue.roost, first))
        assert 1 == sum(work_id == first for work_id, _ in engine.begun)


@pytest.mark.parametrize("place", ["sleeping", "retry_wait", "running"])
async def test_work_in_a_wrong_place_goes_to_its_own(server, place):
    """Work that is only in a wrong index is moved to where its record says, and runs."""
    async with running(server) as (queue, start):
        ready = await queue.enqueue()
        asleep = await queue.enqueue(delay_seconds=3600)
        await queue.client.delete(queue.name("ready"), queue.name("sleeping"))
        await queue.add(place, ready, 1)
        other = "retry_wait" if place == "sleeping" else place
        await queue.add(other, asleep, 2)
        await start()
        assert [State.DONE] * 2 == await all_done(queue.roost, [ready, asleep])


async def test_a_lease_without_its_entry(server):
    """Running work that is listed as ready gets a lease's time, and is then recovered."""
    async with running(server) as (queue, _start):
        item = await queue.enqueue()
        member = (await queue.client.zrange(queue.name("ready"), 0, 0))[0]
        ledger = queue.roost.ledger
        await ledger.claim(claim_of())
        await queue.client.delete(queue.name("running"))
        await queue.add("ready", member)
        batch = await ledger.claim(claim_of(ttl=5000))
        assert ((), ["running"]) == (batch.claims, await queue.places(item))
        stored = await ledger.read(item)
        now = await ledger.now_ms()
        assert 0 < stored.expires_ms - now <= 5000


async def test_a_place_in_the_line_that_is_not_its_own(server):
    """Work whose member has another place or engine is moved to its own place, once."""
    async with running(server) as (queue, start):
        items = [await queue.enqueue() for _ in range(2)]
        ((_, place, _),) = [(await queue.client.zrange(queue.name("ready"), 0, 0))[0].split(b" ")]
        await queue.client.delete(queue.name("ready"))
        await queue.add("ready", b"counting 1" + place + b" " + items[0].encode())
        await queue.add("ready", b"led " + place + b" " + items[1].encode())
        await queue.roost.ledger.claim(ClaimRequest("w", ("led",), 1, 1000))
        await start()
        assert [State.DONE] * 2 == await all_done(queue.roost, items)


def spoiled(raw, how):
    """Return a record with damage."""
    lines = raw.split(b"\n")
    words = lines[0].split(b" ")
    if how == "digits":
        words[3] = DIGITS
    elif how == "far":
        words[14] = b"9" * 15
    elif how == "state":
        words[1] = b"resting"
    elif how == "engine":
        words[2] = b"\xff\xfe"
    elif how == "step":
        lines[1] = b"\xff\xfe"
    elif how == "resources":
        lines[3] = b"\xff"
    elif how == "nothing":
        return b""
    lines[0] = b" ".join(words)
    return b"\n".join(lines)


@pytest.mark.parametrize(
    "how", ["digits", "far", "state", "engine", "resources", "nothing", "step"]
)
async def test_a_damaged_record_takes_nobody_along(server, how):
    """Three innocents of the same batch are done; the damaged one alone is a dead letter."""
    async with running(server) as (queue, start):
        ids = [await queue.enqueue() for _ in range(4)]
        bad = ids.pop(1)
        await queue.set_record(bad, spoiled(await queue.record(bad), how))
        await start()
        assert [State.DONE] * 3 == await all_done(queue.roost, ids)
        rows = {one.meta.work_id: one.meta for one in await queue.roost.list()}
        expected = State.DONE if how == "step" else State.FAILED
        assert expected is rows[bad].state
        if how != "step":
            assert "corrupt" == rows[bad].error.kind
            assert ["failed"] == await queue.places(bad)
        assert [0] * 3 == [rows[one].recoveries for one in ids]


async def test_an_id_that_is_no_text(server):
    """It is dead-lettered at once, and does not wait for its lease to run out."""
    async with running(server, lease_ttl=3600.0) as (queue, start):
        ids = [await queue.enqueue() for _ in range(3)]
        raw, odd = await queue.record(ids[0]), b"w-\xff\xfe"
        member = (await queue.client.zrange(queue.name("ready"), 0, 0))[0]
        await queue.set_record(odd, raw)
        await queue.add("ready", member.rsplit(b" ", 1)[0] + b" " + odd)
        await start()
        assert [State.DONE] * 3 == await all_done(queue.roost, ids)
        assert [odd] == await queue.client.zrange(queue.name("failed"), 0, -1)
        assert [rb"w-\xff\xfe".decode()] == [
            one.meta.work_id for one in await queue.roost.list("failed")
        ]


@pytest.mark.parametrize("score", ["inf", "-inf", 1e18, -1e18, 1.5])
async def test_readers_and_scores(server, score):
    """Whatever score an item has, it is listed among the others, and can be read by itself."""
    async with running(server) as (queue, _start):
        ids = [await queue.enqueue(delay_seconds=3600) for _ in range(2)]
        for place in ("sleeping", "running", "created"):
            await queue.add(place, ids[0], score)
        assert set(ids) == {one.meta.work_id for one in await queue.roost.list()}
        assert set(ids) == {one.meta.work_id for one in await queue.roost.list("sleeping")}
        assert ids[:1] == [one.meta.work_id for one in await queue.roost.list("running")]
        assert ids[0] == (await queue.roost.work(ids[0]).status()).item.work_id


@pytest.mark.parametrize(
    "damage",
    [
        {"score": "inf"},
        {"score": "-inf"},
        {"score": 1e18},
        {"info": b"\xff"},
        {"info": b'{"lease_ttl_seconds": 1' + b"0" * 400 + b"}"},
        {"info": b'{"lease_ttl_seconds": ' + DIGITS + b"}"},
        {"info": b"[" * 100_000},
    ],
    ids=str,
)
async def test_the_register_of_workers(server, damage):
    """One damaged entry hides no other worker, and counts as none."""
    async with running(server) as (queue, start):
        await start()
        while not await queue.roost.workers():  # noqa: ASYNC110 - the server can only be asked
            await asyncio.sleep(0.01)
        (info,) = (await queue.client.hgetall(queue.name("workers"))).values()
        await queue.client.hset(queue.name("workers"), "other", damage.get("info", info))
        now = await queue.roost.server.now_ms()
        await queue.add("seen", "other", damage.get("score", now))
        assert 1 == len(await queue.roost.workers())


async def test_one_bad_event(server):
    """The events before and after it are there, with a mark in its place; following continues."""
    async with running(server) as (queue, _start):
        first = await queue.enqueue()
        for fields in ({"event": b"\xff"}, {"other": "x"}, {"event": b"claimed w e " + DIGITS}):
            await queue.client.xadd(queue.name("events"), fields)
        second = await queue.enqueue()
        seen = [(one.kind, one.work_id) for one in await queue.roost.events()]
        marks = [("unreadable", "?")] * 3
        assert [("enqueued", first), *marks, ("enqueued", second)] == seen
        follow = queue.roost.follow(after="0-0")
        assert seen == [(one.kind, one.work_id) for one in [await anext(follow) for _ in range(5)]]
        await follow.aclose()
        assert ["enqueued"] == await kinds(queue.roost, second)


async def test_a_stream_at_its_end(server):
    """When no entry can follow the last one any more, work continues without events."""
    async with running(server) as (queue, start):
        last = f"{2**64 - 1}-{2**64 - 1}"
        await queue.client.xadd(queue.name("events"), {"event": "x"}, id=last)
        items = [await queue.enqueue() for _ in range(3)]
        await start()
        assert [State.DONE] * 3 == await all_done(queue.roost, items)
        assert [last] == [one.event_id for one in await queue.roost.events()]
        assert [] == await queue.roost.ledger.events(after=last)


@pytest.mark.parametrize("value", ["9" * 18, "-5", "x", "1.5", "", "9223372036854775807"])
async def test_damaged_counters(server, value):
    """The order of arrival continues from the clock: what arrives later comes after."""
    async with running(server) as (queue, start):
        ids = [await queue.enqueue()]
        await queue.client.set(queue.name("seq"), value)
        await queue.client.set(queue.name("turn"), value)
        ids += [await queue.enqueue() for _ in range(3)]
        members = await queue.client.zrange(queue.name("ready"), 0, -1)
        assert ids == [one.split(b" ")[2].decode() for one in members]
        await queue.client.set(queue.name("seq"), value)
        ids.append(await queue.enqueue(delay_seconds=0.01))
        await start()
        assert [State.DONE] * 5 == await all_done(queue.roost, ids)


@pytest.mark.parametrize(
    "key",
    [
        "events",
        "idle",
        "workers",
        "seen",
        "turn",
        "newer",
        "seq",
        "beats",
        "claims",
        "halted",
        "holds",
        "rates",
    ],
)
@pytest.mark.parametrize("kind", ["text", "set"])
async def test_keys_of_another_type_that_work_can_do_without(server, key, kind):
    """Work is enqueued, runs and is done, with its leases renewed meanwhile."""
    async with running(server, lease_ttl=0.5) as (queue, start):
        name = queue.name(key)
        await queue.client.delete(name)
        await (queue.client.set(name, "x") if kind == "text" else queue.client.sadd(name, "x"))
        items = [
            await queue.roost.enqueue("counting", {"steps": 2, "seconds": 0.4}) for _ in range(3)
        ]
        await start()
        items.append(await queue.enqueue(delay_seconds=0.05))
        assert [State.DONE] * 4 == await all_done(queue.roost, items)
        assert 4 == len(await queue.roost.list())


@pytest.mark.parametrize("key", ["sleeping", "retry_wait", "running", "done", "failed", "ready"])
async def test_an_index_of_another_type_is_waited_for(server, key):
    """A worker whose step cannot be stored waits, and says what to do; nobody is blamed."""
    engine = Counting()
    async with running(server, engine, lease_ttl=2.0) as (queue, start):
        await start()
        items = [await queue.roost.enqueue("counting", {"steps": 2, "delay": 0.05, "gated": True})]
        items.append(await queue.roost.enqueue("counting", {"steps": 2, "delay": 0.2}))
        await engine.began.wait()
        name, aside = queue.name(key), queue.name("aside")
        there = await queue.client.exists(name)
        if there:
            await queue.client.rename(name, aside)
        await queue.client.set(name, "x")
        engine.gate.set()
        await asyncio.sleep(0.5)
        with pytest.raises(BackendUnavailable, match="doctor --repair"):
            await queue.roost.counts()
        await queue.client.delete(name)
        if there:
            await queue.client.rename(aside, name)
        assert [State.DONE] * 2 == await all_done(queue.roost, items)
        for one in items:
            meta = (await queue.roost.work(one).status()).meta
            assert (0, None) == (meta.attempts, meta.error)
