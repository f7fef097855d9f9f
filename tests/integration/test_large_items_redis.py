"""Listings of work with large payloads, which nobody looks at there: what the server sends."""

from __future__ import annotations

import pytest

from roost_core.client.requests import EnqueueRequest
from tests.integration.redis_bench import Counting, queue, settings_for
from tests.servers import need, redis_binary, server_in

#: How large each payload is, and how many there are.
SIZE, NUMBER = 900_000, 40


@pytest.fixture(scope="module")
def own_server(server_root):
    """Give a server that nobody else talks to."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "large") as found:
        yield found


@pytest.fixture
def roost(own_server):
    """Give a connection to it."""
    return queue(settings_for(own_server), Counting())


async def sent_by(roost, ask):
    """Return what is found, and how many bytes the server has sent meanwhile."""
    client = roost.ledger.client

    async def sent():
        return int((await client.info("stats"))["total_net_output_bytes"])

    before = await sent()
    found = await ask()
    return found, await sent() - before


@pytest.mark.parametrize(
    "ask",
    [
        lambda roost: roost.find(limit=100),
        lambda roost: roost.find("title:7", limit=100),
        lambda roost: roost.find("label:team=a", limit=100),
        lambda roost: roost.list(limit=100),
        lambda roost: roost.list("queued", "counting", limit=100),
        lambda roost: roost.list(engine="nobody", limit=100),
        lambda roost: roost.select("state:queued").preview("cancel"),
    ],
    ids=["find", "title", "label", "list", "engine", "other", "preview"],
)
async def test_payloads_stay_where_they_are(roost, ask):
    """Neither the server nor whoever asks holds a page of them; titles are still there."""
    for number in range(NUMBER):
        await roost.enqueue(
            "counting",
            {"x": "y" * SIZE},
            work_id=f"w-{number}",
            title=f"Title {number}",
            labels={"team": "a"},
        )
    found, sent = await sent_by(roost, lambda: ask(roost))
    assert sent < SIZE
    for row in getattr(found, "first", found):
        assert row.is_readable
        assert row.title == f"Title {row.meta.work_id[2:]}"


async def test_a_long_page_comes_in_portions(roost):
    """More than one call shows, by rank, by engine, and with an offset."""
    for engine in ("counting", "other"):
        await roost.enqueue_many(
            [EnqueueRequest(engine=engine, work_id=f"{engine}-{number}") for number in range(700)],
            any_engine=True,
        )
    assert 1400 == len({row.meta.work_id for row in await roost.list(limit=5000)})
    assert 1250 == len({row.meta.work_id for row in await roost.list(limit=1250)})
    assert 650 == len(await roost.list(engine="other", limit=1000, offset=50))
    assert 600 == len({row.meta.work_id for row in await roost.list(limit=600, offset=700)})
    scripts = (await roost.ledger.client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await roost.list(limit=1400)
    after = (await roost.ledger.client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - scripts >= 3
