"""The contract of what decides when a work item runs."""

from __future__ import annotations

import attrs

from roost_core.backend.messages import Finish
from roost_core.backend.rates import StepTally, Tally
from roost_core.codec.records import decode_model
from roost_core.models.control import Verb
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.testing.contract.kit import (
    ACTOR,
    ENGINE,
    HOUR_MS,
    MINUTE_MS,
    WORKER,
    ContractTests,
    Harness,
    driven,
)

OTHER = "other"


def tally(engine: str = ENGINE, label: str = "", **fields: int) -> Tally:
    """Make what a worker says that has taken a few steps."""
    counts = {"count": 3, "total_ms": 60, "longest_ms": 40, **fields}
    return Tally(((engine, 2),), (StepTally(engine, label, **counts),))


class FactsContract(ContractTests):
    """What decides when a work item runs is read at one moment, and changes nothing."""

    @driven
    async def test_nothing_is_known_of_nothing(self, kit: Harness) -> None:
        """There is no such work item."""
        assert await kit.ledger.facts("nobody") is None

    @driven
    async def test_the_work_item_itself(self, kit: Harness) -> None:
        """It is as it is read, without the snapshot; the clock is the server's."""
        before = await kit.server.now_ms()
        await kit.created("a", resources=("r",))
        await kit.created("b", delay_ms=HOUR_MS)
        await kit.commit(await kit.claim_one("a"), Finish())
        for work_id in ("a", "b"):
            facts = await kit.facts(work_id)
            stored = await kit.read(work_id)
            assert attrs.evolve(stored, snapshot=None) == facts.work
            assert len(stored.snapshot or b"") == facts.snapshot_bytes
            assert (None, None, None) == (facts.ahead, facts.obstacle, facts.halt)
            assert before <= (facts.now_ms or 0) <= await kit.server.now_ms()

    @driven
    async def test_its_place_in_line(self, kit: Harness) -> None:
        """How many of its engine go first: by priority, then by age; others do not count."""
        await kit.created("a", "b")
        await kit.created("x", "y", engine=OTHER)
        await kit.created("high", priority=5)
        await kit.created("low", priority=-5)
        await kit.created("later", delay_ms=HOUR_MS)
        expected = {"high": 0, "a": 1, "b": 2, "low": 3, "x": 0, "y": 1, "later": None}
        assert expected == {name: (await kit.facts(name)).ahead for name in expected}
        await kit.claim_one("high")
        assert (None, 1) == ((await kit.facts("high")).ahead, (await kit.facts("b")).ahead)

    @driven
    async def test_a_resource_that_is_held(self, kit: Harness) -> None:
        """Who holds it, and until when; reading it changes nothing."""
        holder = await kit.leased("holder", resources=("r",), engine=OTHER)
        await kit.created("first", "second", resources=("a", "r"))
        assert [] == await kit.claimed_ids(limit=5)
        stored = await kit.read("holder")
        for work_id, ahead in (("first", 0), ("second", 1)):
            found = (await kit.facts(work_id)).obstacle
            assert found is not None
            assert ("r", True, "holder", OTHER) == (
                found.resource,
                found.is_held,
                found.work_id,
                found.engine,
            )
            assert (WORKER, stored.expires_ms, ahead) == (
                found.worker_id,
                found.expires_ms,
                found.ahead,
            )
        await kit.commit(holder, Finish())
        assert (await kit.facts("first")).obstacle is None
        await kit.claim_one("first")

    @driven
    async def test_a_resource_that_is_reserved(self, kit: Harness) -> None:
        """Nobody holds it, but another stands earlier in its line."""
        await kit.leased("holder", resources=("s",), engine=OTHER)
        await kit.created("early", resources=("r", "s"))
        await kit.created("late", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        found = (await kit.facts("late")).obstacle
        assert found is not None
        assert ("r", False, "early", None, None, 1) == (
            found.resource,
            found.is_held,
            found.work_id,
            found.worker_id,
            found.expires_ms,
            found.ahead,
        )

    @driven
    async def test_ready_work_that_has_not_been_looked_at(self, kit: Harness) -> None:
        """What is in its way is known before a claim has found it."""
        await kit.leased("holder", resources=("r",))
        await kit.created("a", resources=("r",))
        facts = await kit.facts("a")
        assert (State.QUEUED, 0) == (facts.work.state, facts.ahead)
        assert facts.obstacle is not None
        assert "holder" == facts.obstacle.work_id

    @driven
    async def test_who_offers_its_engine(self, kit: Harness) -> None:
        """Live workers that run it, and how many only run others; one that has left is gone."""
        await kit.created("a")
        facts = await kit.facts("a")
        assert (0, 0, ()) == (facts.offering, facts.others, facts.workers)
        await kit.renewed(worker_id="w1", engines=[ENGINE, OTHER])
        await kit.renewed(worker_id="w2", engines=[OTHER])
        await kit.renewed(worker_id="w3", engines=[ENGINE])
        facts = await kit.facts("a")
        assert (2, 1) == (facts.offering, facts.others)
        infos = [decode_model(WorkerInfo, raw) for raw, _ in facts.workers]
        assert ["w1", "w3"] == sorted(one.worker_id for one in infos)
        assert all(seen > 0 for _, seen in facts.workers)
        await kit.ledger.retire("w3")
        facts = await kit.facts("a")
        assert (1, 1) == (facts.offering, facts.others)

    @driven
    async def test_who_holds_its_lease(self, kit: Harness) -> None:
        """What its worker says of itself, or nothing if that is not in the register."""
        claim = await kit.leased("a")
        assert (b"", 0) == (await kit.facts("a")).holder
        await kit.renew(claim)
        holder = (await kit.facts("a")).holder
        assert holder is not None
        assert WORKER == decode_model(WorkerInfo, holder[0]).worker_id
        assert holder[1] > 0
        await kit.commit(claim, Finish())
        assert (await kit.facts("a")).holder is None

    @driven
    async def test_an_engine_that_is_held(self, kit: Harness) -> None:
        """Who holds it, as the list of them says."""
        await kit.created("a")
        await kit.created("b", engine=OTHER)
        await kit.ledger.halt(ENGINE, ACTOR)
        assert [(await kit.facts("a")).halt] == [*await kit.ledger.halts()]
        assert (await kit.facts("b")).halt is None

    @driven
    async def test_what_people_did(self, kit: Harness) -> None:
        """It comes with the work item."""
        await kit.created("a")
        await kit.done("a", Verb.PAUSE)
        act = (await kit.facts("a")).work.act
        assert act is not None
        assert (Verb.PAUSE, ACTOR) == (act.verb, act.actor)

    @driven
    async def test_how_fast_work_goes(self, kit: Harness) -> None:
        """What workers have counted is added up, by engine and by label."""
        await kit.created("a")
        facts = await kit.facts("a")
        assert (None, None) == (facts.pace, facts.usual)
        await kit.renewed(tally=tally())
        await kit.renewed(tally=tally(count=1, total_ms=50, longest_ms=50), worker_id="worker-2")
        await kit.renewed(tally=tally(label="a label"))
        await kit.renewed(tally=tally(OTHER, count=100))
        facts = await kit.facts("a")
        assert facts.pace is not None
        assert (7, 6) == (facts.pace.steps, facts.pace.leases)
        assert MINUTE_MS / 6 <= facts.pace.span_ms <= 3 * MINUTE_MS
        assert StepTally(ENGINE, "", 4, 110, 50) == facts.usual
        await kit.commit(await kit.claim_one("a"), step="a label")
        assert StepTally(ENGINE, "a label", 3, 60, 40) == (await kit.facts("a")).usual

    @driven
    async def test_nothing_changes(self, kit: Harness) -> None:
        """No state, no event, no place in line."""
        await kit.leased("holder", resources=("r",))
        await kit.created("a", "b", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        events = await kit.ledger.events(limit=1000)
        before = [await kit.read(name) for name in ("holder", "a", "b")]
        for name in ("holder", "a", "b"):
            await kit.facts(name)
        assert before == [await kit.read(name) for name in ("holder", "a", "b")]
        assert events == await kit.ledger.events(limit=1000)
