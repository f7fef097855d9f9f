"""The contract of engines that people hold."""

from __future__ import annotations

import asyncio

from roost_core.backend.messages import Finish, GoOn
from roost_core.backend.orders import Halt
from roost_core.models.control import Actor, Verb
from roost_core.models.events import OF_ENGINE, Event
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    ACTOR,
    ENGINE,
    HOUR_MS,
    ContractTests,
    Harness,
    driven,
)


def _told(event: Event) -> tuple[str, str, str, int]:
    return (event.kind, event.work_id, event.engine, event.version)


class HaltContract(ContractTests):
    """Work of an engine that is held stays where it is, and nothing else does."""

    @driven
    async def test_it_is_held_until_it_is_not(self, kit: Harness) -> None:
        """Once; who holds it is known, and letting it go twice does nothing."""
        assert [] == [*await kit.ledger.halts()]
        before = await kit.server.now_ms()
        assert await kit.ledger.halt("b", ACTOR)
        assert await kit.ledger.halt("a", ACTOR)
        assert not await kit.ledger.halt("a", Actor("bob", "tests"))
        first, second = await kit.ledger.halts()
        assert ("a", ACTOR, "b") == (first.engine, first.actor, second.engine)
        assert before <= first.since_ms <= await kit.server.now_ms()
        assert await kit.ledger.unhalt("a", ACTOR)
        assert not await kit.ledger.unhalt("a", ACTOR)
        assert [Halt("b", ACTOR, second.since_ms)] == [*await kit.ledger.halts()]

    @driven
    async def test_each_is_an_event_of_the_queue(self, kit: Harness) -> None:
        """With who, with what and why; what changes nothing is none, nor is it of a work item."""
        bob = Actor("bob", "tests")
        await kit.created("a")
        await kit.ledger.halt(ENGINE, ACTOR)
        await kit.ledger.halt(ENGINE, bob)
        await kit.ledger.unhalt(ENGINE, bob)
        await kit.ledger.unhalt(ENGINE, ACTOR)
        _, held, released = await kit.ledger.events()
        assert ("engine_held", OF_ENGINE, ENGINE, 0) == _told(held)
        assert ("engine_released", OF_ENGINE, ENGINE, 0) == _told(released)
        assert (State.PAUSED, State.QUEUED) == (held.state, released.state)
        who = {"who": ACTOR.who, "tool": ACTOR.tool, "reason": ACTOR.reason}
        assert (who, {"who": "bob", "tool": "tests"}) == (held.data, released.data)
        assert ["enqueued"] == [one.kind for one in await kit.ledger.events(work_id="a")]
        assert ["enqueued"] == [one.kind for one in await kit.ledger.trail("a") or ()]

    @driven
    async def test_a_repeat_of_the_same_request(self, kit: Harness) -> None:
        """V1: it gets the first answer and does no more, even if others have acted since."""
        for _ in range(2):
            assert await kit.ledger.halt("a", ACTOR, "first")
        assert not await kit.ledger.halt("a", ACTOR, "late")
        for _ in range(2):
            assert await kit.ledger.unhalt("a", ACTOR, "second")
        assert not await kit.ledger.unhalt("a", ACTOR, "late")
        assert await kit.ledger.halt("a", ACTOR, "first")
        assert [] == [*await kit.ledger.halts()]
        assert await kit.ledger.halt("a", ACTOR, "third")
        assert await kit.ledger.unhalt("a", ACTOR, "second")
        assert ["a"] == [one.engine for one in await kit.ledger.halts()]
        kinds = [one.kind for one in await kit.ledger.events()]
        assert ["engine_held", "engine_released", "engine_held"] == kinds

    @driven
    async def test_a_request_is_of_one_engine(self, kit: Harness) -> None:
        """The same word for another engine is another request; old ones are forgotten in time."""
        assert await kit.ledger.halt("a", ACTOR, "one")
        assert await kit.ledger.halt("b", ACTOR, "one")
        for number in range(4):
            assert await kit.ledger.unhalt("a", ACTOR, f"off-{number}")
            assert await kit.ledger.halt("a", ACTOR, f"on-{number}")
        assert await kit.ledger.halt("a", ACTOR, "on-0")
        assert not await kit.ledger.halt("a", ACTOR, "one")

    @driven
    async def test_who_follows_hears_of_it(self, kit: Harness) -> None:
        """At once, and in order; who follows a work item does not."""
        await kit.created("a")
        (start,) = await kit.ledger.events()
        waiting = kit.ledger.events(after=start.event_id, block_ms=10_000)
        follower = asyncio.create_task(waiting)
        await asyncio.sleep(0)
        await kit.ledger.halt(ENGINE, ACTOR)
        (held,) = await follower
        assert "engine_held" == held.kind
        await kit.done("a", Verb.CANCEL)
        of_one = await kit.ledger.events(after=start.event_id, work_id="a", block_ms=10_000)
        assert ["cancelled"] == [one.kind for one in of_one]

    @driven
    async def test_present_and_future_work(self, kit: Harness) -> None:
        """No claim takes it, in whatever state it is; others are taken, and nobody asks in vain."""
        await kit.created("old")
        await kit.created("due", delay_ms=HOUR_MS)
        await kit.fail(await kit.leased("again", engine="other"))
        await kit.ledger.halt(ENGINE, ACTOR)
        await kit.created("new")
        await kit.age_due("due")
        engines = [ENGINE, "other"]
        batch = await kit.claim(engines=engines, limit=5)
        assert () == batch.claims
        # Nothing but the retry is to come: held work is no reason to ask at once.
        assert batch.next_wake_ms is not None
        assert batch.next_wake_ms > 1000
        await kit.created("free", engine="other")
        claim = await kit.claim_one("free", engines=engines)
        assert State.DONE == (await kit.commit(claim, Finish())).state
        for name in ("old", "new"):
            assert State.QUEUED == (await kit.read(name)).state
        await kit.ledger.unhalt(ENGINE, ACTOR)
        assert ["due", "new", "old"] == sorted(await kit.claimed_ids(limit=5))

    @driven
    async def test_a_claim_of_a_held_engine_alone(self, kit: Harness) -> None:
        """A worker that runs nothing else has nothing to wait for."""
        await kit.created("a")
        await kit.ledger.halt(ENGINE, ACTOR)
        batch = await kit.claim()
        assert ((), None) == (batch.claims, batch.next_wake_ms)

    @driven
    async def test_running_steps_are_the_last_of_their_leases(self, kit: Harness) -> None:
        """They are accepted, and the work goes back into the line; no verb is shown."""
        claim = await kit.leased("a")
        other = await kit.leased("b", engine="other")
        await kit.ledger.halt(ENGINE, ACTOR)
        stored = await kit.read("a")
        assert (State.RUNNING, None, None) == (stored.state, stored.wish, stored.act)
        assert [] == await kit.renew(claim)
        assert State.QUEUED == (await kit.commit(claim, GoOn(HOUR_MS))).state
        assert State.RUNNING == (await kit.commit(other, GoOn(HOUR_MS))).state
        assert [] == await kit.claimed_ids()
        await kit.ledger.unhalt(ENGINE, ACTOR)
        claim = await kit.claim_one("a")
        assert State.RUNNING == (await kit.commit(claim, GoOn(HOUR_MS))).state

    @driven
    async def test_verbs_still_work(self, kit: Harness) -> None:
        """Held work can be cancelled; a pause that is taken back leaves the engine held."""
        await kit.created("a")
        claim = await kit.leased("b", engine="other")
        await kit.ledger.halt(ENGINE, ACTOR)
        await kit.ledger.halt("other", ACTOR)
        await kit.done("a", Verb.CANCEL)
        await kit.requested("b", Verb.PAUSE)
        await kit.done("b", Verb.RESUME)
        assert State.QUEUED == (await kit.commit(claim)).state
        await kit.done("b", Verb.PAUSE)

    @driven
    async def test_held_work_reserves_nothing(self, kit: Harness) -> None:
        """X2: others do not wait behind it; let go, it waits as before."""
        holder = await kit.leased("a", engine="other", resources=("s",))
        await kit.created("b", resources=("r", "s"))
        assert [] == await kit.claimed_ids()
        await kit.created("c", engine="other", resources=("r",))
        assert [] == await kit.claimed_ids(engines=["other"])
        await kit.ledger.halt(ENGINE, ACTOR)
        claim = await kit.claim_one("c", engines=["other"])
        await kit.ledger.unhalt(ENGINE, ACTOR)
        assert [] == await kit.claimed_ids()
        await kit.commit(claim, Finish())
        await kit.commit(holder, Finish())
        await kit.claim_one("b")
