"""Blame for a worker's death, and steps in a row: what becomes a dead letter, and what must not."""

from __future__ import annotations

from roost_core.backend.messages import Alone, Claim, ClaimRequest, Finish, Sleep, Yield
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    ENGINE,
    ContractTests,
    Harness,
    driven,
    error_of,
    unique,
)


async def _die(kit: Harness, work_id: str, alone: Alone = Alone.NEVER) -> Claim:
    """Claim one as a worker that is never heard from again."""
    claim = await kit.claim_one(work_id, worker_id=unique("dead"), alone=alone)
    await kit.age_lease(work_id)
    # It is taken back by a worker that cannot run it.
    assert () == (await kit.claim(worker_id="finder", engines=("none",))).claims
    return claim


async def suspected(kit: Harness, work_id: str) -> None:
    """Make work over which two workers died while they ran other work as well."""
    await kit.created(work_id)
    for _ in range(2):
        await _die(kit, work_id)


class BlameContract(ContractTests):
    """A death is blamed on the work that caused it, an outage on none."""

    @driven
    async def test_deaths_among_others_never_bury(self, kit: Harness) -> None:
        """B1: they raise a suspicion; a suspect is leased only to a worker with nothing else."""
        await suspected(kit, "a")
        await kit.created("b")
        assert ["b"] == await kit.claimed_ids(limit=5)
        assert () == (await kit.claim(limit=5)).claims
        stored = await kit.read("a")
        assert (State.QUEUED, 2, 0) == (stored.state, stored.suspicions, stored.recoveries)
        batch = await kit.claim(limit=5, alone=Alone.MAY)
        assert [("a", True)] == [(one.lease.work_id, one.is_solo) for one in batch.claims]

    @driven
    async def test_suspected_work_comes_by_itself(self, kit: Harness) -> None:
        """It goes first to a worker that runs nothing, and nothing else comes with it."""
        await kit.created("first")
        await kit.claimed_ids()
        await suspected(kit, "a")
        await suspected(kit, "b")
        await kit.created("later", priority=5)
        batch = await kit.claim(limit=3, alone=Alone.MAY)
        assert ["a"] == [one.lease.work_id for one in batch.claims]
        assert 0 == batch.next_wake_ms
        assert ["later"] == await kit.claimed_ids(limit=5)

    @driven
    async def test_suspects_hold_up_no_recovery(self, kit: Harness) -> None:
        """They are not in line with others, so a claim takes back as much as it can give out."""
        await suspected(kit, "a")
        await kit.created("b", "c")
        assert ["b", "c"] == await kit.claimed_ids(worker_id=unique("dead"), limit=2)
        for work_id in "bc":
            await kit.age_lease(work_id)
            assert [work_id] == await kit.claimed_ids(limit=1)

    @driven
    async def test_suspects_come_in_halves(self, kit: Harness) -> None:
        """Half as many as the worker could take; a step clears each one separately."""
        for work_id in "abcdef":
            await suspected(kit, work_id)
        await kit.created("later", priority=5)
        batch = await kit.claim(limit=8, alone=Alone.MAY)
        assert list("abcd") == [one.lease.work_id for one in batch.claims]
        assert all(one.is_solo for one in batch.claims)
        assert 0 == batch.next_wake_ms
        await kit.commit(batch.claims[0])
        found = [(await kit.read(work_id)).suspicions for work_id in "abc"]
        assert [0, 2, 2] == found

    @driven
    async def test_each_death_halves_them(self, kit: Harness) -> None:
        """B1: what dies together is suspected more each time, never buried; then it runs alone."""
        for work_id in "abcdef":
            await suspected(kit, work_id)
        taken = []
        for _ in range(3):
            batch = await kit.claim(worker_id=unique("dead"), limit=8, alone=Alone.MAY)
            taken.append([one.lease.work_id for one in batch.claims])
            for work_id in taken[-1]:
                await kit.age_lease(work_id)
            assert () == (await kit.claim(worker_id="f", limit=9, engines=("none",))).claims
        assert [["a", "b", "c", "d"], ["a", "b"], ["a"]] == taken
        found = [(await kit.read(work_id)) for work_id in "abcde"]
        assert [0] * 5 == [one.recoveries for one in found]
        # It is not yet certain that the worker died.
        assert [5, 4, 3, 3, 2] == [one.suspicions for one in found]

    @driven
    async def test_what_kills_alone_runs_alone(self, kit: Harness) -> None:
        """Even where only a few have died in all, and whatever is before or after it in line."""
        await kit.created("killer", max_recoveries=9)
        for _ in range(2):
            await _die(kit, "killer", Alone.ALWAYS)
        for work_id in "ab":
            await suspected(kit, work_id)
        batch = await kit.claim(limit=8, alone=Alone.MAY)
        assert ["a", "b"] == [one.lease.work_id for one in batch.claims]
        await suspected(kit, "c")
        await _die(kit, "c", Alone.MAY)
        batch = await kit.claim(limit=8, alone=Alone.MAY)
        assert [("c", True)] == [(one.lease.work_id, one.is_solo) for one in batch.claims]
        batch = await kit.claim(limit=8, alone=Alone.MAY)
        assert [("killer", 1)] == [(one.lease.work_id, one.recoveries) for one in batch.claims]

    @driven
    async def test_one_that_came_alone_is_alone(self, kit: Harness) -> None:
        """R2: a death under it counts, however many more the worker could have taken."""
        await suspected(kit, "a")
        for _ in range(2):
            batch = await kit.claim(worker_id=unique("dead"), limit=8, alone=Alone.MAY)
            assert ["a"] == [one.lease.work_id for one in batch.claims]
            await kit.age_lease("a")
            assert () == (await kit.claim(worker_id="f", engines=("none",))).claims
        assert 1 == (await kit.read("a")).recoveries

    @driven
    async def test_the_least_harmful_goes_first(self, kit: Harness) -> None:
        """However early it is in line: what has killed a worker alone comes after the others."""
        await suspected(kit, "killer")
        for _ in range(2):
            await _die(kit, "killer", Alone.MAY)
        await suspected(kit, "other")
        assert ["other"] == await kit.claimed_ids(alone=Alone.MAY)

    @driven
    async def test_who_runs_one_at_a_time_takes_all_in_line(self, kit: Harness) -> None:
        """To it, suspected work is like any other, and each lease is all that it runs."""
        await suspected(kit, "a")
        await kit.created("b")
        claims = [await kit.claim_one(alone=Alone.ALWAYS) for _ in range(2)]
        assert ["a", "b"] == sorted(claim.lease.work_id for claim in claims)
        assert not any(claim.is_solo for claim in claims)

    @driven
    async def test_an_accepted_step_clears_it(self, kit: Harness) -> None:
        """B1: what made a step while it ran alone did not kill the others."""
        await suspected(kit, "a")
        claim = await kit.claim_one("a", alone=Alone.MAY)
        await kit.commit(claim, Yield())
        stored = await kit.read("a")
        assert (0, 0) == (stored.suspicions, stored.recoveries)
        assert ["a"] == await kit.claimed_ids(limit=5)

    @driven
    async def test_deaths_alone_bury_after_exactly_so_many(self, kit: Harness) -> None:
        """R2, D1: the last death must be certain, in case the worker comes back."""
        for most in (1, 3):
            work_id = f"killer-{most}"
            await kit.created(work_id, max_recoveries=most)
            for deaths in range(most):
                claim = await _die(kit, work_id, Alone.ALWAYS)
                assert max(0, deaths - 1) == claim.recoveries
            assert State.RETRY_WAIT == (await kit.read(work_id)).state
            await kit.age_due(work_id)
            batch = await kit.claim()
            stored = await kit.read(work_id)
            assert ((), (work_id,)) == (batch.claims, batch.dead_letters)
            assert (State.FAILED, most, 0) == (stored.state, stored.recoveries, stored.attempts)
            assert "recoveries" == error_of(stored).kind
            event = (await kit.ledger.events(work_id=work_id))[-1]
            assert ("dead_lettered", State.FAILED) == (event.kind, event.state)

    @driven
    async def test_from_suspicion_to_the_grave(self, kit: Harness) -> None:
        """Two deaths with other work, then as many alone as it may have."""
        await suspected(kit, "a")
        for _ in range(3):
            claim = await _die(kit, "a", Alone.MAY)
            assert claim.is_solo
        await kit.age_due("a")
        assert ("a",) == (await kit.claim()).dead_letters
        assert (3, 2) == ((await kit.read("a")).recoveries, (await kit.read("a")).suspicions)

    @driven
    async def test_a_worker_that_is_heard_of_has_not_died(self, kit: Harness) -> None:
        """B2: an outage, or a stop, longer than the lease is not a death, however often."""
        await kit.created("a", max_recoveries=1)
        for number in range(6):
            worker_id = f"worker-{number}"
            await kit.claim_one("a", worker_id=worker_id, alone=Alone.ALWAYS)
            await kit.age_lease("a")
            # Another worker first finds the lease expired; then the worker is back.
            assert () == (await kit.claim(worker_id="finder")).claims
            if number % 2:
                await kit.renew(worker_id=worker_id)
            else:
                await kit.ledger.retire(worker_id)
            await kit.age_due("a")
        claim = await kit.claim_one("a")
        stored = await kit.read("a")
        assert (0, 0, State.RUNNING) == (claim.recoveries, stored.suspicions, stored.state)

    @driven
    async def test_a_worker_that_has_left_has_not_died(self, kit: Harness) -> None:
        """B2: what it left behind, a step that did not let go, is not a death, however often."""
        await kit.created("a", max_recoveries=1)
        for number in range(6):
            worker_id = f"worker-{number}"
            await kit.renew(worker_id=worker_id)
            await kit.claim_one("a", worker_id=worker_id, alone=Alone.ALWAYS)
            await kit.ledger.retire(worker_id)
            await kit.age_lease("a")
        stored = await kit.read("a")
        claim = await kit.claim_one("a", worker_id="finder", alone=Alone.ALWAYS)
        assert (0, 0, State.RUNNING) == (claim.recoveries, stored.suspicions, stored.state)

    @driven
    async def test_who_finds_its_own_lease_over_lives(self, kit: Harness) -> None:
        """B2: a worker that claims after an outage is not counted as dead."""
        await kit.created("a", max_recoveries=1)
        for _ in range(5):
            await kit.claim_one("a", alone=Alone.ALWAYS)
            await kit.age_lease("a")
        assert (0, 0) == ((await kit.read("a")).recoveries, (await kit.read("a")).suspicions)

    @driven
    async def test_busy_workers_are_asked_to_make_room(self, kit: Harness) -> None:
        """Suspected work does not wait for ever for a worker that happens to run nothing."""
        await suspected(kit, "a")
        await kit.created(*(f"w-{number:02}" for number in range(60)))
        await kit.pass_time(50)
        asked = [(await kit.claim(ttl_ms=20)).drain for _ in range(50)]
        assert any(asked)

    @driven
    async def test_who_always_takes_many_is_asked_too(self, kit: Harness) -> None:
        """However many a claim takes, and wherever they are in line."""
        await suspected(kit, "a")
        await kit.created(*(f"w-{number:02}" for number in range(98)))
        await kit.claimed_ids(limit=2)
        await kit.pass_time(50)
        asked = [(await kit.claim(ttl_ms=20, limit=16)).drain for _ in range(6)]
        assert any(asked)

    @driven
    async def test_who_takes_every_second_one_is_asked_too(self, kit: Harness) -> None:
        """One of two workers that take turns, whichever of them."""
        await suspected(kit, "a")
        await kit.created(*(f"w-{number:02}" for number in range(98)))
        await kit.pass_time(300)
        other = ClaimRequest("worker-9", (ENGINE,), 1, 200, can_drain=False)

        async def takes(request: ClaimRequest) -> bool:
            batch = await kit.ledger.claim(request)
            for claim in batch.claims:
                await kit.commit(claim, Finish())
            return batch.drain

        for _ in range(2):
            asked = []
            for _ in range(24):
                asked.append(await takes(ClaimRequest("worker-1", (ENGINE,), 1, 200)))
                await takes(other)
            assert any(asked)
            # From now on those in between.
            await takes(other)

    @driven
    async def test_who_cannot_drain_is_not_asked(self, kit: Harness) -> None:
        """It is not in the way of a worker that can."""
        await suspected(kit, "a")
        await kit.created(*(f"w-{number:02}" for number in range(98)))
        await kit.pass_time(50)
        request = ClaimRequest("worker-9", (ENGINE,), 16, 20, can_drain=False)
        assert not any([(await kit.ledger.claim(request)).drain for _ in range(3)])
        asked = [(await kit.claim(ttl_ms=20, limit=16)).drain for _ in range(2)]
        assert any(asked)


