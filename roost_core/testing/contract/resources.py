"""The contract of resources: at most one holder, all or none, no lost wake-up."""

from __future__ import annotations

from roost_core.backend import Claim, Then
from roost_core.models import State
from roost_core.testing.contract.kit import (
    HOUR_MS,
    ContractTests,
    Harness,
    driven,
)


async def _end(kit: Harness, way: str, claim: Claim) -> None:
    """End a lease in one of the ways there are; the work does not come back by itself."""
    work_id = claim.lease.work_id
    if way == "finish":
        await kit.commit(claim, Then.FINISH)
    elif way == "sleep":
        await kit.commit(claim, Then.SLEEP, delay_ms=HOUR_MS)
    elif way == "fail":
        await kit.fail(claim)
    elif way == "dead letter":
        await kit.fail(claim, permanent=True)
    elif way == "interrupt":
        await kit.interrupt(claim, HOUR_MS)
    else:
        assert way == "death"
        await kit.age_lease(work_id)


class ResourceContract(ContractTests):
    """Work that names resources runs alone on each of them."""

    @driven
    async def test_a_busy_resource_blocks(self, kit: Harness) -> None:
        """X1: the second one stands aside, and says for what."""
        await kit.leased("a", resources=("r", "s"))
        await kit.created("b", resources=("s",))
        await kit.created("c")
        assert ["c"] == await kit.claimed_ids(limit=5)
        stored = await kit.read("b")
        assert (State.BLOCKED, "s", 0) == (stored.state, stored.blocked_on, stored.fence)
        event = (await kit.backend.events(work_id="b"))[-1]
        assert ("blocked", State.BLOCKED, {"resource": "s"}) == (
            event.kind,
            event.state,
            event.data,
        )

    @driven
    async def test_one_batch_takes_a_resource_once(self, kit: Harness) -> None:
        """X1: two that want the same are not leased by one claim either."""
        await kit.created("a", "b", resources=("r",))
        assert ["a"] == await kit.claimed_ids(limit=5)
        assert State.BLOCKED == (await kit.read("b")).state

    @driven
    async def test_it_blocks_on_the_first_busy_one_by_name(self, kit: Harness) -> None:
        """Resources are looked at in sorted order, however the work names them."""
        await kit.leased("a", resources=("m",))
        await kit.leased("b", resources=("z",))
        await kit.created("c", resources=("z", "n", "m"))
        assert [] == await kit.claimed_ids()
        assert "m" == (await kit.read("c")).blocked_on

    @driven
    async def test_every_end_of_a_lease_wakes_the_next(self, kit: Harness) -> None:
        """X2: however a lease ends, its resources are free and the next in line is ready."""
        for way in ("finish", "sleep", "fail", "dead letter", "interrupt"):
            name = way.replace(" ", "-")
            claim = await kit.leased(f"a-{name}", resources=(name,), max_recoveries=0)
            await kit.created(f"b-{name}", f"c-{name}", resources=(name,))
            assert [] == await kit.claimed_ids(limit=2)
            await _end(kit, way, claim)
            assert [f"b-{name}"] == await kit.claimed_ids(limit=2)
            assert State.BLOCKED == (await kit.read(f"c-{name}")).state
            expected = ["enqueued", "blocked", "unblocked", "claimed"]
            assert expected == await kit.kinds(f"b-{name}")

    @driven
    async def test_yielding_lets_a_waiter_go_first(self, kit: Harness) -> None:
        """Work that yields stands behind the one that waited for its resource."""
        claim = await kit.leased("a", resources=("r",))
        await kit.created("b", resources=("r",))
        assert [] == await kit.claimed_ids()
        await kit.commit(claim, Then.YIELD)
        assert ["b"] == await kit.claimed_ids(limit=2)
        assert State.BLOCKED == (await kit.read("a")).state

    @driven
    async def test_continuing_keeps_resources(self, kit: Harness) -> None:
        """X1: the resources belong to the lease, step after step."""
        claim = await kit.leased("a", resources=("r",))
        await kit.created("b", resources=("r",))
        await kit.commit(claim)
        assert [] == await kit.claimed_ids()

    @driven
    async def test_all_resources_or_none(self, kit: Harness) -> None:
        """X2: blocked work holds none of the resources that were free."""
        await kit.leased("a", resources=("r",))
        await kit.created("b", resources=("q", "r", "s"))
        assert [] == await kit.claimed_ids()
        await kit.leased("c", resources=("q", "s"))

    @driven
    async def test_waiters_keep_priority_and_place(self, kit: Harness) -> None:
        """Q5: among waiters, and afterwards among the ready, the old order holds."""
        claim = await kit.leased("a", resources=("r",))
        await kit.created("b-1", "b-2", resources=("r",))
        await kit.created("high", resources=("r",), priority=1)
        assert [] == await kit.claimed_ids(limit=5)
        await kit.created("later")
        for expected in ("high", "b-1", "b-2"):
            await kit.commit(claim, Then.FINISH)
            claim = await kit.claim_one(expected)
        await kit.claim_one("later")

    @driven
    async def test_one_of_each_engine_is_woken(self, kit: Harness) -> None:
        """X2: a worker that lacks the first waiter's engine can take the resource for another."""
        claim = await kit.leased("a", resources=("r",))
        await kit.created("b-1", "b-2", engine="b", resources=("r",))
        await kit.created("c-1", "c-2", engine="c", resources=("r",))
        assert [] == await kit.claimed_ids(engines=["b", "c"], limit=5)
        await kit.commit(claim, Then.FINISH)
        assert ["c-1"] == await kit.claimed_ids(engines=["c"], limit=5)
        assert [] == await kit.claimed_ids(engines=["b"], limit=5)
        states = {one: (await kit.read(one)).state for one in ("b-1", "b-2", "c-2")}
        assert dict.fromkeys(("b-1", "b-2", "c-2"), State.BLOCKED) == states

    @driven
    async def test_who_blocks_again_passes_the_baton(self, kit: Harness) -> None:
        """X2: a woken one that is blocked by something else wakes the one behind it."""
        first = await kit.leased("a", resources=("r",))
        await kit.created("b", resources=("r", "s"))
        await kit.created("c", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        await kit.leased("d", resources=("s",))
        await kit.commit(first, Then.FINISH)
        assert ["c"] == await kit.claimed_ids(limit=5)
        assert "s" == (await kit.read("b")).blocked_on

    @driven
    async def test_who_is_late_passes_the_baton(self, kit: Harness) -> None:
        """X2: a woken one that is dead-lettered instead wakes the one behind it."""
        claim = await kit.leased("a", resources=("r",))
        deadline_ms = await kit.backend.now_ms() + 200
        await kit.created("b", resources=("r",), deadline_ms=deadline_ms)
        await kit.created("c", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        await kit.pass_time(220)
        await kit.commit(claim, Then.FINISH)
        batch = await kit.claim(limit=5)
        assert ("b",) == batch.dead_letters
        assert ["c"] == [one.lease.work_id for one in batch.claims]
