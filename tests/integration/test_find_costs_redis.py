"""What the server reads and sends for a query that much work is like, or none."""

from __future__ import annotations

import pytest

from roost_core.client.requests import EnqueueRequest
from tests.integration.redis_bench import Counting, calls, queue, settings_for

NUMBER = 600


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("engine:counting", "state"),
        ("label:team=a", "state"),
        ("state:queued,done label:team=a", None),
    ],
)
async def test_a_count_by_state_reads_no_work(redis_server, text, by):
    """How each stands is counted where it is kept: one read for 200 of them."""
    async with queue(settings_for(redis_server), Counting()) as roost:
        many = [EnqueueRequest(engine="counting", labels={"team": "a"})] * NUMBER
        await roost.enqueue_many(many)
        await roost.count(text, by=by)
        before = await calls(roost)
        assert NUMBER == (await roost.count(text, by=by)).total
        found = await calls(roost) - before
        assert found["hmget"] <= 10


async def test_a_text_that_is_nowhere_is_looked_for_on_the_server(redis_server):
    """What cannot have it is not sent."""
    async with queue(settings_for(redis_server), Counting()) as roost:
        many = [
            EnqueueRequest(engine="counting", title="A title of its own") for _ in range(NUMBER)
        ]
        await roost.enqueue_many(many)

        async def sent():
            return int((await roost.ledger.client.info("stats"))["total_net_output_bytes"])

        await roost.find("nowhere")
        before = await sent()
        found = await roost.find("nowhere", look=NUMBER + 1)
        assert (0, True) == (len(found), found.is_all)
        assert await sent() - before < 20 * NUMBER
