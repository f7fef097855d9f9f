"""The contract of ``enqueue``."""

from __future__ import annotations

from roost_core.backend.messages import Enqueued, EnqueueOutcome, Finish
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    ENGINE,
    HOUR_MS,
    MINUTE_MS,
    ContractTests,
    Harness,
    driven,
    new_work,
)


class EnqueueContract(ContractTests):
    """A work item is stored once, whole, and never over another one."""

    @driven
    async def test_new_work_is_ready(self, kit: Harness) -> None:
        """A new work item is queued, and nothing has happened to it yet."""
        before = await kit.server.now_ms()
        new = new_work("a", payload={"n": 1}, priority=7, max_attempts=4, max_recoveries=2)
        answer = await kit.ledger.enqueue([new])
        after = await kit.server.now_ms()
        stored = await kit.read("a")
        assert [Enqueued(EnqueueOutcome.CREATED, "a")] == answer
        assert ("a", ENGINE, State.QUEUED, 7) == (
            stored.work_id,
            stored.engine,
            stored.state,
            stored.priority,
        )
        assert (0, 0, 0, 0) == (stored.version, stored.fence, stored.attempts, stored.recoveries)
        assert (4, 2) == (stored.max_attempts, stored.max_recoveries)
        assert new.item == stored.item
        assert before <= stored.created_ms <= after
        assert stored.created_ms == stored.updated_ms
        unset = (stored.snapshot, stored.step, stored.error, stored.heartbeat, stored.worker_id)
        assert (None,) * 5 == unset
        times = (stored.due_ms, stored.expires_ms, stored.started_ms, stored.finished_ms)
        assert (None,) * 4 == times
        assert (None, None) == (stored.committed_ms, stored.blocked_on)
        assert ["enqueued"] == await kit.kinds("a")

    @driven
    async def test_delayed_work_sleeps(self, kit: Harness) -> None:
        """A delay puts the work to sleep until that much later."""
        await kit.created("a", delay_ms=HOUR_MS)
        stored = await kit.read("a")
        assert State.SLEEPING == stored.state
        assert stored.created_ms + HOUR_MS == stored.due_ms

    @driven
    async def test_no_delay_goes_past_the_deadline(self, kit: Harness) -> None:
        """Work with a deadline wakes at the deadline at the latest, to be dead-lettered."""
        deadline_ms = await kit.server.now_ms() + MINUTE_MS
        await kit.created("a", delay_ms=HOUR_MS, deadline_ms=deadline_ms)
        stored = await kit.read("a")
        assert (State.SLEEPING, deadline_ms) == (stored.state, stored.due_ms)
        assert deadline_ms == stored.deadline_ms

    @driven
    async def test_a_repeated_request_is_one_enqueue(self, kit: Harness) -> None:
        """The same id with the same nonce is a request whose reply was lost."""
        new = new_work("a")
        created = [Enqueued(EnqueueOutcome.CREATED, "a")]
        assert created == await kit.ledger.enqueue([new])
        assert created == await kit.ledger.enqueue([new])
        await kit.claim_one("a")
        assert created == await kit.ledger.enqueue([new])
        assert ["enqueued", "claimed"] == await kit.kinds("a")
        assert 1 == sum((await kit.ledger.counts()).values())

    @driven
    async def test_a_taken_id_is_left_alone(self, kit: Harness) -> None:
        """Another request with a stored id changes nothing, in whatever state that is."""
        first = new_work("a", payload=1)
        await kit.ledger.enqueue([first])
        before = await kit.read("a")
        answer = await kit.enqueue("a", payload=2, priority=9, delay_ms=HOUR_MS)
        assert Enqueued(EnqueueOutcome.TAKEN, "a") == answer
        assert before == await kit.read("a")
        await kit.commit(await kit.claim_one("a"), Finish())
        assert Enqueued(EnqueueOutcome.TAKEN, "a") == await kit.enqueue("a", payload=1)

    @driven
    async def test_a_known_key_returns_the_stored_work(self, kit: Harness) -> None:
        """Q6: the same idempotency key and payload is the same work item."""
        await kit.created("a", payload=1, idempotency_key="key")
        answer = await kit.enqueue("b", payload=1, idempotency_key="key")
        assert Enqueued(EnqueueOutcome.EXISTING, "a") == answer
        assert await kit.ledger.read("b") is None
        assert ["enqueued"] == await kit.kinds("a")

    @driven
    async def test_a_known_key_with_another_payload_is_a_conflict(self, kit: Harness) -> None:
        """Q6: the same idempotency key for something else is refused, with the stored id."""
        await kit.created("a", payload=1, idempotency_key="key")
        for work_id in ("a", "b"):
            answer = await kit.enqueue(work_id, payload=2, idempotency_key="key")
            assert Enqueued(EnqueueOutcome.CONFLICT, "a") == answer
        assert await kit.ledger.read("b") is None

    @driven
    async def test_a_repeated_request_with_a_key_is_one_enqueue(self, kit: Harness) -> None:
        """A lost reply is answered again as it was, key or not."""
        new = new_work("a", idempotency_key="key")
        created = [Enqueued(EnqueueOutcome.CREATED, "a")]
        assert created == await kit.ledger.enqueue([new])
        assert created == await kit.ledger.enqueue([new])
        assert ["enqueued"] == await kit.kinds("a")

    @driven
    async def test_a_new_key_does_not_free_a_taken_id(self, kit: Harness) -> None:
        """A key that is new is not remembered if the id is taken."""
        await kit.created("a")
        answer = await kit.enqueue("a", idempotency_key="key")
        assert Enqueued(EnqueueOutcome.TAKEN, "a") == answer
        await kit.created("b", idempotency_key="key")

    @driven
    async def test_a_key_stands_as_long_as_its_work(self, kit: Harness) -> None:
        """A finished work item still answers for its key."""
        claim = await kit.leased("a", payload=1, idempotency_key="key")
        await kit.commit(claim, Finish())
        answer = await kit.enqueue("b", payload=1, idempotency_key="key")
        assert Enqueued(EnqueueOutcome.EXISTING, "a") == answer

    @driven
    async def test_a_batch_is_answered_in_order(self, kit: Harness) -> None:
        """Each work item of a batch is stored or refused by itself."""
        await kit.created("taken")
        answers = await kit.ledger.enqueue([new_work("a"), new_work("taken"), new_work("b")])
        expected = [
            Enqueued(EnqueueOutcome.CREATED, "a"),
            Enqueued(EnqueueOutcome.TAKEN, "taken"),
            Enqueued(EnqueueOutcome.CREATED, "b"),
        ]
        assert expected == answers
        assert ["taken", "a", "b"] == await kit.claimed_ids(limit=5)

    @driven
    async def test_an_empty_batch_is_no_request(self, kit: Harness) -> None:
        """Nothing to store is nothing stored."""
        assert [] == await kit.ledger.enqueue([])