class RowContract(ContractTests):
    """Steps without a delay between them, and how many there may be."""

    @driven
    async def test_steps_in_a_row_are_bounded(self, kit: Harness) -> None:
        """The last one is accepted; then the work is a dead letter of a kind of its own."""
        claim = await kit.leased("a", max_steps=3)
        for version in range(2):
            await kit.commit(claim, version=version)
        ack = await kit.commit(claim, version=2)
        stored = await kit.read("a")
        assert (State.FAILED, 3) == (ack.state, ack.version)
        assert (State.FAILED, 3, "steps") == (stored.state, stored.version, error_of(stored).kind)
        assert 3 == stored.steps_in_row
        assert stored.snapshot is not None
        assert ["committed", "dead_lettered"] == (await kit.kinds("a"))[-2:]

    @driven
    async def test_a_delay_begins_a_new_row(self, kit: Harness) -> None:
        """Work that only wakes now and then may do so for ever; a yield is not a delay."""
        await kit.created("a", max_steps=2)
        for version in range(6):
            sleeps = version % 2 == 1
            claim = await kit.claim_one("a")
            await kit.commit(claim, Sleep(1000) if sleeps else Yield())
            if sleeps:
                await kit.age_due("a")
        assert 6 == (await kit.claim_one("a")).version

    @driven
    async def test_the_last_of_a_row_may_finish(self, kit: Harness) -> None:
        """The bound is on continuing."""
        claim = await kit.leased("a", max_steps=1)
        assert State.DONE == (await kit.commit(claim, Finish())).state

    @driven
    async def test_a_yield_at_the_bound_is_the_end(self, kit: Harness) -> None:
        """However a step continues."""
        claim = await kit.leased("a", max_steps=1)
        assert State.FAILED == (await kit.commit(claim, Yield())).state

    @driven
    async def test_no_bound(self, kit: Harness) -> None:
        """0 is any number."""
        claim = await kit.leased("a", max_steps=0)
        for version in range(30):
            assert State.RUNNING == (await kit.commit(claim, version=version)).state
