"""Damaged records on a real server: each is reported, and hurts its own work only."""

from __future__ import annotations

import json

import pytest

from roost_core.models import State
from tests.integration.redis_bench import (
    Counting,
    Crew,
    all_done,
    eventually,
    queue,
    same,
    settings_for,
)
from tests.servers import need, redis_binary, server_in


@pytest.fixture(scope="module")
def server(server_root):
    """Give a server that nobody else talks to, because these tests cut everybody off."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "worker") as found:
        yield found


#: The words of a record's first and third line.
HEAD = (
    "layout state engine version token last updated committed attempts blame row max_steps"
    " has_error has_beat deadline wish anchor"
)

REST = (
    "fence worker priority seq created started blocked_on max_attempts max_recoveries nonce"
    " since base entries oldest"
)

LINES = {0: HEAD.split(), 2: REST.split()}


#: What cannot be a word's value; unless listed here, any number but a whole one.
WRONG = {
    "layout": b"0",
    "token": b"",
    "last": b"",
    "engine": b"",
    "worker": b"",
    "blocked_on": b"",
    "nonce": b"",
    "has_error": b"2",
    "has_beat": b"no",
    "state": b"5",
    "priority": b"--5",
    "fence": b"-1",
    "version": b"\xff",
    "attempts": b"1.5",
    "blame": b"0,0",
}


def damaged(number, word=None, by=None):
    """Return what damages a record: replaces a word by another, or by nothing, or a line by it."""

    def damage(raw):
        lines = raw.split(b"\n")
        if word is None:
            lines[number : number + 1] = [] if by is None else [by]
        else:
            words = lines[number].split(b" ")
            at = LINES[number].index(word)
            assert len(LINES[number]) == len(words)
            words[at : at + 1] = [] if by is None else [by]
            lines[number] = b" ".join(words)
        return b"\n".join(lines)

    return damage


def extra(number, word):
    """Return what adds a word to a line."""

    def damage(raw):
        lines = raw.split(b"\n")
        lines[number] += word
        return b"\n".join(lines)

    return damage


def always(raw):
    """Return what puts other bytes in a record's place."""
    return lambda _: raw


