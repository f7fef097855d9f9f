"""The contract of ``serve``: the lanes of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import attrs

from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Claim, Finish
from roost_core.backend.serving import ServePlan
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    ENGINE,
    MINUTE_MS,
    WORKER,
    ContractTests,
    Harness,
    driven,
)


@attrs.define(eq=False)
class Lanes:
    """A worker for one scenario: it finishes what it gets, and records it."""

    kit: Harness
    stopping: asyncio.Event = attrs.field(factory=asyncio.Event)
    handled: list[str] = attrs.field(factory=list)
    dead: list[str] = attrs.field(factory=list)
    running: int = 0
    most_running: int = 0
    #: Set after each work item.
    progress: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def work(self, claim: Claim) -> None:
        """Do one step; engines with their own behaviour override it."""
        await self.kit.commit(claim, Finish())

    async def handle(self, _ledger: Ledger, claim: Claim) -> None:
        """Run a claim as a worker does."""
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.work(claim)
        finally:
            self.running -= 1
        self.handled.append(claim.lease.work_id)
        self.progress.set()

    async def on_dead_letters(self, _ledger: Ledger, work_ids: Sequence[str]) -> None:
        """Note the dead letters."""
        self.dead.extend(work_ids)
        self.progress.set()

    async def upkeep(self) -> None:
        """Do nothing."""

    async def serve(
        self,
        *,
        burst: bool = False,
        concurrency: int = 3,
        drain_timeout: float = 30.0,
        engines: Sequence[str] = (ENGINE,),
    ) -> None:
        """Run the lanes."""
        plan = ServePlan(
            ledgers=(self.kit.ledger,),
            worker_id=WORKER,
            engines=tuple(engines),
            concurrency=concurrency,
            lease_ttl_ms=MINUTE_MS,
            drain_timeout=drain_timeout,
            burst=burst,
            stopping=self.stopping,
        )
        await self.kit.server.serve(plan, self.handle, self.on_dead_letters, self.upkeep)

    async def until(self, count: int) -> None:
        """Wait until this many work items were handled or dead-lettered."""
        while len(self.handled) + len(self.dead) < count:
            await self.progress.wait()
            self.progress.clear()


@attrs.define(eq=False)
class SleepyLanes(Lanes):
    """Each work item takes a moment, so that several run at a time."""

    started: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def work(self, claim: Claim) -> None:
        """Wait a moment, then finish."""
        self.started.set()
        await asyncio.sleep(0.02)
        await super().work(claim)


@attrs.define(eq=False)
class StubbornLanes(Lanes):
    """Work continues until it is cancelled, and is then given back."""

    async def work(self, claim: Claim) -> None:
        """Announce the start, then wait for the end of the drain."""
        self.progress.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.kit.interrupt(claim)
            raise


class ServeContract(ContractTests):
    """Claims reach the handler, soon and not too many at a time."""

    @driven
    async def test_a_burst_ends_when_nothing_is_ready(self, kit: Harness) -> None:
        """Everything ready is handled once; what sleeps is left."""
        await kit.created(*(f"a-{n:02}" for n in range(20)))
        await kit.created("sleeper", delay_ms=MINUTE_MS)
        lanes = Lanes(kit)
        await lanes.serve(burst=True)
        assert [f"a-{n:02}" for n in range(20)] == sorted(lanes.handled)
        counts = await kit.ledger.counts()
        assert (20, 1) == (counts[State.DONE], counts[State.SLEEPING])

    @driven
    async def test_an_empty_burst_ends_at_once(self, kit: Harness) -> None:
        """Nothing to do is nothing done."""
        lanes = Lanes(kit)
        await lanes.serve(burst=True)
        assert [] == lanes.handled

    @driven
    async def test_lanes_are_as_many_as_planned(self, kit: Harness) -> None:
        """At most ``concurrency`` handlers run at a time, and that many do."""
        await kit.created(*(f"a-{n:02}" for n in range(12)))
        lanes = SleepyLanes(kit)
        await lanes.serve(burst=True, concurrency=4)
        assert (12, 4) == (len(lanes.handled), lanes.most_running)

    @driven
    async def test_other_engines_work_is_left(self, kit: Harness) -> None:
        """Lanes take work of their engines only."""
        await kit.created("a", engine="a")
        await kit.created("b", engine="b")
        lanes = Lanes(kit)
        await lanes.serve(burst=True, engines=["a"])
        assert ["a"] == lanes.handled

    @driven
    async def test_new_work_wakes_idle_lanes(self, kit: Harness) -> None:
        """Q4: waiting lanes are notified of new work; setting ``stopping`` ends them."""
        lanes = Lanes(kit)
        serving = asyncio.create_task(lanes.serve())
        for count in (1, 2, 3):
            await asyncio.sleep(0.03)
            await kit.created(f"a-{count}")
            await lanes.until(count)
        lanes.stopping.set()
        await serving
        assert ["a-1", "a-2", "a-3"] == lanes.handled

    @driven
    async def test_due_work_wakes_idle_lanes(self, kit: Harness) -> None:
        """Lanes that wait take a sleeper when it is due, not before."""
        lanes = Lanes(kit)
        serving = asyncio.create_task(lanes.serve())
        await asyncio.sleep(0.03)
        await kit.created("a", delay_ms=100)
        await asyncio.sleep(0.03)
        assert [] == lanes.handled
        await kit.pass_time(100)
        await lanes.until(1)
        stored = await kit.read("a")
        assert stored.created_ms + 100 <= (stored.started_ms or 0)
        lanes.stopping.set()
        await serving

    @driven
    async def test_freed_resources_wake_idle_lanes(self, kit: Harness) -> None:
        """X2: work that waited for a resource runs when its holder is done."""
        await kit.created("a", "b", "c", resources=("r",))
        lanes = SleepyLanes(kit)
        serving = asyncio.create_task(lanes.serve())
        await lanes.until(3)
        lanes.stopping.set()
        await serving
        assert (["a", "b", "c"], 1) == (lanes.handled, lanes.most_running)

    @driven
    async def test_expired_leases_wake_idle_lanes(self, kit: Harness) -> None:
        """The work of a worker that died is taken over when its lease has expired."""
        await kit.created("a")
        await kit.claim_one("a", ttl_ms=100, worker_id="dead-worker")
        lanes = Lanes(kit)
        serving = asyncio.create_task(lanes.serve())
        await asyncio.sleep(0.03)
        assert [] == lanes.handled
        await kit.pass_time(100)
        await lanes.until(1)
        lanes.stopping.set()
        await serving
        assert ["enqueued", "claimed", "recovered", "claimed", "committed"] == await kit.kinds("a")

    @driven
    async def test_dead_letters_are_told(self, kit: Harness) -> None:
        """What a claim dead-letters on the way reaches the observers."""
        await kit.created("late", deadline_ms=1)
        await kit.created("fine")
        lanes = Lanes(kit)
        serving = asyncio.create_task(lanes.serve())
        await lanes.until(2)
        lanes.stopping.set()
        await serving
        assert (["late"], ["fine"]) == (lanes.dead, lanes.handled)

    @driven
    async def test_stopping_lets_steps_end(self, kit: Harness) -> None:
        """Steps in flight may end during the drain; new ones are not begun."""
        await kit.created("a", "b")
        lanes = SleepyLanes(kit)
        serving = asyncio.create_task(lanes.serve(concurrency=1))
        await lanes.started.wait()
        lanes.stopping.set()
        await serving
        assert ["a"] == lanes.handled
        assert (State.DONE, State.QUEUED) == (
            (await kit.read("a")).state,
            (await kit.read("b")).state,
        )

    @driven
    async def test_the_drain_ends(self, kit: Harness) -> None:
        """R1: a step that does not end is cancelled, and its work given back without blame."""
        await kit.created("a")
        lanes = StubbornLanes(kit)
        serving = asyncio.create_task(lanes.serve(drain_timeout=0.05))
        await lanes.progress.wait()
        lanes.stopping.set()
        await serving
        stored = await kit.read("a")
        assert (State.QUEUED, 0, 0) == (stored.state, stored.attempts, stored.recoveries)
