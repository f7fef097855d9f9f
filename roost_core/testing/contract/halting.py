"""The contract of engines that people hold."""

from __future__ import annotations

from roost_core.backend.messages import Finish, GoOn
from roost_core.backend.orders import Halt
from roost_core.models.control import Verb
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    ACTOR,
    ENGINE,
    HOUR_MS,
    ContractTests,
    Harness,
    driven,
)


class HaltContract(ContractTests):
    """Work of an engine that is held stays where it is, and nothing else does."""

    @driven
    async def test_it_is_held_until_it_is_not(self, kit: Harness) -> None:
        """Once; who holds it is known, and letting it go twice does nothing."""
        assert [] == [*await kit.ledger.halts()]
        before = await kit.server.now_ms()
        assert await kit.ledger.halt("b", ACTOR)
        assert await kit.ledger.halt("a", ACTOR)
        assert not await kit.ledger.halt("a", type(ACTOR)("bob", "tests"))
        first, second = await kit.ledger.halts()
        assert ("a", ACTOR, "b") == (first.engine, first.actor, second.engine)
        assert before <= first.since_ms <= await kit.server.now_ms()
        assert await kit.ledger.unhalt("a", ACTOR)
        assert not await kit.ledger.unhalt("a", ACTOR)
        assert [Halt("b", ACTOR, second.since_ms)] == [*await kit.ledger.halts()]

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
