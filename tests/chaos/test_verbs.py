"""Verbs whose calls are cut, swallowed, trickled and delayed on their way: each counts once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from roost_core import Settings
from roost_core.backend import Ledger, Order, OrderAnswer, OrderOutcome
from roost_core.errors import BackendUnavailable
from roost_core.models import State, Verb
from roost_core.testing.contract.kit import ACTOR, new_work, unique
from roost_plugins.redis_saq.server import RedisServer
from tests.chaos.proxy import Harm, Plan, Proxy, proxied
from tests.servers import Server

Tally = Callable[[int, str, int], None]

#: One after the other each fits what the one before has left; the last takes the work away.
LIFE = (
    (Verb.PAUSE, State.PAUSED),
    (Verb.RESUME, State.QUEUED),
    (Verb.BURY, State.FAILED),
    (Verb.RETRY, State.QUEUED),
    (Verb.CANCEL, State.CANCELLED),
    (Verb.DROP, None),
)
KINDS = ["enqueued", "paused", "resumed", "dead_lettered", "retried", "cancelled", "dropped"]


async def insisted(ledger: Ledger, work_id: str, order: Order) -> OrderAnswer:
    """Repeat an order until there is an answer."""
    while True:
        try:
            return await ledger.order(work_id, order)
        except BackendUnavailable:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("harm", Harm)
def test_each_verb_harmed(
    redis_server: Server, server_root: Path, tmp_path: Path, tally: Tally, harm: Harm
) -> None:
    """V1, C4: whatever becomes of the call, the repeat has the answer, and there is one event."""
    settings = Settings(
        home=tmp_path,
        extra={"redis_url": redis_server.url},
        namespace=f"verbs-{harm.name.lower()}",
    )

    async def live(proxy: Proxy) -> None:
        server = RedisServer(settings.evolve(redis_url=proxy.url))
        await server.open()
        try:
            ledger = server.ledger(settings.queue)
            await ledger.enqueue([new_work("a")])
            stored = await ledger.read("a")
            assert stored is not None
            for verb, state in LIFE:
                life = stored.created_ms if verb is Verb.DROP else None
                order = Order(unique("request"), verb, ACTOR, life=life)
                script = "drop" if verb is Verb.DROP else "control"
                proxy.plan(Plan(script, harm, seconds=0.3))
                answer = await insisted(ledger, "a", order)
                assert proxy.is_calm()
                is_lost = harm in (Harm.CUT_AFTER, Harm.SWALLOW_REPLY)
                if verb is Verb.DROP and is_lost:
                    assert OrderOutcome.ALREADY is answer.outcome
                    assert answer.purged is not None
                else:
                    assert OrderOutcome.DONE is answer.outcome
                after = await ledger.read("a")
                assert state is (None if after is None else after.state)
            events = await ledger.events(work_id="a")
            assert KINDS == [event.kind for event in events]
        finally:
            await server.close()

    with proxied(redis_server.socket, server_root / "v", settings) as proxy:
        asyncio.run(live(proxy))
        tally(4, f"a verb's call {harm}", proxy.hits.total())
