"""Workers over a real server: bursts, waking, stopping, and a server that misbehaves."""

from __future__ import annotations

import asyncio
import json
import random

import attrs
import pytest
import redis.asyncio

from roost_core.errors import BackendError
from roost_core.models import State
from roost_core.testing import MemoryArtifactStore
from roost_core.worker import Worker
from tests.integration.redis_bench import (
    PATIENCE,
    Counting,
    Crew,
    all_done,
    calls,
    eventually,
    idle,
    kinds,
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


async def burst(settings, roost, **how):
    """Run one worker until nothing is ready."""
    worker = Worker(
        settings, roost.plugins, roost.backend, MemoryArtifactStore(), burst=True, **how
    )
    async with asyncio.timeout(PATIENCE):
        await worker.run()


async def client_kill(roost, kind="normal"):
    """Cut everybody's connections of a kind, but the one that asks."""
    await roost.backend.client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


# -- bursts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 2, 10])
async def test_a_burst_ends_when_nothing_is_in_flight(server, concurrency):
    """Also work that goes back into the line many times is through when the burst is over."""
    settings = settings_for(server, slice_steps=7)
    engine = Counting()
    async with queue(settings, engine) as roost:
        items = [await roost.enqueue("counting", {"steps": 40}) for _ in range(5)]
        await burst(settings, roost, concurrency=concurrency)
        assert [State.DONE] * 5 == [(await roost.status(one)).meta.state for one in items]
        assert {one.work_id: list(range(1, 42)) for one in items} == await versions(roost)
        assert engine.most <= concurrency


async def test_a_burst_leaves_what_is_due_later(server):
    """Nothing is ready: a burst does not wait for sleepers, and none is lost."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost:
        await burst(settings, roost)
        assert [] == engine.begun
        item = await roost.enqueue("counting", {"steps": 2, "delay": 3600})
        await burst(settings, roost)
        assert State.SLEEPING is (await roost.status(item)).meta.state
        assert [] == await roost.workers()


# -- waking ----------------------------------------------------------------------------------


async def test_due_work_wakes_a_worker_whose_lanes_were_busy(server):
    """Work that became due later, while nobody could be told, starts when it is due."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start(concurrency=1)
        first = await roost.enqueue("counting", {"steps": 1, "gated": True})
        await eventually(lambda: _same(engine.begun))
        later = await roost.enqueue("counting", {"steps": 1}, delay_seconds=1.0)
        engine.gate.set()
        await all_done(roost, [first])
        before = await calls(roost)
        await all_done(roost, [later])
        found = await calls(roost) - before
        status = (await roost.status(later)).meta
        claimed = next(one for one in await roost.events(work=later) if one.kind == "claimed")
        late = (claimed.at - status.created_at).total_seconds() - 1.0
        assert late >= 0
        # By one claim, or a few: it was not asked for again and again, nor by chance.
        assert found["evalsha"] < 12
        # Five seconds and more if nobody had told; no sharper, as machines are slow at times.
        assert late < 3


async def _same(value):
    return value


async def test_a_wait_asks_for_nothing_that_is_refused(server):
    """It listens with one request, and nothing that it asks for is refused by the server."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await all_done(roost, [await roost.enqueue("counting", {"steps": 1})])
        await roost.backend.client.config_resetstat()
        item = await roost.enqueue("counting", {"steps": 1}, delay_seconds=0.2)
        assert [State.DONE] == await all_done(roost, [item])
        errors = await roost.backend.client.info("errorstats")
        assert set() == errors.keys() - {"errorstat_NOSCRIPT"}


async def test_a_lost_message_is_made_up_for(server):
    """The connection that listens is cut: the work that came meanwhile is done all the same."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await idle(roost)
        for _ in range(10):
            await client_kill(roost, "pubsub")
            item = await roost.enqueue("counting", {"steps": 2})
            assert [State.DONE] == await all_done(roost, [item])


async def test_work_of_another_engine_is_left(server):
    """A worker without the engine leaves the work as it is; one that has it takes it."""
    settings = settings_for(server)
    mine, other = Counting("mine"), Counting("other")
    async with queue(settings, mine, other) as roost, Crew(settings, mine, other) as crew:
        await crew.start(mine)
        foreign = await roost.enqueue("other", {"steps": 2})
        own = [await roost.enqueue("mine", {"steps": 2}) for _ in range(5)]
        assert [State.DONE] * 5 == await all_done(roost, own)
        meta = (await roost.status(foreign)).meta
        assert (State.QUEUED, 0, 0, 0) == (
            meta.state,
            meta.fence,
            meta.attempts,
            meta.recoveries,
        )
        await crew.start(other)
        assert [State.DONE] == await all_done(roost, [foreign])


async def test_two_workers_and_one_resource(server):
    """However many lanes there are, one at a time holds it, and all come to their turn."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        await crew.start()
        wish = {"steps": 3, "seconds": 0.002, "delay": 0.001}
        items = [
            await roost.enqueue("counting", wish, resources=["domain:a", f"d{number % 3}"])
            for number in range(12)
        ]
        assert [State.DONE] * 12 == await all_done(roost, items)
        assert 1 == engine.most
        assert {one.work_id: [1, 2, 3, 4] for one in items} == await versions(roost)
        assert 0 == await roost.backend.client.hlen(roost.backend.keys.key("held"))


# -- stopping --------------------------------------------------------------------------------


async def test_stop_drains(server):
    """The steps in flight end and are accepted; the rest goes back into the line."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        worker = await crew.start()
        item = await roost.enqueue("counting", {"steps": 3, "gated": True})
        await engine.began.wait()
        assert [item.work_id] == worker.running
        worker.stop()
        later = await roost.enqueue("counting", {"steps": 1})
        engine.gate.set()
        await crew.stop()
        meta = (await roost.status(item)).meta
        assert (State.QUEUED, 2, 0, 0) == (
            meta.state,
            meta.version,
            meta.attempts,
            meta.recoveries,
        )
        assert State.QUEUED is (await roost.status(later)).meta.state
        assert [] == await roost.workers()


async def test_abort_gives_back(server):
    """A second signal cancels the steps: given back at once, with an event, and no attempt."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        worker = await crew.start()
        items = [await roost.enqueue("counting", {"steps": 3, "gated": True}) for _ in range(5)]
        await eventually(lambda: _same(len(engine.begun) == 5))
        worker.stop()
        worker.abort()
        await crew.stop()
        for item in items:
            meta = (await roost.status(item)).meta
            assert (State.QUEUED, 1, 0, 0) == (
                meta.state,
                meta.version,
                meta.attempts,
                meta.recoveries,
            )
            assert "interrupted" == (await kinds(roost, item))[-1]


async def test_the_drain_has_an_end(server):
    """Steps that take longer than the drain timeout are cancelled and given back."""
    settings = settings_for(server, drain_timeout=0.05)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        item = await roost.enqueue("counting", {"steps": 3, "gated": True})
        await engine.began.wait()
        await crew.stop()
        meta = (await roost.status(item)).meta
        assert (State.QUEUED, 0, 0) == (meta.state, meta.attempts, meta.recoveries)


async def test_a_worker_that_is_cancelled(server):
    """A program that cancels the worker's task has its work given back, too."""
    settings = settings_for(server)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        await crew.start()
        item = await roost.enqueue("counting", {"steps": 3, "gated": True})
        await engine.began.wait()
        crew.tasks[0].cancel()
        await asyncio.wait(crew.tasks)
        assert State.QUEUED is (await roost.status(item)).meta.state
        assert "interrupted" == (await kinds(roost, item))[-1]


async def test_workers_that_come_and_go(server):
    """Thirty workers stopped at random moments: nothing is lost, blamed, or left leased."""
    settings = settings_for(server)
    engine = Counting()
    seed = 7
    dice = random.Random(seed)
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        wish = {"steps": 400, "delay": 0.001}
        items = [await roost.enqueue("counting", wish) for _ in range(8)]
        for number in range(30):
            await crew.start(concurrency=dice.choice([1, 3, 10]))
            await asyncio.sleep(dice.uniform(0, 0.05))
            if number % 2:
                crew.workers[-1].abort()
            await crew.stop()
            counts = await roost.counts()
            assert 0 == counts[State.RUNNING], f"worker {number}, seed {seed}"
        metas = [(await roost.status(one)).meta for one in items]
        assert {(0, 0)} == {(one.attempts, one.recoveries) for one in metas}
        found = await versions(roost)
        for one in metas:
            assert list(range(1, one.version + 1)) == found[one.work_id]


# -- a server that misbehaves ----------------------------------------------------------------


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
        await roost.backend.client.script_flush()

    items, engine = await harm(settings_for(server), harm_once=flush, times=10)
    assert 30 * len(items) == len(engine.begun)


@pytest.mark.fault(6, "CLIENT KILL", n=10)
async def test_client_kill(server):
    """All connections are cut ten times in the middle: every version exactly once."""
    await harm(settings_for(server, lease_ttl=2.0), harm_once=client_kill, times=10)


@pytest.mark.fault(6, "CLIENT KILL, listeners too", n=10)
async def test_client_kill_of_all_kinds(server):
    """Also those that listen."""

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
            client = roost.backend.client
            for _ in range(3):
                await refuse(client)
                await asyncio.sleep(0.2)
                await recover(client)
                await asyncio.sleep(0.05)
            assert [State.DONE] * 5 == await all_done(roost, items)
            assert {one.work_id: list(range(1, 22)) for one in items} == await versions(roost)
            metas = [(await roost.status(one)).meta for one in items]
            assert {(0, 0)} == {(one.attempts, one.recoveries) for one in metas}
            assert 100 == len(engine.begun)


@pytest.mark.parametrize("what", ["password", "permission", "user"])
async def test_a_login_that_is_refused_for_now(server_root, what):
    """Somebody changes passwords or permissions: steps wait, none is dropped or run twice."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "rotating") as server:
        rights = ("on", "~*", "&*", "+@all")
        admin = redis.asyncio.Redis(unix_socket_path=str(server.socket))
        settings = attrs.evolve(
            settings_for(server, lease_ttl=30.0), redis_url=f"unix://me:old@{server.socket}"
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
            metas = [(await roost.status(one)).meta for one in items]
            assert {(0, 0)} == {(one.attempts, one.recoveries) for one in metas}
            assert 60 == len(engine.begun)
        await admin.aclose()


async def test_a_first_login_that_is_refused_is_told_at_once(server):
    """A wrong password is one line, and nothing is repeated."""
    settings = attrs.evolve(settings_for(server), redis_url=f"unix://me:wrong@{server.socket}")
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


# -- records that are damaged ----------------------------------------------------------------

#: The words of a record's first and third line.
HEAD = (
    "layout state engine version token last updated committed attempts blame row max_steps"
    " has_error has_beat deadline"
)
REST = (
    "fence worker priority seq created started blocked_on max_attempts max_recoveries nonce"
    " since base entries"
)
LINES = {0: HEAD.split(), 2: REST.split()}
#: What cannot stand for a word; where nothing is said, any number but a whole one.
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
    """Return what damages a record: replace a word by another, or by nothing, or a line by it."""

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
    """Return what gives a line a word too many."""

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
    """Each goes to the dead letters with its bytes; the others are not so much as delayed."""
    settings = settings_for(server)
    engine = Counting()
    wish = {"waits": {}, "is leased": {"gated": True}, "sleeps": {"delay": 3600}}[when]
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        backend = roost.backend
        client, key = backend.client, backend.keys.key
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
            await eventually(lambda: _same(len(set(engine.begun)) >= len(bad)))
        if when == "sleeps":
            await eventually(lambda: _number_of(roost, State.SLEEPING, len(bad)))
        broken = {}
        for item, damage in zip(bad, DAMAGES, strict=True):
            sound = await client.hget(key("work"), item.work_id)
            broken[item.work_id] = damage(sound)
            assert sound != broken[item.work_id]
            await client.hset(key("work"), item.work_id, broken[item.work_id])

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


async def _number_of(roost, state, number):
    return (await roost.counts())[state] == number


NUMBERS = [
    *((0, word) for word in ("version", "updated", "committed", "attempts", "row", "max_steps")),
    *((0, word) for word in ("deadline",)),
    *((2, word) for word in ("since", "base", "entries")),
    *((2, word) for word in ("fence", "seq", "created", "started", "max_attempts")),
    *((2, word) for word in ("priority", "max_recoveries")),
]


@pytest.mark.fault(11, "an absurd number in a record", n=len(NUMBERS))
async def test_absurd_numbers(server):
    """A record that decodes may say what it likes: it is run or buried, and others are done."""
    settings = settings_for(server, lease_ttl=1.0)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        client, key = roost.backend.client, roost.backend.keys.key
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
        client, key = roost.backend.client, roost.backend.keys.key
        bad = await roost.enqueue("counting", {"steps": 5}, delay_seconds=3600)
        if what == "snapshot":
            await client.zadd(key("sleeping"), {bad.work_id: 1})
            await crew.start()
            await eventually(lambda: _same(engine.begun))
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
        stored = await roost.backend.read(bad.work_id)
        assert bytes_ == getattr(stored, what)
        assert "corrupt" == json.loads(stored.error)["kind"]


async def _stand_again(client, key, work_id):
    """Make finished work sleep, as it did before its last step."""
    raw = await client.hget(key("work"), work_id)
    await client.hset(key("work"), work_id, damaged(0, "state", b"sleeping")(raw))
    await client.zrem(key("done"), work_id)
    await client.zadd(key("sleeping"), {work_id: 4e12})
