"""The contract of what each work item keeps of its own past."""

from __future__ import annotations

from typing import Any

from roost_core.backend.messages import Finish
from roost_core.models.events import Event
from roost_core.testing.contract.kit import (
    HOUR_MS,
    WORKER,
    ContractTests,
    Harness,
    driven,
    error_bytes,
)

#: No trail has more: its newest entries, the beginning, and the lease that is current.
MOST = 162


async def _trail(kit: Harness, work_id: str) -> list[Event]:
    found = await kit.ledger.trail(work_id)
    assert found is not None
    return [*found]


async def _kinds(kit: Harness, work_id: str) -> list[str]:
    return [event.kind for event in await _trail(kit, work_id)]


def _lease(event: Event) -> tuple[Any, ...]:
    data = event.data
    return (data["worker_id"], data["first_version"], data["last_version"], data["ended"])


class TrailContract(ContractTests):
    """A work item keeps its own past, whatever others do to the shared events."""

    @driven
    async def test_what_is_unknown_has_none(self, kit: Harness) -> None:
        """None for what is not there; new work has its beginning."""
        assert await kit.ledger.trail("nobody") is None
        await kit.created("a")
        (event,) = await _trail(kit, "a")
        assert ("enqueued", "a", 0) == (event.kind, event.work_id, event.version)

    @driven
    async def test_a_lease_is_one_entry(self, kit: Harness) -> None:
        """However many steps were accepted under it; the current lease is included, too."""
        claim = await kit.leased("a")
        for version in range(3):
            await kit.commit(claim, version=version)
        assert ["enqueued", "leased"] == await _kinds(kit, "a")
        current = (await _trail(kit, "a"))[-1]
        assert (WORKER, 0, 3, None) == _lease(current)
        assert current.data["to"] is None
        await kit.commit(claim, Finish(), version=3)
        (_, ended) = await _trail(kit, "a")
        assert (WORKER, 0, 4, "committed") == _lease(ended)
        assert current.data["from"] == ended.data["from"]
        assert ended.data["to"] is not None
        assert "done" == ended.state

    @driven
    async def test_what_goes_wrong_is_told(self, kit: Harness) -> None:
        """Each failed attempt with its kind, each end without blame with its reason."""
        await kit.fail(await kit.leased("a"), error=error_bytes(message="boom"))
        await kit.age_due("a")
        await kit.interrupt(await kit.claim_one("a"), delay_ms=None)
        await kit.fail(await kit.claim_one("a"), permanent=True)
        trail = await _trail(kit, "a")
        kinds = ["enqueued", "attempt_failed", "leased", "interrupted", "leased"]
        assert [*kinds, "dead_lettered", "leased"] == [event.kind for event in trail]
        error = trail[1].data["error"]
        assert isinstance(error, dict)
        assert ("exception", "boom") == (error["kind"], error["message"])
        assert {"reason": "shutdown"} == trail[3].data
        endings = [event.data["ended"] for event in trail if event.kind == "leased"]
        assert ["attempt_failed", "interrupted", "dead_lettered"] == endings

    @driven
    async def test_a_lost_lease_is_told(self, kit: Harness) -> None:
        """What was taken back from a silent worker names that worker."""
        await kit.leased("a")
        await kit.age_lease("a")
        await kit.claim_one("a", worker_id="other")
        trail = await _trail(kit, "a")
        assert ["enqueued", "recovered", "leased", "leased"] == [event.kind for event in trail]
        assert (WORKER, 0, 0, "recovered") == _lease(trail[2])
        assert ("other", 0, 0, None) == _lease(trail[3])

    @driven
    async def test_waiting_for_a_resource_is_told(self, kit: Harness) -> None:
        """Blocked on which, and free again."""
        first = await kit.leased("a", resources=("r",))
        await kit.created("b", resources=("r",))
        assert [] == await kit.claimed_ids()
        await kit.commit(first, Finish())
        trail = await _trail(kit, "b")
        assert ["enqueued", "blocked", "unblocked"] == [event.kind for event in trail]
        assert {"resource": "r"} == trail[1].data

    @driven
    async def test_emitted_events_are_told(self, kit: Harness) -> None:
        """Those of a step whose lease continues, and those of one that ends it."""
        claim = await kit.leased("a")
        await kit.commit(claim, events=(b'{"n":1}',))
        await kit.commit(claim, Finish(), version=1, events=(b'{"n":2}', b'{"n":3}'))
        trail = await _trail(kit, "a")
        assert ["enqueued", *["emitted"] * 3, "leased"] == [event.kind for event in trail]
        assert [{"n": 1}, {"n": 2}, {"n": 3}] == [event.data for event in trail[1:4]]

    @driven
    async def test_it_is_bounded_and_keeps_the_newest(self, kit: Harness) -> None:
        """A long life pushes its own past out, the oldest first, but never its beginning."""
        claim = await kit.leased("a")
        for number in range(100):
            events = tuple(b'{"n":%d}' % (3 * number + one) for one in range(3))
            await kit.commit(claim, version=number, events=events)
        trail = await _trail(kit, "a")
        assert len(trail) <= MOST
        assert "enqueued" == trail[0].kind
        numbers = [event.data["n"] for event in trail if event.kind == "emitted"]
        assert [*range(300 - len(numbers), 300)] == numbers

    @driven
    async def test_the_next_life_begins_anew(self, kit: Harness) -> None:
        """What was purged leaves nothing to the next work item with its id."""
        await kit.commit(await kit.leased("a"), Finish(), events=(b'{"n":1}',))
        await kit.purge(0, None, 100)
        assert await kit.ledger.trail("a") is None
        await kit.created("a", delay_ms=HOUR_MS)
        assert ["enqueued"] == await _kinds(kit, "a")

    @driven
    async def test_the_newest_of_one_work_item(self, kit: Harness) -> None:
        """In order, without those of others; what others have pushed far back may be missing."""
        claim = await kit.leased("a")
        for version in range(3):
            await kit.commit(claim, version=version)
        await kit.created(*(f"other-{number}" for number in range(30)))
        every = await kit.ledger.newest_of("a", limit=100, look=10_000)
        kinds = ["enqueued", "claimed", *["committed"] * 3]
        assert kinds == [event.kind for event in every]
        newest = await kit.ledger.newest_of("a", limit=2, look=10_000)
        assert [event.event_id for event in every[-2:]] == [event.event_id for event in newest]
        assert [] == list(await kit.ledger.newest_of("nobody", limit=5, look=10_000))
        near = await kit.ledger.newest_of("a", limit=10, look=10)
        assert {event.work_id for event in near} <= {"a"}
