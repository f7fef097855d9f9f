"""The contract of a server with several ledgers: apart in all things, and served together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import attrs
import pytest

from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Claim, ClaimRequest, Commit, Finish
from roost_core.backend.reports import ListQuery
from roost_core.backend.serving import ServePlan
from roost_core.errors import LeaseLost
from roost_core.models.work import State
from roost_core.testing.contract.blaming import suspected
from roost_core.testing.contract.kit import (
    ENGINE,
    MINUTE_MS,
    QUEUE,
    WORKER,
    ContractTests,
    Harness,
    driven,
    new_work,
    snapshot_bytes,
    unique,
)

#: The queue beside the harness's own.
OTHER = "other"


async def finish(ledger: Ledger, claim: Claim) -> None:
    """Do the last step of a claim."""
    snapshot = snapshot_bytes(claim, claim.version + 1)
    commit = Commit(unique("commit"), claim.version, snapshot, "count", Finish())
    await ledger.commit(claim.lease, commit)


@attrs.define(eq=False)
class Pair:
    """A worker of one scenario that serves two queues, and notes what it finishes."""

    kit: Harness
    concurrency: int = 4
    stopping: asyncio.Event = attrs.field(factory=asyncio.Event)
    handled: list[tuple[str, str]] = attrs.field(factory=list)
    dead: list[tuple[str, str]] = attrs.field(factory=list)
    #: Work of the other queue ends once this is set.
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)
    #: Set after each work item, and when one of the other queue begins.
    progress: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def ledgers(self) -> tuple[Ledger, Ledger]:
        """Return both ledgers."""
        return self.kit.ledger, self.kit.server.ledger(OTHER)

    async def handle(self, ledger: Ledger, claim: Claim) -> None:
        """Finish a claim in its own ledger."""
        self.progress.set()
        if ledger.queue == OTHER:
            await self.gate.wait()
        await finish(ledger, claim)
        self.handled.append((ledger.queue, claim.lease.work_id))
        self.progress.set()

    async def on_dead_letters(self, ledger: Ledger, work_ids: Sequence[str]) -> None:
        """Note the dead letters."""
        self.dead.extend((ledger.queue, work_id) for work_id in work_ids)

    async def upkeep(self) -> None:
        """Do nothing."""

    async def serve(self, *, burst: bool = False) -> None:
        """Run the lanes."""
        plan = ServePlan(
            ledgers=self.ledgers,
            worker_id=WORKER,
            engines=(ENGINE,),
            concurrency=self.concurrency,
            lease_ttl_ms=MINUTE_MS,
            drain_timeout=30.0,
            burst=burst,
            stopping=self.stopping,
        )
        await self.kit.server.serve(plan, self.handle, self.on_dead_letters, self.upkeep)

    async def until(self, count: int) -> None:
        """Wait until this many work items were handled."""
        while len(self.handled) < count:
            await self.progress.wait()
            self.progress.clear()


class QueuesContract(ContractTests):
    """One server, several ledgers."""

    @driven
    async def test_a_queue_has_one_ledger(self, kit: Harness) -> None:
        """The same for the same name; it says which it is."""
        other = kit.server.ledger(OTHER)
        assert other is kit.server.ledger(OTHER)
        assert (QUEUE, OTHER) == (kit.ledger.queue, other.queue)

    @driven
    async def test_queues_know_nothing_of_each_other(self, kit: Harness) -> None:
        """Ids, idempotency keys, resources, leases, events and workers are each queue's own."""
        other = kit.server.ledger(OTHER)
        first, second = [
            await ledger.enqueue(
                [new_work("a", payload=number, idempotency_key="k", resources=("domain:x",))]
            )
            for number, ledger in enumerate((kit.ledger, other))
        ]
        assert first == second
        claim = await kit.claim_one("a")
        assert State.RUNNING is (await kit.read("a")).state
        request = ClaimRequest(WORKER, (ENGINE,), 5, MINUTE_MS)
        (its,) = (await other.claim(request)).claims
        assert claim.lease.token != its.lease.token
        with pytest.raises(LeaseLost):
            await other.interrupt(claim.lease, "i0", "not yours", None)
        await finish(other, its)
        assert 1 == (await kit.ledger.counts())[State.RUNNING]
        assert ["enqueued", "claimed"] == await kit.kinds("a")
        assert 1 == len(await other.list(ListQuery(state=State.DONE)))
        await kit.renew(claim)
        assert (1, 0) == (len(await kit.ledger.workers()), len(await other.workers()))

    @driven
    async def test_a_claim_of_nothing_takes_nothing(self, kit: Harness) -> None:
        """Who has no lane lets it be for others."""
        await kit.created("a")
        batch = await kit.claim(limit=0)
        assert ((), 0) == (batch.claims, batch.next_wake_ms)
        assert ["a"] == await kit.claimed_ids()

    @driven
    async def test_a_burst_is_over_when_all_queues_are(self, kit: Harness) -> None:
        """Each claim is handled in its own ledger, though the ids are the same."""
        pair = Pair(kit)
        pair.gate.set()
        for ledger in pair.ledgers:
            await ledger.enqueue([new_work(f"a-{n}") for n in range(10)])
            late = await kit.server.now_ms() + 1
            await ledger.enqueue([new_work("late", deadline_ms=late)])
        await kit.pass_time(10)
        await pair.serve(burst=True)
        assert Counter({QUEUE: 10, OTHER: 10}) == Counter(queue for queue, _ in pair.handled)
        assert [(QUEUE, "late"), (OTHER, "late")] == sorted(pair.dead)
        for ledger in pair.ledgers:
            assert 10 == (await ledger.counts())[State.DONE]

    @driven
    async def test_work_of_any_queue_wakes_an_idle_worker(self, kit: Harness) -> None:
        """Soon, and without a poll that would find it."""
        pair = Pair(kit)
        pair.gate.set()
        serving = asyncio.create_task(pair.serve())
        for number, ledger in enumerate(pair.ledgers * 2):
            await asyncio.sleep(0.05)
            await ledger.enqueue([new_work(f"a-{number}")])
            await pair.until(number + 1)
        pair.stopping.set()
        await serving

    @driven
    async def test_busy_lanes_leave_room_for_the_other_queue(self, kit: Harness) -> None:
        """Two with a backlog each have half of the lanes, however long their work takes."""
        pair = Pair(kit)
        for ledger in pair.ledgers:
            await ledger.enqueue([new_work(f"a-{n}") for n in range(20)])
        serving = asyncio.create_task(pair.serve())
        # The other queue's work does not end: half of the lanes continue.
        await pair.until(10)
        assert 2 == (await pair.ledgers[1].counts())[State.RUNNING]
        pair.gate.set()
        await pair.until(40)
        pair.stopping.set()
        await serving

    @driven
    async def test_suspects_wait_for_work_of_all_queues(self, kit: Harness) -> None:
        """Alone is what nothing of any queue runs beside."""
        pair = Pair(kit)
        await suspected(kit, "poison")
        await pair.ledgers[1].enqueue([new_work("innocent")])
        serving = asyncio.create_task(pair.serve())
        for _ in range(20):
            innocent = await pair.ledgers[1].read("innocent")
            assert innocent is not None
            states = (await kit.read("poison")).state, innocent.state
            assert (State.RUNNING, State.RUNNING) != states
            await asyncio.sleep(0.01)
        pair.gate.set()
        await pair.until(2)
        pair.stopping.set()
        await serving
