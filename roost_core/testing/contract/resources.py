"""The contract of resources: at most one holder, all or none, no lost wake-up."""

from __future__ import annotations

from roost_core.backend.messages import Claim, Finish, Sleep, Yield
from roost_core.backend.reports import ListQuery
from roost_core.models.work import State
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
        await kit.commit(claim, Finish())
    elif way == "sleep":
        await kit.commit(claim, Sleep(HOUR_MS))
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
        """X1: the second one is blocked, and names the resource."""
        await kit.leased("a", resources=("r", "s"))
        await kit.created("b", resources=("s",))
        await kit.created("c")
        assert ["c"] == await kit.claimed_ids(limit=5)
        stored = await kit.read("b")
        assert (State.BLOCKED, "s", 0) == (stored.state, stored.blocked_on, stored.fence)
        event = (await kit.ledger.events(work_id="b"))[-1]
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
        """Work that yields goes behind the one that waited for its resource."""
        claim = await kit.leased("a", resources=("r",))
        await kit.created("b", resources=("r",))
        assert [] == await kit.claimed_ids()
        await kit.commit(claim, Yield())
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
        """X2: blocked work holds none of the free ones: what goes before it takes them."""
        await kit.leased("a", resources=("r",))
        await kit.created("b", resources=("q", "r", "s"))
        assert [] == await kit.claimed_ids()
        await kit.leased("c", resources=("q", "s"), priority=1)

    @driven
    async def test_waiters_keep_priority_and_place(self, kit: Harness) -> None:
        """Q5: among waiters, and afterwards among the ready, the old order holds."""
        claim = await kit.leased("a", resources=("r",))
        await kit.created("b-1", "b-2", resources=("r",))
        await kit.created("high", resources=("r",), priority=1)
        assert [] == await kit.claimed_ids(limit=5)
        await kit.created("later")
        for expected in ("high", "b-1", "b-2"):
            await kit.commit(claim, Finish())
            claim = await kit.claim_one(expected)
        await kit.claim_one("later")

    @driven
    async def test_the_first_of_all_engines_is_next(self, kit: Harness) -> None:
        """Q5: a live worker will run it, so others wait behind it, whoever claims first."""
        claim = await kit.leased("a", resources=("r",))
        await kit.created("b-1", "b-2", engine="b", resources=("r",))
        await kit.created("c-1", engine="c", resources=("r",))
        assert [] == await kit.claimed_ids(engines=["b", "c"], limit=5)
        await kit.commit(claim, Finish())
        assert [] == await kit.claimed_ids(engines=["c"], limit=5)
        assert ["b-1"] == await kit.claimed_ids(engines=["b"], limit=5)
        states = {one: (await kit.read(one)).state for one in ("b-2", "c-1")}
        assert dict.fromkeys(("b-2", "c-1"), State.BLOCKED) == states

    @driven
    async def test_who_is_late_passes_the_baton(self, kit: Harness) -> None:
        """X2: a woken one that is dead-lettered instead wakes the one behind it."""
        claim = await kit.leased("a", resources=("r",))
        deadline_ms = await kit.server.now_ms() + 1_000
        await kit.created("b", resources=("r",), deadline_ms=deadline_ms)
        await kit.created("c", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        await kit.pass_time(1_020)
        await kit.commit(claim, Finish())
        batch = await kit.claim(limit=5)
        assert ("b",) == batch.dead_letters
        assert ["c"] == [one.lease.work_id for one in batch.claims]

    @driven
    async def test_nobody_overtakes_who_needs_two(self, kit: Harness) -> None:
        """Q5: single ones that come later wait behind one that needs both, and do not starve it."""
        holders = {"r": await kit.leased("r-0", resources=("r",))}
        holders["s"] = await kit.leased("s-0", resources=("s",))
        await kit.created("both", resources=("r", "s"))
        assert [] == await kit.claimed_ids()
        for number in range(1, 41):
            for name in ("r", "s"):
                await kit.created(f"{name}-{number}", resources=(name,))
        assert [] == await kit.claimed_ids(limit=100)
        await kit.commit(holders["r"], Finish())
        assert [] == await kit.claimed_ids(limit=100)
        await kit.commit(holders["s"], Finish())
        both = await kit.claim_one("both", limit=100)
        await kit.commit(both, Finish())
        assert ["r-1", "s-1"] == await kit.claimed_ids(limit=100)
        assert ["enqueued", "blocked", "unblocked", "claimed"] == await kit.kinds("s-1")

    @driven
    async def test_higher_priority_goes_before_a_reservation(self, kit: Harness) -> None:
        """Q5: it takes what is reserved for less; the owner keeps its place before the others."""
        holder = await kit.leased("a", resources=("s",))
        await kit.created("both", resources=("r", "s"))
        await kit.created("later", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        high = await kit.leased("high", resources=("r",), priority=1)
        await kit.commit(holder, Finish())
        assert [] == await kit.claimed_ids(limit=5)
        await kit.commit(high, Finish())
        assert ["both"] == await kit.claimed_ids(limit=5)

    @driven
    async def test_who_was_made_ready_keeps_its_reservation(self, kit: Harness) -> None:
        """Q5: while a worker of its engine is busy, those of other engines do not go before it."""
        holder = await kit.leased("a", resources=("r",))
        await kit.created("b", engine="b", resources=("r", "s"))
        assert [] == await kit.claimed_ids(engines=["b"])
        await kit.commit(holder, Finish())
        assert State.QUEUED == (await kit.read("b")).state
        await kit.created("c", resources=("s",))
        assert [] == await kit.claimed_ids(limit=5)
        assert "s" == (await kit.read("c")).blocked_on
        claim = await kit.claim_one("b", engines=["b"])
        await kit.commit(claim, Finish())
        assert ["c"] == await kit.claimed_ids(limit=5)

    @driven
    async def test_only_who_can_run_is_woken(self, kit: Harness) -> None:
        """X2: however many wait, the end of a lease makes none ready that would block again."""
        first = await kit.leased("a", resources=("r", "s", "t"))
        pairs = [("r", "s"), ("s", "t"), ("r", "t")]
        names = [f"w-{number:02}" for number in range(60)]
        for number, name in enumerate(names):
            await kit.created(name, resources=pairs[number % 3])
        assert [] == await kit.claimed_ids(limit=60)
        await kit.commit(first, Finish())
        for name in names:
            (claim,) = (await kit.claim(limit=60)).claims
            assert name == claim.lease.work_id
            await kit.commit(claim, Finish())
            expected = ["enqueued", "blocked", "unblocked", "claimed", "committed"]
            assert expected == await kit.kinds(name)

    @driven
    async def test_an_engine_that_nobody_runs_reserves_nothing(self, kit: Harness) -> None:
        """Work that no worker could ever take keeps no other from a resource."""
        await kit.created("b", engine="b", resources=("r",))
        claim = await kit.leased("a", resources=("r",))
        await kit.commit(claim, Finish())
        await kit.leased("c", resources=("r",))

    @driven
    async def test_reservations_end_with_the_last_worker_of_an_engine(self, kit: Harness) -> None:
        """Its worker has retired: those who wait behind it run, and it stays in its queue."""
        holder = await kit.leased("a", resources=("s",))
        await kit.created("b-1", engine="b", resources=("r", "s"))
        await kit.created("b-2", engine="b", resources=("r",))
        assert [] == await kit.claimed_ids(engines=["b"], limit=5, worker_id="worker-b")
        await kit.created("c", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        await kit.ledger.retire("worker-b")
        claim = await kit.claim_one("c", limit=5)
        for name in ("b-1", "b-2"):
            stored = await kit.read(name)
            assert (State.QUEUED, None) == (stored.state, stored.blocked_on)
        await kit.commit(claim, Finish())
        await kit.commit(holder, Finish())
        assert ["b-1"] == await kit.claimed_ids(engines=["b"], limit=5)

    @driven
    async def test_reservations_stay_while_another_worker_runs_the_engine(
        self, kit: Harness
    ) -> None:
        """A worker that renews counts, however long it takes no new work."""
        holder = await kit.leased("a", resources=("s",))
        await kit.created("b", resources=("r", "s"))
        assert [] == await kit.claimed_ids(worker_id="worker-2")
        await kit.renew()
        await kit.ledger.retire("worker-2")
        await kit.created("c", engine="c", resources=("r",))
        assert [] == await kit.claimed_ids(engines=["c"], worker_id="worker-c")
        await kit.commit(holder, Finish())
        assert ["b"] == await kit.claimed_ids()

    @driven
    async def test_reservations_end_with_the_deadline(self, kit: Harness) -> None:
        """Work that waits for a resource is buried in time, and work behind it does not wait."""
        holder = await kit.leased("a", resources=("s",))
        deadline_ms = await kit.server.now_ms() + 1_000
        await kit.created("late", resources=("r", "s"), deadline_ms=deadline_ms)
        await kit.created("c", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        await kit.pass_time(1_020)
        await kit.renew(holder)
        assert State.QUEUED == (await kit.read("c")).state
        batch = await kit.claim(limit=5)
        assert ("late",) == batch.dead_letters
        assert ["c"] == [one.lease.work_id for one in batch.claims]

    @driven
    async def test_blocked_work_is_listed_in_order(self, kit: Harness) -> None:
        """A list of what is blocked names each once, in the order in which they will run."""
        await kit.leased("a", resources=("r", "s"))
        await kit.created("b", "c", resources=("r", "s"))
        await kit.created("d", resources=("s",), priority=3)
        assert [] == await kit.claimed_ids(limit=5)
        found = await kit.ledger.list(ListQuery(state=State.BLOCKED))
        assert ["d", "b", "c"] == [stored.work_id for stored in found]
        assert 3 == (await kit.ledger.counts())[State.BLOCKED]
