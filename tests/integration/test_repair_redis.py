"""``roost doctor --repair`` on a real server: what derives from the records is repaired."""

from __future__ import annotations

import asyncio
import contextlib
import re

import pytest

from roost_core.backend import ClaimRequest, Order, OrderOutcome
from roost_core.models import Actor, State, Verb
from roost_core.query import fingerprint
from roost_plugins.redis_saq.keys import PLACES, TYPES
from tests.docs.pages import page
from tests.integration.redis_bench import Counting, Crew, all_done, queue, settings_for
from tests.integration.test_newer_redis import make_newer


@pytest.fixture(params=["redis_server", "valkey_server"])
def server(request):
    """Return each server: they differ in what a walk through a hash can leave out."""
    return request.getfixturevalue(request.param)


@contextlib.asynccontextmanager
async def running(server, *engines, **how):
    """Give a queue, and what starts a worker."""
    settings = settings_for(server, **how)
    engines = engines or (Counting(),)
    async with queue(settings, *engines) as roost, Crew(settings, *engines) as crew:
        yield roost, crew.start


def keys_of(roost):
    """Return the client, and the function that names keys."""
    return roost.ledger.client, roost.ledger.keys.key


async def stored(roost, *, times=True):
    """Return everything in a queue except its events and the records of workers."""
    client, key = keys_of(roost)
    found = {}
    for name, kind in TYPES.items():
        if name in ("events", "seen", "workers", "idle"):
            continue
        if kind == "zset":
            found[name] = dict(await client.zrange(key(name), 0, -1, withscores=times or None))
        elif kind == "hash":
            found[name] = await client.hgetall(key(name))
        else:
            found[name] = await client.get(key(name))
    return found


async def in_all_states(roost):
    """Enqueue work and bring it into each state that a work item can have; return ids by state."""
    client, key = keys_of(roost)
    ids = {}

    async def one(state, **how):
        item = await roost.enqueue("counting", {"steps": 1}, **how)
        ids[state] = item.work_id
        return item.work_id

    async def claim():
        (found,) = (await roost.ledger.claim(ClaimRequest("w", ("counting",), 1, 60_000))).claims
        return found.lease

    await one("running", resources=["printer"])
    await claim()
    await one("blocked", resources=["printer"])
    await claim_nothing(roost)
    await one("done", idempotency_key="key of done")
    raw = await client.hget(key("work"), ids["done"])
    await client.zrem(key("ready"), *(await client.zrange(key("ready"), 0, -1)))
    for state in ("done", "cancelled", "failed", "retry_wait"):
        if state != "done":
            await one(state)
            raw = await client.hget(key("work"), ids[state])
            await client.zrem(key("ready"), *(await client.zrange(key("ready"), 0, -1)))
        await client.hset(key("work"), ids[state], raw.replace(b"queued", state.encode(), 1))
        due = 3_600_000 if state == "retry_wait" else 0
        await client.zadd(key(state), {ids[state]: int(raw.split(b" ")[6]) + due})
        if state == "failed":
            await client.zadd(key("index"), {f"f {fingerprint(b'')} {ids[state]}": 0})
    await one("paused", delay_seconds=3600)
    pause = Order("a-request", Verb.PAUSE, Actor("alice", "tests"))
    assert OrderOutcome.DONE == (await roost.ledger.order(ids["paused"], pause)).outcome
    await one("sleeping", delay_seconds=3600)
    await one("queued", idempotency_key="key of queued")
    return ids


async def claim_nothing(roost):
    """Let a claim look at what is ready, and take nothing."""
    batch = await roost.ledger.claim(ClaimRequest("w", ("counting",), 1, 60_000))
    assert () == batch.claims


def said(found):
    """Return findings in a few words."""
    return sorted((one.outcome, one.subject, one.count) for one in found)


async def test_a_sound_queue_is_left_as_it_is(server):
    """Nothing is found where nothing is wrong, whatever state work is in."""
    async with running(server) as (roost, _start):
        await in_all_states(roost)
        before = await stored(roost)
        assert [] == await roost.repair()
        assert before == await stored(roost)
        assert "damage" not in {one.subject for one in await roost.ledger.diagnose()}


@pytest.mark.parametrize("place", [*set(PLACES.values()) - {"waiting"}, "created", "key", "index"])
async def test_what_is_lost_is_made_again(server, place):
    """Each index comes back from the records; a dry run says the same, and does nothing."""
    async with running(server) as (roost, _start):
        await in_all_states(roost)
        client, key = keys_of(roost)
        before = await stored(roost)
        await client.delete(key(place))
        damaged = await stored(roost)
        dry = await roost.repair(dry_run=True)
        assert damaged == await stored(roost)
        assert {"found"} == {one.outcome for one in dry}
        if place != "key":
            levels = {one.subject: one.level for one in await roost.ledger.diagnose()}
            assert "warning" == levels["index" if place == "index" else "damage"]
        mended = await roost.repair()
        assert [place] == [one.subject for one in mended]
        assert len(before[place]) == mended[0].count == dry[0].count
        after = await stored(roost)
        if place in ("sleeping", "retry_wait", "running"):
            # These times are stored nowhere else.
            assert before[place].keys() == after[place].keys()
        elif place != "blocked":
            assert before[place] == after[place]
        assert [] == await roost.repair()


