"""The contract of ``commit``."""

from __future__ import annotations

from typing import Any

import pytest

from roost_core.backend.messages import Finish, GoOn, Next, Sleep, Yield
from roost_core.errors import LeaseLost, VersionConflict
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    HOUR_MS,
    MINUTE_MS,
    WORKER,
    ContractTests,
    Harness,
    driven,
    heartbeat_bytes,
    snapshot_bytes,
)


class CommitContract(ContractTests):
    """A step is accepted once, from its holder, on top of the version it started from."""

    @driven
    async def test_continue_keeps_the_lease(self, kit: Harness) -> None:
        """The step is stored, and the lease continues under the same fence and token."""
        claim = await kit.leased("a")
        snapshot = snapshot_bytes(claim, 1, n=1)
        ack = await kit.commit(claim, GoOn(HOUR_MS), snapshot=snapshot, step="one")
        stored = await kit.read("a")
        assert (State.RUNNING, 1, 0, None) == (ack.state, ack.version, ack.attempts, ack.due_ms)
        assert (State.RUNNING, 1, WORKER, 1) == (
            stored.state,
            stored.version,
            stored.worker_id,
            stored.fence,
        )
        assert (snapshot, "one") == (stored.snapshot, stored.step)
        assert (ack.at_ms + HOUR_MS, ack.at_ms) == (stored.expires_ms, stored.committed_ms)
        await kit.commit(claim, version=1)

    @driven
    async def test_a_lease_that_is_not_extended(self, kit: Harness) -> None:
        """With a time to live of 0 a lease continues, and ends when it would have ended."""
        claim = await kit.leased("a")
        before = await kit.read("a")
        await kit.pass_time(5)
        ack = await kit.commit(claim, GoOn())
        stored = await kit.read("a")
        assert (State.RUNNING, 1) == (ack.state, stored.version)
        assert before.expires_ms == stored.expires_ms
        await kit.commit(claim, GoOn(HOUR_MS), version=1)
        await kit.commit(claim, GoOn(), version=2)
        extended = await kit.read("a")
        assert 3 == extended.version
        assert extended.expires_ms is not None
        assert extended.expires_ms > ack.at_ms + MINUTE_MS
        await kit.age_lease("a")
        await kit.commit(claim, GoOn(), version=3)
        assert ["a"] == await kit.claimed_ids(worker_id="worker-2")
        await kit.see_refused(claim)

    @driven
    async def test_yield_goes_to_the_end_of_the_line(self, kit: Harness) -> None:
        """The lease ends and the work is ready again, behind those that waited."""
        claim = await kit.leased("a")
        await kit.created("b")
        ack = await kit.commit(claim, Yield())
        stored = await kit.read("a")
        assert (State.QUEUED, 1) == (ack.state, ack.version)
        assert (None, None) == (stored.worker_id, stored.expires_ms)
        assert ["b", "a"] == await kit.claimed_ids(limit=2)

    @driven
    async def test_sleep_comes_back_later(self, kit: Harness) -> None:
        """The lease ends and the work is due after the delay, to the millisecond."""
        ack = await kit.commit(await kit.leased("a"), Sleep(1_234))
        stored = await kit.read("a")
        assert (State.SLEEPING, ack.at_ms + 1_234) == (ack.state, ack.due_ms)
        assert (State.SLEEPING, ack.due_ms) == (stored.state, stored.due_ms)
        assert (None, None) == (stored.worker_id, stored.expires_ms)

    @driven
    async def test_sleep_does_not_go_past_the_deadline(self, kit: Harness) -> None:
        """Work with a deadline wakes at the deadline at the latest."""
        deadline_ms = await kit.server.now_ms() + MINUTE_MS
        claim = await kit.leased("a", deadline_ms=deadline_ms)
        ack = await kit.commit(claim, Sleep(HOUR_MS))
        assert (State.SLEEPING, deadline_ms) == (ack.state, ack.due_ms)

    @driven
    async def test_finish_is_the_end(self, kit: Harness) -> None:
        """C6: the work is done, and its last holder can change nothing any more."""
        claim = await kit.leased("a")
        ack = await kit.commit(claim, Finish(), step="done")
        stored = await kit.read("a")
        assert (State.DONE, 1) == (ack.state, ack.version)
        assert (State.DONE, ack.at_ms, "done") == (stored.state, stored.finished_ms, stored.step)
        await kit.see_refused(claim)
        assert [] == await kit.claimed_ids()

    @driven
    async def test_versions_have_no_gap(self, kit: Harness) -> None:
        """C1: each accepted step adds one, whatever it asks for next."""
        claim = await kit.leased("a")
        await kit.commit(claim)
        await kit.commit(claim, Yield(), version=1)
        claim = await kit.claim_one("a")
        await kit.commit(claim, Sleep(HOUR_MS))
        await kit.age_due("a")
        claim = await kit.claim_one("a")
        await kit.commit(claim, Finish())
        events = await kit.ledger.events(work_id="a")
        committed = [event.version for event in events if event.kind == "committed"]
        assert [1, 2, 3, 4] == committed

    @driven
    async def test_an_accepted_step_wipes_the_slate(self, kit: Harness) -> None:
        """R1, R2: attempts, recoveries, error and heartbeat belong to the step they were of."""
        await kit.fail(await kit.leased("a"))
        await kit.age_due("a")
        await kit.claim_one("a", worker_id="worker-2")
        await kit.age_lease("a")
        claim = await kit.claim_one("a")
        assert (1, 1) == (claim.attempts, (await kit.read("a")).suspicions)
        await kit.renew(claim, heartbeat=heartbeat_bytes("half"))
        ack = await kit.commit(claim)
        stored = await kit.read("a")
        assert (0, 0, 0) == (ack.attempts, stored.attempts, stored.suspicions)
        assert (None, None) == (stored.error, stored.heartbeat)

    @driven
    async def test_another_version_is_refused(self, kit: Harness) -> None:
        """C2: only a step from the stored version is accepted; others change nothing."""
        claim = await kit.leased("a")
        await kit.commit(claim)
        before = await kit.read("a")
        for version in (0, 2, 99):
            with pytest.raises(VersionConflict):
                await kit.commit(claim, version=version)
        assert before == await kit.read("a")
        assert ["enqueued", "claimed", "committed"] == await kit.kinds("a")

    @driven
    async def test_the_token_counts_before_the_version(self, kit: Harness) -> None:
        """Whoever has lost the lease learns that, whatever version it tried."""
        claim = await kit.leased("a")
        await kit.age_lease("a")
        await kit.claim_one("a", worker_id="worker-2")
        with pytest.raises(LeaseLost):
            await kit.commit(claim, version=7)

    @driven
    async def test_unknown_work_has_no_lease(self, kit: Harness) -> None:
        """A work item that is gone refuses everything."""
        claim = await kit.leased("a")
        await kit.commit(claim, Finish())
        assert ["a"] == await kit.purge(0, None, 10)
        await kit.see_refused(claim)

    @driven
    async def test_an_expired_lease_holds_until_it_is_taken_back(self, kit: Harness) -> None:
        """Late is not lost: nobody else has the work until a claim takes it back."""
        claim = await kit.leased("a")
        await kit.age_lease("a")
        assert State.RUNNING == (await kit.commit(claim)).state
        assert [] == await kit.claimed_ids()

    @driven
    async def test_a_repeat_gets_the_recorded_answer(self, kit: Harness) -> None:
        """C4: the same commit id gives the same answer and has no second effect."""
        ways: tuple[Next, ...] = (GoOn(), Yield(), Sleep(HOUR_MS), Finish())
        for number, what_follows in enumerate(ways):
            claim = await kit.leased(f"a-{number}")
            fields: dict[str, Any] = {"commit_id": f"c-{number}", "events": (b'{"n":1}',)}
            ack = await kit.commit(claim, what_follows, **fields)
            before = await kit.read(claim.lease.work_id)
            assert ack == await kit.commit(claim, what_follows, **fields)
            assert before == await kit.read(claim.lease.work_id)
            kinds = await kit.kinds(claim.lease.work_id)
            assert ["enqueued", "claimed", "committed", "emitted"] == kinds
            if isinstance(what_follows, Yield):
                await kit.interrupt(await kit.claim_one(), HOUR_MS)

    @driven
    async def test_answers_are_kept_for_three_leases(self, kit: Harness) -> None:
        """C4: a reply that comes back late is found after two others held the work."""
        first = await kit.leased("a")
        ack = await kit.commit(first, Yield(), commit_id="first")
        for version in (1, 2):
            later = await kit.claim_one("a", worker_id="worker-2")
            await kit.commit(later, Yield(), version=version)
        before = await kit.read("a")
        assert ack == await kit.commit(first, Yield(), commit_id="first")
        assert before == await kit.read("a")

    @driven
    async def test_an_answer_outlives_the_recovery_of_its_lease(self, kit: Harness) -> None:
        """C4: a caller that lost reply and then lease still learns that the step was accepted."""
        claim = await kit.leased("a")
        ack = await kit.commit(claim, commit_id="one")
        await kit.age_lease("a")
        later = await kit.claim_one("a", worker_id="worker-2")
        before = await kit.read("a")
        assert ack == await kit.commit(claim, commit_id="one")
        assert before == await kit.read("a")
        await kit.commit(later, version=1)

    @driven
    async def test_only_the_last_answer_of_a_lease_is_kept(self, kit: Harness) -> None:
        """An older commit of the same lease starts from an older version, and is refused so."""
        claim = await kit.leased("a")
        await kit.commit(claim, commit_id="one")
        await kit.commit(claim, commit_id="two", version=1)
        with pytest.raises(VersionConflict):
            await kit.commit(claim, commit_id="one")

    @driven
    async def test_a_commit_id_counts_for_its_own_lease(self, kit: Harness) -> None:
        """The same commit id under another lease is another commit."""
        await kit.commit(await kit.leased("a"), Yield(), commit_id="same")
        ack = await kit.commit(await kit.claim_one("a"), Finish(), commit_id="same")
        assert (State.DONE, 2) == (ack.state, ack.version)

    @driven
    async def test_an_engines_events_follow_its_commit(self, kit: Harness) -> None:
        """E1: ``committed`` first, then what the engine emitted, in its order."""
        claim = await kit.leased("a")
        raw = (b'{"n":1}', b'{"n":[2,{}],"kind":"x"}', '{"ü":"🦉"}'.encode())
        await kit.commit(claim, Finish(), step="done", events=raw)
        events = (await kit.ledger.events(work_id="a"))[2:]
        assert ["committed", "emitted", "emitted", "emitted"] == [one.kind for one in events]
        expected = [{"step": "done"}, {"n": 1}, {"n": [2, {}], "kind": "x"}, {"ü": "🦉"}]
        assert expected == [event.data for event in events]
        assert {(1, State.DONE)} == {(event.version, event.state) for event in events}

    @driven
    async def test_late_work_is_not_continued(self, kit: Harness) -> None:
        """A step that ends past the deadline is accepted; the next claim dead-letters the work."""
        deadline_ms = await kit.server.now_ms() + 1_000
        claim = await kit.leased("a", deadline_ms=deadline_ms)
        await kit.pass_time(1_020)
        ack = await kit.commit(claim)
        assert (State.QUEUED, 1) == (ack.state, ack.version)
        assert ("a",) == (await kit.claim()).dead_letters
        assert 1 == (await kit.read("a")).version

    @driven
    async def test_late_work_that_finishes_is_done(self, kit: Harness) -> None:
        """A step that ends past the deadline and finishes the work makes it done, not failed."""
        deadline_ms = await kit.server.now_ms() + 1_000
        claim = await kit.leased("a", deadline_ms=deadline_ms)
        await kit.pass_time(1_020)
        snapshot = snapshot_bytes(claim, 1, n=1)
        ack = await kit.commit(claim, Finish(), snapshot=snapshot)
        assert (State.DONE, 1) == (ack.state, ack.version)
        assert () == tuple((await kit.claim()).dead_letters)
        stored = await kit.read("a")
        assert (State.DONE, snapshot, None) == (stored.state, stored.snapshot, stored.error)
