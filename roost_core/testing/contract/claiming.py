"""The contract of ``claim``."""

from __future__ import annotations

from roost_core.backend.messages import ClaimBatch, Yield
from roost_core.codec.times import from_milliseconds
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    ENGINE,
    HOUR_MS,
    MINUTE_MS,
    WORKER,
    ContractTests,
    Harness,
    driven,
    error_of,
    new_work,
)


class ClaimContract(ContractTests):
    """A claim leases what is first in line, and nothing that it must not."""

    @driven
    async def test_a_claim_carries_all_that_a_step_needs(self, kit: Harness) -> None:
        """Item, snapshot, counters and lease come in one answer, and are stored so."""
        deadline_ms = await kit.server.now_ms() + HOUR_MS
        new = new_work("a", payload=[1], deadline_ms=deadline_ms)
        await kit.ledger.enqueue([new])
        first = await kit.claim_one("a")
        stored = await kit.read("a")
        assert (new.item, None, None) == (first.item, first.snapshot, first.committed_ms)
        assert (ENGINE, 0, 0, 0) == (first.engine, first.version, first.attempts, first.recoveries)
        assert (stored.created_ms, deadline_ms) == (first.created_ms, first.deadline_ms)
        assert ("a", WORKER, 1) == (first.lease.work_id, first.lease.worker_id, first.lease.fence)
        assert (State.RUNNING, WORKER, 1) == (stored.state, stored.worker_id, stored.fence)
        assert stored.started_ms is not None
        assert stored.expires_ms == stored.started_ms + MINUTE_MS
        assert from_milliseconds(stored.expires_ms) == first.lease.expires_at
        ack = await kit.commit(first, Yield())
        second = await kit.claim_one("a")
        assert ((await kit.read("a")).snapshot, ack.at_ms) == (second.snapshot, second.committed_ms)
        assert (1, 2) == (second.version, second.lease.fence)
        assert stored.started_ms == (await kit.read("a")).started_ms

    @driven
    async def test_the_event_of_a_claim_names_the_worker(self, kit: Harness) -> None:
        """``claimed`` tells worker and fence; the token is not published."""
        claim = await kit.leased("a")
        event = (await kit.ledger.events(work_id="a"))[-1]
        assert ("claimed", State.RUNNING, 0) == (event.kind, event.state, event.version)
        assert {"worker_id": WORKER, "fence": 1} == event.data
        assert claim.lease.token not in str(event)

    @driven
    async def test_an_empty_queue_has_nothing(self, kit: Harness) -> None:
        """Nothing ready and nothing to come: no claims, and no time to wake at."""
        assert ClaimBatch(claims=()) == await kit.claim(limit=3)

    @driven
    async def test_priority_then_first_come(self, kit: Harness) -> None:
        """Q5: higher priority first, then the order of arrival."""
        await kit.created("low-1", priority=-5)
        await kit.created("mid-1", "mid-2")
        await kit.created("high-1", priority=1000)
        await kit.created("low-2", priority=-5)
        await kit.created("high-2", priority=1000)
        await kit.created("lowest", priority=-1000)
        expected = ["high-1", "high-2", "mid-1", "mid-2", "low-1", "low-2", "lowest"]
        assert expected[:3] == await kit.claimed_ids(limit=3)
        assert expected[3:] == await kit.claimed_ids(limit=10)

    @driven
    async def test_engines_share_one_line(self, kit: Harness) -> None:
        """A worker of several engines takes the first of all, whatever its engine."""
        await kit.created("a-1", engine="a")
        await kit.created("b-1", engine="b")
        await kit.created("a-2", engine="a")
        await kit.created("b-2", engine="b", priority=1)
        ids = await kit.claimed_ids(engines=["a", "b"], limit=4)
        assert ["b-2", "a-1", "b-1", "a-2"] == ids

    @driven
    async def test_other_engines_work_is_left(self, kit: Harness) -> None:
        """A worker that lacks an engine leaves its work to others, as it was."""
        await kit.created("a", engine="a")
        await kit.created("ab", engine="ab")
        before = await kit.read("ab")
        assert ["a"] == await kit.claimed_ids(engines=["a", "b"], limit=5)
        assert before == await kit.read("ab")
        assert ["ab"] == await kit.claimed_ids(engines=["ab"], limit=5)

    @driven
    async def test_nothing_is_claimed_before_it_is_due(self, kit: Harness) -> None:
        """Q2: a sleeper is left alone until it is due, then taken."""
        await kit.created("a", delay_ms=HOUR_MS)
        batch = await kit.claim()
        assert () == batch.claims
        assert batch.next_wake_ms is not None
        assert 0 < batch.next_wake_ms <= HOUR_MS
        await kit.age_due("a")
        await kit.claim_one("a")
        assert (await kit.read("a")).due_ms is None

    @driven
    async def test_due_work_stands_behind_ready_work(self, kit: Harness) -> None:
        """Promotion gives a new place in line: after what was ready before."""
        await kit.created("sleeper", delay_ms=HOUR_MS)
        await kit.created("ready")
        await kit.age_due("sleeper")
        assert ["ready", "sleeper"] == await kit.claimed_ids(limit=2)

    @driven
    async def test_work_due_together_goes_by_id(self, kit: Harness) -> None:
        """What becomes due at one moment is promoted in the order of the ids' bytes."""
        for work_id in ("b", "a", "Z"):
            await kit.created(work_id, delay_ms=HOUR_MS, deadline_ms=1)
        assert ("Z", "a", "b") == (await kit.claim(limit=3)).dead_letters

    @driven
    async def test_a_live_lease_is_never_taken(self, kit: Harness) -> None:
        """L1, L3: leased work is nobody else's, and its expiry is the next time to look."""
        await kit.leased("a")
        batch = await kit.claim(worker_id="worker-2", limit=5)
        assert () == batch.claims
        assert batch.next_wake_ms is not None
        assert 0 < batch.next_wake_ms <= MINUTE_MS

    @driven
    async def test_an_expired_lease_is_taken_back(self, kit: Harness) -> None:
        """L2, L3: the work is given out again under a higher fence; attempts do not count."""
        first = await kit.leased("a")
        await kit.age_lease("a")
        second = await kit.claim_one("a", worker_id="worker-2")
        assert (0, 0) == (second.recoveries, second.attempts)
        assert 1 == (await kit.read("a")).suspicions
        assert (2, "worker-2") == (second.lease.fence, second.lease.worker_id)
        assert first.lease.token != second.lease.token
        assert ["enqueued", "claimed", "recovered", "claimed"] == await kit.kinds("a")
        await kit.see_refused(first)

    @driven
    async def test_a_lease_expires_by_itself(self, kit: Harness) -> None:
        """The server's clock alone ends a lease that nobody renews."""
        await kit.created("a")
        await kit.claim_one("a", ttl_ms=20)
        await kit.pass_time(25)
        assert 2 == (await kit.claim_one("a")).lease.fence

    @driven
    async def test_recovered_work_keeps_its_place(self, kit: Harness) -> None:
        """Work whose worker died stands where it stood, before what came later."""
        await kit.created("a", "b")
        await kit.claim_one("a")
        await kit.age_lease("a")
        assert ["a", "b"] == await kit.claimed_ids(limit=2)

    @driven
    async def test_a_full_claim_says_whether_more_is_ready(self, kit: Harness) -> None:
        """Then the worker need not wait for news before it claims again."""
        await kit.created("a", "b")
        assert 0 == (await kit.claim()).next_wake_ms
        assert 0 != (await kit.claim()).next_wake_ms

    @driven
    async def test_recovery_leaves_room_for_others(self, kit: Harness) -> None:
        """Of many leases that expire at once, a claim takes back half its limit if others wait."""
        victims = [f"v-{number:02}" for number in range(12)]
        await kit.created(*victims)
        assert victims == await kit.claimed_ids(limit=12, worker_id="worker-dead")
        for work_id in victims:
            await kit.age_lease(work_id)
        await kit.created(*(f"w-{number:02}" for number in range(12)))
        for round_ in range(3):
            ids = await kit.claimed_ids(limit=4)
            assert ["v", "v", "w", "w"] == [work_id[0] for work_id in ids], round_
        # One at a time they take turns.
        taken = [(await kit.claimed_ids())[0][0] for _ in range(4)]
        assert ["v", "v", "w", "w"] == sorted(taken)

    @driven
    async def test_recovery_takes_what_nobody_else_wants(self, kit: Harness) -> None:
        """Lanes that would stay free take back expired leases."""
        victims = [f"v-{number}" for number in range(6)]
        await kit.created(*victims)
        await kit.claimed_ids(limit=6, worker_id="worker-dead")
        for work_id in victims:
            await kit.age_lease(work_id)
        await kit.created("w-0")
        assert ["v-0", "v-1", "v-2", "w-0"] == sorted(await kit.claimed_ids(limit=4))
        assert ["v-3", "v-4", "v-5"] == sorted(await kit.claimed_ids(limit=4))

    @driven
    async def test_late_work_is_dead_lettered(self, kit: Harness) -> None:
        """Work whose deadline has passed is not run any more; it costs no place in the batch."""
        await kit.created("late", deadline_ms=1, priority=5)
        await kit.created("fine")
        batch = await kit.claim(limit=1)
        stored = await kit.read("late")
        assert ["fine"] == [claim.lease.work_id for claim in batch.claims]
        assert ("late",) == batch.dead_letters
        assert (State.FAILED, "deadline") == (stored.state, error_of(stored).kind)
        assert ["enqueued", "dead_lettered"] == await kit.kinds("late")

    @driven
    async def test_late_work_does_not_disturb_the_line(self, kit: Harness) -> None:
        """Q5: behind a dead-lettered one, the engines' work still goes in the order of all."""
        await kit.created("late", engine="b", deadline_ms=1)
        await kit.created("first", engine="b")
        await kit.created("second", engine="a")
        batch = await kit.claim(engines=["a", "b"], limit=1)
        assert ("late",) == batch.dead_letters
        assert ["first"] == [claim.lease.work_id for claim in batch.claims]

    @driven
    async def test_the_next_wake_is_the_soonest(self, kit: Harness) -> None:
        """What comes first counts: a sleeper, a retry or the end of a lease."""
        await kit.created("sleeper", delay_ms=3 * HOUR_MS)
        assert 2 * HOUR_MS < ((await kit.claim()).next_wake_ms or 0) <= 3 * HOUR_MS
        await kit.fail(await kit.leased("retry"), delay_ms=2 * HOUR_MS)
        assert HOUR_MS < ((await kit.claim()).next_wake_ms or 0) <= 2 * HOUR_MS
        await kit.leased("leased")
        assert 0 < ((await kit.claim()).next_wake_ms or 0) <= MINUTE_MS

    @driven
    async def test_a_claim_looks_at_a_bounded_number(self, kit: Harness) -> None:
        """After 100 that cannot run, a claim returns at once and asks to be called again."""
        await kit.leased("holder", resources=("r",))
        waiters = [new_work(f"waiter-{n:03}", resources=("r",)) for n in range(150)]
        await kit.ledger.enqueue(waiters)
        await kit.created("free", priority=-1)
        batch = await kit.claim()
        assert ((), 0) == (batch.claims, batch.next_wake_ms)
        counts = await kit.ledger.counts()
        assert (101, 50) == (counts[State.BLOCKED], counts[State.QUEUED])
        await kit.claim_one("free")
