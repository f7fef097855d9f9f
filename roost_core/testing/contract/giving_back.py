"""The contract of ``fail``, ``interrupt`` and the renewer."""

from __future__ import annotations

from roost_core.backend.messages import Ack, Finish
from roost_core.codec.records import decode_model
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.testing.contract.kit import (
    HOUR_MS,
    MINUTE_MS,
    WORKER,
    ContractTests,
    Harness,
    driven,
    error_bytes,
    error_of,
    heartbeat_bytes,
)


class FailContract(ContractTests):
    """An attempt that failed is counted, and retried until there are no more."""

    @driven
    async def test_a_failure_waits_for_a_retry(self, kit: Harness) -> None:
        """The attempt counts, the error is kept, and the work is due after the delay."""
        ack = await kit.fail(await kit.leased("a"), error=error_bytes(message="boom"), delay_ms=777)
        stored = await kit.read("a")
        assert Ack(State.RETRY_WAIT, 0, 1, ack.at_ms, ack.at_ms + 777) == ack
        assert (State.RETRY_WAIT, 1, ack.due_ms) == (stored.state, stored.attempts, stored.due_ms)
        assert ("boom", None) == (error_of(stored).message, stored.worker_id)
        event = (await kit.ledger.events(work_id="a"))[-1]
        assert ("attempt_failed", State.RETRY_WAIT) == (event.kind, event.state)
        assert "boom" == event.data["error"]["message"]
        assert [] == await kit.claimed_ids()

    @driven
    async def test_a_failure_says_which_it_was_and_when_the_next_is(self, kit: Harness) -> None:
        """People need not count events, neither in the stream nor in the item's own trail."""
        await kit.created("a", max_attempts=3)
        await kit.fail(await kit.claim_one("a"), error=error_bytes(message="boom"), delay_ms=777)
        trail = await kit.ledger.trail("a") or ()
        for event in (
            (await kit.ledger.events(work_id="a"))[-1],
            next(one for one in trail if one.kind == "attempt_failed"),
        ):
            known = [event.data[key] for key in ("attempt", "max_attempts", "delay_ms")]
            assert [1, 3, 777] == known
            assert "boom" == event.data["error"]["message"]

    @driven
    async def test_attempts_never_pass_the_maximum(self, kit: Harness) -> None:
        """R1, D1: the last attempt that may fail dead-letters the work, with its error."""
        await kit.created("a", max_attempts=3)
        for attempt in (1, 2, 3):
            claim = await kit.claim_one("a")
            assert attempt - 1 == claim.attempts
            ack = await kit.fail(claim, error=error_bytes(message=f"number {attempt}"))
            assert attempt == ack.attempts
            if attempt < 3:
                await kit.age_due("a")
        stored = await kit.read("a")
        assert (State.FAILED, 3, None) == (stored.state, stored.attempts, stored.due_ms)
        assert (State.FAILED, ack.at_ms) == (ack.state, stored.finished_ms)
        assert "number 3" == error_of(stored).message
        event = (await kit.ledger.events(work_id="a"))[-1]
        assert ("dead_lettered", State.FAILED) == (event.kind, event.state)
        assert "number 3" == event.data["error"]["message"]
        await kit.see_refused(claim)
        assert [] == await kit.claimed_ids()

    @driven
    async def test_a_permanent_failure_is_the_last(self, kit: Harness) -> None:
        """Work that retrying cannot help is dead-lettered at the first attempt."""
        claim = await kit.leased("a")
        await kit.commit(claim)
        ack = await kit.fail(claim, permanent=True, error=error_bytes("permanent"))
        stored = await kit.read("a")
        assert (State.FAILED, 1, 1) == (ack.state, ack.version, ack.attempts)
        assert "permanent" == error_of(stored).kind
        assert stored.item is not None
        assert stored.snapshot is not None

    @driven
    async def test_a_retry_does_not_wait_past_the_deadline(self, kit: Harness) -> None:
        """A retry comes at the deadline at the latest, to be dead-lettered."""
        deadline_ms = await kit.server.now_ms() + MINUTE_MS
        ack = await kit.fail(await kit.leased("a", deadline_ms=deadline_ms), delay_ms=HOUR_MS)
        assert (State.RETRY_WAIT, deadline_ms) == (ack.state, ack.due_ms)

    @driven
    async def test_a_repeated_failure_counts_once(self, kit: Harness) -> None:
        """C4, R1: the same commit id gives the same answer; the attempt counts once."""
        for permanent in (False, True):
            claim = await kit.leased(f"a-{permanent}")
            fields = {"commit_id": "one", "permanent": permanent}
            ack = await kit.fail(claim, **fields)
            before = await kit.read(claim.lease.work_id)
            assert ack == await kit.fail(claim, **fields)
            assert before == await kit.read(claim.lease.work_id)