DAMAGES = [
    *(always(raw) for raw in (b"", b"{", b'{"engine":"counting"}', b"\n" * 6, b"\xff\x00")),
    *(
        damaged(line, word, by)
        for line, words in LINES.items()
        for word in words
        # Without these, it is an older Roost's; and any word may be a newer one's.
        if word not in ("wish", "anchor", "oldest")
        for by in (None, WRONG.get(word, b"x"))
    ),
    *(damaged(line) for line in range(6)),
    *(damaged(line, by=b"") for line in LINES),
    extra(0, b"\n"),
    lambda raw: b"\n" + raw,
    lambda raw: b" " + raw,
    lambda raw: raw.replace(b" ", b"  "),
    lambda raw: raw.replace(b"\n", b"\r"),
    lambda raw: raw[: len(raw) // 2],
    lambda raw: raw[: raw.index(b"\n")],
    lambda raw: raw[: raw.rindex(b"\n")],
]


@pytest.mark.fault(11, "a word or line of a record damaged", n=len(DAMAGES))
@pytest.mark.parametrize("when", ["waits", "is leased", "sleeps"])
async def test_damaged_records(server, when):
    """Each goes to the dead letters with its bytes; the others are not even delayed."""
    settings = settings_for(server)
    engine = Counting()
    wish = {"waits": {}, "is leased": {"gated": True}, "sleeps": {"delay": 3600}}[when]
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        ledger = roost.ledger
        client, key = ledger.client, ledger.keys.key
        if when != "waits":
            await crew.start(concurrency=len(DAMAGES) + 10)
        bad = [
            await roost.enqueue("counting", {"steps": 5, **wish}, resources=[f"r{number}"])
            for number in range(len(DAMAGES))
        ]
        waiting = [
            await roost.enqueue("counting", {"steps": 1}, resources=[f"r{number}"])
            for number in range(len(DAMAGES))
            if when == "is leased"
        ]
        if when != "waits":
            await eventually(lambda: same(len(set(engine.begun)) >= len(bad)))
        if when == "sleeps":
            await eventually(lambda: _number_of(roost, State.SLEEPING, len(bad)))
        broken = await _damage(client, key("work"), bad)

        async def age():
            for item in bad:
                for place in ("running", "sleeping"):
                    await client.zadd(key(place), {item.work_id: 1}, xx=True)

        await age()
        good = [await roost.enqueue("counting", {"steps": 5}) for _ in range(5)]
        if when == "waits":
            await crew.start()
        assert [State.DONE] * 5 == await all_done(roost, good)

        async def all_buried():
            # A worker that still runs one may have renewed its lease: it knows the token.
            await age()
            return len(bad) == await client.zcard(key("failed"))

        await eventually(all_buried)
        for work_id, raw in broken.items():
            assert raw == await client.hget(key("work"), work_id)
            error = json.loads(await client.hget(key("work"), f"{work_id} error"))
            assert "corrupt" == error["kind"]
            for place in ("running", "sleeping", "retry_wait"):
                assert await client.zscore(key(place), work_id) is None
        rows = await roost.list(limit=500)
        assert len(bad) == [one.meta.engine for one in rows].count("?")
        engine.gate.set()
        assert [State.DONE] * len(waiting) == await all_done(roost, waiting)
        held = await client.hgetall(key("held"))
        assert {} == held


async def _damage(client, work, items):
    """Do one damage to each item's record; return what is there now, by id."""
    broken = {}
    for item, damage in zip(items, DAMAGES, strict=True):
        sound = await client.hget(work, item.work_id)
        broken[item.work_id] = damage(sound)
        assert sound != broken[item.work_id]
        await client.hset(work, item.work_id, broken[item.work_id])
    return broken


async def _number_of(roost, state, number):
    return (await roost.counts())[state] == number


NUMBERS = [
    *((0, word) for word in ("version", "updated", "committed", "attempts", "row", "max_steps")),
    *((0, word) for word in ("deadline", "anchor")),
    *((2, word) for word in ("since", "base", "entries", "oldest")),
    *((2, word) for word in ("fence", "seq", "created", "started", "max_attempts")),
    *((2, word) for word in ("priority", "max_recoveries")),
]


@pytest.mark.fault(11, "an absurd number in a record", n=len(NUMBERS))
async def test_absurd_numbers(server):
    """A record that decodes may say anything: it is run or buried, and others are done."""
    settings = settings_for(server, lease_ttl=1.0)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        client, key = roost.ledger.client, roost.ledger.keys.key
        bad = [await roost.enqueue("counting", {"steps": 3}) for _ in NUMBERS]
        for item, (line, word) in zip(bad, NUMBERS, strict=True):
            raw = await client.hget(key("work"), item.work_id)
            raw = damaged(line, word, b"9" * 30)(raw)
            await client.hset(key("work"), item.work_id, raw)
        await crew.start()
        good = [await roost.enqueue("counting", {"steps": 3}) for _ in range(5)]
        assert [State.DONE] * 5 == await all_done(roost, good)

        async def all_ended():
            ended = [await client.zcard(key(place)) for place in ("done", "failed")]
            return sum(ended) == len(bad) + len(good)

        await eventually(all_ended)
        assert len(bad) + len(good) == len(await roost.list(limit=500))


@pytest.mark.fault(10, "a stored item or snapshot that does not decode")
@pytest.mark.parametrize("what", ["item", "snapshot"])
@pytest.mark.parametrize("bytes_", [b"", b"{", b'{"schema":0}', None])
async def test_damaged_bytes(server, what, bytes_):
    """An item or snapshot that does not decode, or is gone, is a dead letter that says so."""
    settings = settings_for(server, slice_steps=1)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        client, key = roost.ledger.client, roost.ledger.keys.key
        bad = await roost.enqueue("counting", {"steps": 5}, delay_seconds=3600)
        if what == "snapshot":
            await client.zadd(key("sleeping"), {bad.work_id: 1})
            await crew.start()
            await eventually(lambda: same(engine.begun))
            await all_done(roost, [bad])
            await _stand_again(client, key, bad.work_id)
        field = f"{bad.work_id} {what}"
        assert await client.hexists(key("work"), field)
        if bytes_ is None:
            await client.hdel(key("work"), field)
        else:
            await client.hset(key("work"), field, bytes_)
        await client.zadd(key("sleeping"), {bad.work_id: 1})
        good = await roost.enqueue("counting", {"steps": 5})
        await crew.start()
        assert [State.DONE] == await all_done(roost, [good])

        async def is_buried():
            return await client.zscore(key("failed"), bad.work_id)

        await eventually(is_buried)
        stored = await roost.ledger.read(bad.work_id)
        assert bytes_ == getattr(stored, what)
        assert "corrupt" == json.loads(stored.error)["kind"]


async def _stand_again(client, key, work_id):
    """Make finished work sleep, as it did before its last step."""
    raw = await client.hget(key("work"), work_id)
    await client.hset(key("work"), work_id, damaged(0, "state", b"sleeping")(raw))
    await client.zrem(key("done"), work_id)
    await client.zadd(key("sleeping"), {work_id: 4e12})
