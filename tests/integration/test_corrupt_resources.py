"""Damaged lines and holders of resources on a real server: no hold leaks."""

from __future__ import annotations

import pytest

from roost_core.models import State
from tests.integration.corrupt_bench import claim_of, running
from tests.integration.redis_bench import Counting, all_done

pytestmark = pytest.mark.fault(11, "a record, member, score or key damaged")


@pytest.fixture
def server(redis_server):
    """Return the operating system's redis-server."""
    return redis_server


def resources_line(raw, text):
    """Return a record with other resources."""
    lines = raw.split(b"\n")
    lines[3] = text
    return b"\n".join(lines)


@pytest.mark.parametrize("text", [b"", b"scanner", b"x" * 300, b"\xff"])
async def test_a_damaged_resource_line_leaks_no_hold(server, text):
    """When its lease has ended, in whatever way, others get what it held."""
    engine = Counting()
    async with running(server, engine, lease_ttl=1.0) as (queue, start):
        how = {"resources": ["printer"]}
        first = (await queue.roost.enqueue("counting", {"steps": 1, "gated": True}, **how)).work_id
        await start()
        await engine.began.wait()
        others = [await queue.enqueue(**how) for _ in range(3)]
        await queue.set_record(first, resources_line(await queue.record(first), text))
        engine.gate.set()
        assert [State.DONE] * 3 == await all_done(queue.roost, others)
        assert {} == await queue.client.hgetall(queue.name("held"))


@pytest.mark.parametrize("holder", ["nobody", "", b"\xff", "done", "queued", "itself", "other"])
async def test_holds_of_nobody(server, holder):
    """A hold whose holder does not run, or does not name the resource, is in nobody's way."""
    async with running(server) as (queue, start):
        ids = {"done": await queue.enqueue(), "itself": "itself"}
        await start()
        await all_done(queue.roost, [ids["done"]])
        ids["queued"] = (await queue.roost.enqueue("other", None, any_engine=True)).work_id
        ids["other"] = await queue.enqueue(resources=["scanner"], delay_seconds=3600)
        raw = await queue.record(ids["other"])
        await queue.set_record(ids["other"], raw.replace(b"sleeping", b"running", 1))
        await queue.client.hset(queue.name("held"), "printer", ids.get(holder, holder))
        items = [
            await queue.enqueue(resources=["printer", "scanner"]),
            await queue.enqueue(resources=["printer"], work_id="itself"),
        ]
        assert [State.DONE] * 2 == await all_done(queue.roost, items)


async def test_a_holder_without_its_lease(server):
    """One that has lost its entry gets a lease's time once it is found to be in the way."""
    async with running(server) as (queue, _start):
        ledger = queue.roost.ledger
        first, second = [await queue.enqueue(resources=["printer"]) for _ in range(2)]
        await ledger.claim(claim_of(limit=1))
        await queue.client.delete(queue.name("running"))
        assert () == (await ledger.claim(claim_of(limit=1))).claims
        assert (["running"], ["blocked"]) == (await queue.places(first), await queue.places(second))
        await queue.add("running", first, 1)
        batch = await ledger.claim(claim_of(limit=1))
        assert [first] == [one.lease.work_id for one in batch.claims]


@pytest.mark.parametrize("score", [0, "-inf", "inf"])
@pytest.mark.parametrize("place", ["000000000000000000", "x", ""])
async def test_lines_of_nobody(server, score, place):
    """What is in line but does not exist, or has another score, is in nobody's way for long."""
    async with running(server, lease_ttl=1.0) as (queue, start):
        done = await queue.enqueue()
        await start()
        await all_done(queue.roost, [done])
        for name in ("nobody", done, "\udcff"):
            raw = name.encode(errors="surrogateescape")
            member = f"resource printer {place} counting ".encode() + raw
            await queue.add("lines", member, score)
            await queue.add("lines", b"a " + raw, score)
            await queue.add("blocked", f" counting {place} ".encode() + raw, score)
            await queue.add("offers", b"a " + raw, score)
        items = [await queue.enqueue(resources=["printer"]) for _ in range(3)]
        assert [State.DONE] * 3 == await all_done(queue.roost, items)


@pytest.mark.parametrize("key", ["offers", "lines"])
async def test_what_resources_need_is_of_another_type(server, key):
    """Work that names no resources continues, and its leases are renewed."""
    async with running(server, lease_ttl=0.5) as (queue, start):
        await queue.client.set(queue.name(key), "x")
        items = [
            await queue.roost.enqueue("counting", {"steps": 2, "seconds": 0.4}) for _ in range(3)
        ]
        await start()
        assert [State.DONE] * 3 == await all_done(queue.roost, items)