class InterruptContract(ContractTests):
    """Giving back is not failing."""

    @driven
    async def test_interrupted_work_keeps_its_place(self, kit: Harness) -> None:
        """Work that is given back at a shutdown is next again, before what came later."""
        claim = await kit.leased("a")
        await kit.created("b")
        ack = await kit.interrupt(claim)
        stored = await kit.read("a")
        assert Ack(State.QUEUED, 0, 0, ack.at_ms, None) == ack
        assert (State.QUEUED, None, None) == (stored.state, stored.worker_id, stored.expires_ms)
        event = (await kit.ledger.events(work_id="a"))[-1]
        assert ("interrupted", State.QUEUED) == (event.kind, event.state)
        assert {"reason": "shutdown"} == event.data
        assert ["a", "b"] == await kit.claimed_ids(limit=2)

    @driven
    async def test_interrupting_counts_nothing(self, kit: Harness) -> None:
        """R1: neither attempts nor recoveries move, however often it happens."""
        await kit.fail(await kit.leased("a", max_attempts=2, max_recoveries=1))
        await kit.age_due("a")
        await kit.claim_one("a", worker_id="worker-2")
        await kit.age_lease("a")
        for _ in range(5):
            claim = await kit.claim_one("a")
            assert (1, 0) == (claim.attempts, claim.recoveries)
            assert 1 == (await kit.interrupt(claim)).attempts
        stored = await kit.read("a")
        assert (State.QUEUED, 1) == (stored.state, stored.suspicions)

    @driven
    async def test_interrupted_work_can_come_back_later(self, kit: Harness) -> None:
        """With a delay the work sleeps for that long."""
        ack = await kit.interrupt(await kit.leased("a"), delay_ms=4_321)
        stored = await kit.read("a")
        assert (State.SLEEPING, ack.at_ms + 4_321) == (ack.state, ack.due_ms)
        assert (State.SLEEPING, ack.due_ms) == (stored.state, stored.due_ms)

    @driven
    async def test_a_repeated_interrupt_is_one(self, kit: Harness) -> None:
        """C4: the same commit id gives the same answer, even when the work has moved on."""
        claim = await kit.leased("a")
        ack = await kit.interrupt(claim, commit_id="one")
        again = await kit.claim_one("a")
        assert ack == await kit.interrupt(claim, commit_id="one")
        await kit.commit(again, Finish())


class RenewContract(ContractTests):
    """One command keeps all leases of a worker, and returns the lost ones."""

    @driven
    async def test_renewing_extends_a_lease(self, kit: Harness) -> None:
        """An expiry that was near is a whole TTL away again, and nothing else changed."""
        claim = await kit.leased("a")
        before = await kit.read("a")
        await kit.age_lease("a")
        assert [] == await kit.renew(claim, ttl_ms=HOUR_MS)
        stored = await kit.read("a")
        assert (stored.expires_ms or 0) >= before.updated_ms + HOUR_MS
        assert before.updated_ms == stored.updated_ms
        assert [] == await kit.claimed_ids()
        assert ["enqueued", "claimed"] == await kit.kinds("a")

    @driven
    async def test_lost_leases_are_named(self, kit: Harness) -> None:
        """The tokens that are not current come back; the others are renewed."""
        lost = await kit.leased("lost")
        await kit.age_lease("lost")
        await kit.claim_one("lost", worker_id="worker-2")
        kept = await kit.leased("kept")
        done = await kit.leased("done")
        await kit.commit(done, Finish())
        await kit.age_lease("kept")
        assert [lost.lease.token, done.lease.token] == await kit.renew(lost, kept, done)
        assert [] == await kit.claimed_ids(limit=5)

    @driven
    async def test_a_heartbeat_goes_with_its_lease(self, kit: Harness) -> None:
        """However a lease ends, its step's heartbeat is obsolete."""
        for work_id in ("failed", "interrupted", "expired"):
            await kit.created(work_id)
        claims = {claim.lease.work_id: claim for claim in (await kit.claim(limit=3)).claims}
        for claim in claims.values():
            await kit.renew(claim, heartbeat=heartbeat_bytes("half"))
        await kit.fail(claims["failed"])
        await kit.interrupt(claims["interrupted"])
        await kit.age_lease("expired")
        await kit.claim()
        beats = [(await kit.read(work_id)).heartbeat for work_id in claims]
        assert [None, None, None] == beats

    @driven
    async def test_a_heartbeat_is_stored(self, kit: Harness) -> None:
        """An engine's heartbeat is kept until the next one, or until the step is accepted."""
        claim = await kit.leased("a")
        await kit.renew(claim, heartbeat=heartbeat_bytes("one"))
        await kit.renew(claim)
        assert heartbeat_bytes("one") == (await kit.read("a")).heartbeat
        await kit.renew(claim, heartbeat=heartbeat_bytes("two"))
        assert heartbeat_bytes("two") == (await kit.read("a")).heartbeat
        await kit.commit(claim)
        assert (await kit.read("a")).heartbeat is None

    @driven
    async def test_renewing_announces_the_worker(self, kit: Harness) -> None:
        """A worker is in the register from its first renewal until it retires."""
        assert [] == list(await kit.ledger.workers())
        before = await kit.server.now_ms()
        await kit.renew()
        ((info, seen_ms),) = await kit.ledger.workers()
        assert WORKER == decode_model(WorkerInfo, info).worker_id
        assert before <= seen_ms <= await kit.server.now_ms()
        await kit.ledger.retire(WORKER)
        assert [] == list(await kit.ledger.workers())
        await kit.ledger.retire("never-there")