async def test_a_blocked_item_that_stands_in_no_line(server):
    """It is ready again, and a claim puts it in line again; so is one that `blocked` lacks."""
    async with running(server) as (roost, _start):
        ids = await in_all_states(roost)
        client, key = keys_of(roost)
        before = await stored(roost)
        for names in (["lines"], ["blocked"], ["blocked", "lines"]):
            await client.delete(*map(key, names))
            await roost.repair()
            await client.zrem(key("ready"), *(await client.zrange(key("ready"), 1, -1)))
            assert State.QUEUED is (await roost.work(ids["blocked"]).status()).meta.state
            await claim_nothing(roost)
            assert before["lines"] == (await stored(roost))["lines"]
            await roost.repair()


async def test_holds_are_made_again(server):
    """What runs holds what it names, and nothing else is held; those who then wait are released."""
    async with running(server) as (roost, _start):
        ids = await in_all_states(roost)
        client, key = keys_of(roost)
        before = await stored(roost)
        await client.delete(key("held"))
        assert [("mended", "held", 1)] == said(await roost.repair())
        assert before == await stored(roost)
        await client.hset(
            key("held"), mapping={"a": "nobody", "b": ids["done"], "c": ids["running"]}
        )
        assert [("mended", "held", 3)] == said(await roost.repair())
        assert before == await stored(roost)
        # The holder has another resource now: the blocked one may run.
        raw = await client.hget(key("work"), ids["running"])
        await client.hset(key("work"), ids["running"], raw.replace(b"\nprinter\n", b"\nx\n"))
        await roost.repair()
        assert State.QUEUED is (await roost.work(ids["blocked"]).status()).meta.state


async def test_what_is_too_much_goes(server):
    """Ids of no work, and of work that belongs elsewhere, are removed from every index."""
    async with running(server) as (roost, _start):
        ids = await in_all_states(roost)
        client, key = keys_of(roost)
        before = await stored(roost)
        for place in PLACES.values():
            for number, odd in enumerate(("nobody", "", b"\xff", "a b", *ids.values())):
                member = odd if isinstance(odd, bytes) else odd.encode()
                if place == "ready":
                    member = b"counting 0123 " + member
                elif place == "blocked":
                    member = b" counting 0123 " + member
                await client.zadd(key(place), {member: number}, nx=True)
        for number, odd in enumerate(
            ("resource printer 0 counting nobody", "?", "", "a b", "engine")
        ):
            await client.zadd(key("lines"), {odd: number})
            await client.zadd(key("offers"), {odd: number})
        await client.zadd(key("lines"), {f"resource printer 0 counting {ids['done']}": 0})
        await client.zadd(key("created"), {"nobody": 5})
        for number, odd in enumerate(
            ("e counting nobody", f"e other {ids['done']}", f"l team=x {ids['done']}", "?", "e x")
        ):
            await client.zadd(key("index"), {odd: number % 2})
        for kind in "fr":
            await client.zadd(key("index"), {f"{kind} 0123456789ab {ids['failed']}": 0})
        await client.zadd(key("newer"), {"ready 0 counting 01 nobody": 5, "?": 7})
        await client.hset(key("key"), mapping={"a": "nobody x", "b": f"{ids['done']} x", "c": "?"})
        assert {"found"} == {one.outcome for one in await roost.repair(dry_run=True)}
        assert {"mended"} == {one.outcome for one in await roost.repair()}
        assert before == await stored(roost)
        assert [] == await roost.repair()


@pytest.mark.parametrize("score", ["inf", "-inf", 1e18, -5])
async def test_scores_that_cannot_be(server, score):
    """Impossible times are repaired from the record, or become now."""
    async with running(server) as (roost, _start):
        ids = await in_all_states(roost)
        client, key = keys_of(roost)
        before = await stored(roost)
        for place in {*PLACES.values(), "index"} - {"waiting"}:
            members = await client.zrange(key(place), 0, -1)
            await client.zadd(key(place), dict.fromkeys(members, score))
        await client.zadd(key("created"), {ids["done"]: score})
        assert {"mended"} == {one.outcome for one in await roost.repair()}
        after = await stored(roost)
        now = await roost.server.now_ms()
        lines = ("ready", "blocked", "created", "paused", "done", "failed", "cancelled", "index")
        for place in lines:
            assert before[place] == after[place]
        assert all(abs(now - at) < 60_000 for at in after["sleeping"].values())
        assert all(0 < at - now < 60_000 for at in after["running"].values())
        assert [] == await roost.repair()


@pytest.mark.parametrize("name", TYPES)
async def test_keys_of_another_type(server, name):
    """Each is renamed, not deleted, and made anew; then all work is done."""
    async with running(server) as (roost, start):
        items = [await roost.enqueue("counting", {"steps": 1}) for _ in range(3)]
        items += [await roost.enqueue("counting", {"steps": 1}, delay_seconds=0.2)]
        client, key = keys_of(roost)
        full = key(name)
        await client.delete(full)
        await client.rpush(full, "precious")
        levels = {one.level for one in await roost.ledger.diagnose() if one.subject == "damage"}
        assert {"problem"} == levels
        dry = await roost.repair(dry_run=True)
        assert [("found", name, 1)] == said(dry)
        found = await roost.repair()
        assert ("mended", name, 1) in said(found)
        (aside,) = await client.keys(full.replace("{", "[{]").replace("}", "[}]") + ":damaged:*")
        assert [b"precious"] == await client.lrange(aside, 0, -1)
        if name == "work":
            assert 0 == sum((await roost.counts()).values())
            return
        assert {"mended"} == {one.outcome for one in found}
        await start()
        assert [State.DONE] * 4 == await all_done(roost, items)
        assert [] == await roost.repair()


async def test_what_cannot_be_mended_is_left(server):
    """A record that does not decode goes to the dead letters, and stays a finding."""
    async with running(server) as (roost, _start):
        client, key = keys_of(roost)
        broken = (await roost.enqueue("counting", {})).work_id
        orphan = (await roost.enqueue("counting", {})).work_id
        await client.hset(key("work"), broken, b"\xff")
        await client.hdel(key("work"), orphan)
        await client.delete(key("ready"))
        found = await roost.repair()
        assert ("left", "work", 1) in said(found)
        assert [broken] == [one.meta.work_id for one in await roost.list("failed")]
        again = await roost.repair()
        assert [("left", "work", 1)] * 2 == said(again)
        assert {(broken,), (f"{orphan} item",)} == {one.examples for one in again}


async def test_what_a_newer_roost_has_written(server):
    """Its records, places, keys and holds are not touched, whatever they say."""
    async with running(server) as (roost, _start):
        ids = await in_all_states(roost)
        client, key = keys_of(roost)
        await make_newer(roost, list(ids.values()))
        await client.zadd(key("done"), {ids["queued"]: 1})
        await client.hset(key("held"), "printer", ids["done"])
        before = await stored(roost)
        assert [] == await roost.repair()
        assert before == await stored(roost)


async def test_a_repair_while_workers_run(server):
    """Work continues and is done, each step once, whatever is repaired meanwhile."""
    engine = Counting()
    async with running(server, engine) as (roost, start):
        client, key = keys_of(roost)
        items = [
            await roost.enqueue(
                "counting",
                {"steps": 5, "delay": 0.01},
                resources=[f"r{number % 7}"] if number % 2 else [],
                idempotency_key=f"k{number}",
            )
            for number in range(150)
        ]
        await start(concurrency=20)
        waiting = asyncio.create_task(all_done(roost, items))
        found = []
        while not waiting.done():
            for name in ("ready", "created", "key", "sleeping", "index"):
                await client.delete(key(name))
                await roost.repair()
            found += await roost.repair()
        assert [State.DONE] * 150 == await waiting
        assert set() == {one.subject for one in found} - {"ready"}
        assert [] == await roost.repair()
        begun = sorted(engine.begun)
        assert sorted(set(begun)) == begun


async def test_with_the_permissions_that_the_docs_name(server):
    """The login of the documentation may do all that a repair and the diagnosis do."""
    line = re.search(r"^ACL SETUSER roost (.+)$", page("operations"), re.MULTILINE)
    login = server.url.replace("unix://", "unix://roost:password@")
    root = settings_for(server)
    own = root.evolve(redis_url=login)
    async with queue(root, Counting()) as roost:
        await roost.ledger.client.execute_command("ACL", "SETUSER", "roost", *line[1].split())
        ids = await in_all_states(roost)
        client, key = keys_of(roost)
        await client.delete(key("ready"), key("held"), key("done"), key("key"), key("seq"))
        await client.set(key("created"), "x")
        await client.zadd(key("idle"), {"x": 5})
        await client.zadd(key("seen"), {"x": 1e18})
        await client.xadd(key("events"), {"a": "b"}, id=f"{2**63}-1")
        async with queue(own, Counting()) as roost:
            await roost.ledger.diagnose()
            mended = await roost.repair()
            assert {"mended"} == {one.outcome for one in mended}
            subjects = {
                "created",
                "done",
                "events",
                "held",
                "idle",
                "key",
                "ready",
                "seen",
                "seq",
            }
            assert subjects <= {one.subject for one in mended}
            assert [] == await roost.repair()
            assert set(ids.values()) == {one.meta.work_id for one in await roost.list()}
            assert len(ids) == (await roost.count("engine:counting")).total
            assert len(ids) == len(await roost.find("id:w-*"))
            assert 1 == (await roost.count("state:failed", by="error")).total
