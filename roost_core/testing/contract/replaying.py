"""The contract of versions that come from a person: forks, and work that is put back."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from roost_core.backend.history import WHOLE, ForkOf, Past, Rewind, StoredVersion
from roost_core.backend.messages import Claim, Commit, EnqueueOutcome, Finish, GoOn, NewWork, Sleep
from roost_core.backend.orders import OrderAnswer, OrderOutcome
from roost_core.codec.snapshots import encode_snapshot
from roost_core.errors import VersionConflict
from roost_core.models.control import Verb
from roost_core.models.snapshot import Snapshot
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    ACTOR,
    ENGINE,
    HOUR_MS,
    MINUTE_MS,
    ContractTests,
    Harness,
    driven,
    new_work,
    unique,
)

_DONE, _CHANGED = OrderOutcome.DONE, OrderOutcome.CHANGED


def _text(work_id: str, version: int, **data: Any) -> bytes:
    return encode_snapshot(Snapshot(work_id, ENGINE, version=version, step="look", data=data))


async def _with_versions(kit: Harness, work_id: str, count: int) -> Claim:
    """Enqueue a work item, and commit versions 1 to ``count`` under one lease."""
    claim = await kit.leased(work_id)
    for version in range(1, count + 1):
        commit = Commit(
            unique("c"), version - 1, _text(work_id, version, n=version), "look", GoOn(MINUTE_MS)
        )
        await kit.ledger.commit(claim.lease, commit)
    return claim


def _put_back(newest: bytes | None, work_id: str, version: int, to: int) -> Past:
    back = b"" if newest is None else WHOLE + newest
    return Past(version, _text(work_id, version, n=to), "look", "@alice", to, back)


async def _rewind(kit: Harness, work_id: str, version: int, to: int, **more: Any) -> OrderAnswer:
    found = await kit.read(work_id)
    past = _put_back(found.snapshot, work_id, version, to)
    more.setdefault("request_id", unique("request"))
    return await kit.ledger.rewind(work_id, Rewind(past=past, actor=ACTOR, **more))


class ReplayContract(ContractTests):
    """R1: versions, fences and histories only ever grow, and what is put back is a new version."""

    @driven
    async def test_put_back(self, kit: Harness) -> None:
        """It is ready at once with the version that was asked for, as a new one."""
        claim = await _with_versions(kit, "w", 3)
        await kit.commit(claim, Finish(), version=3)
        was = await kit.read("w")
        answer = await _rewind(kit, "w", 5, 2)
        assert OrderAnswer(_DONE, State.QUEUED, 5) == answer
        found = await kit.read("w")
        assert (State.QUEUED, 5, "look", was.fence) == (
            found.state,
            found.version,
            found.step,
            found.fence,
        )
        assert _text("w", 5, n=2) == found.snapshot
        assert found.finished_ms is None
        again = await kit.claim_one()
        assert (5, found.snapshot) == (again.version, again.snapshot)
        assert again.lease.fence > claim.lease.fence

    @driven
    async def test_its_history_goes_back_beyond_it(self, kit: Harness) -> None:
        """Nothing of what was before is lost."""
        claim = await _with_versions(kit, "w", 3)
        await kit.commit(claim, Sleep(HOUR_MS), version=3)
        before = await kit.read("w")
        await _rewind(kit, "w", 5, 1)
        history = await kit.ledger.history("w")
        assert history is not None
        assert (5, 4, 3, 2, 1) == history.versions
        assert before.snapshot == history.snapshot(4)
        assert [_text("w", version, n=version) for version in (1, 2, 3)] == [
            history.snapshot(version) for version in (1, 2, 3)
        ]
        made = history.commit(5)
        assert made is not None
        assert ("@alice", "look") == (made.worker_id, made.step)

    @driven
    async def test_wherever_it_stands(self, kit: Harness) -> None:
        """What waits is ready, what is paused stays so, what has ended begins again."""
        expected = {
            State.QUEUED: State.QUEUED,
            State.SLEEPING: State.QUEUED,
            State.RETRY_WAIT: State.QUEUED,
            State.PAUSED: State.PAUSED,
            State.DONE: State.QUEUED,
            State.FAILED: State.QUEUED,
            State.CANCELLED: State.QUEUED,
        }
        for state, then in expected.items():
            name = f"w-{state.value}"
            claim = await _with_versions(kit, name, 2)
            if state is State.SLEEPING:
                await kit.commit(claim, Sleep(HOUR_MS), version=2)
            elif state is State.DONE:
                await kit.commit(claim, Finish(), version=2)
            elif state is State.RETRY_WAIT:
                await kit.fail(claim, delay_ms=HOUR_MS)
            else:
                await kit.interrupt(claim)
            verb = {State.PAUSED: Verb.PAUSE, State.FAILED: Verb.BURY, State.CANCELLED: Verb.CANCEL}
            if state in verb:
                await kit.order(name, verb[state])
            found = await kit.read(name)
            assert state is found.state
            answer = await _rewind(kit, name, found.version + 1, 1)
            assert (_DONE, then) == (answer.outcome, answer.state), state
            found = await kit.read(name)
            assert (then, 0, None, 0) == (
                found.state,
                found.attempts,
                found.error,
                found.steps_in_row,
            )
            if state is State.PAUSED:
                await kit.order(name, Verb.RESUME)
            assert name == (await kit.claim_one()).lease.work_id

    @driven
    async def test_not_while_it_runs(self, kit: Harness) -> None:
        """Its step would bring a version of its own."""
        claim = await _with_versions(kit, "w", 2)
        answer = await _rewind(kit, "w", 3, 1)
        assert OrderAnswer(OrderOutcome.UNFIT, State.RUNNING, 2) == answer
        await kit.commit(claim, Finish(), version=2)

    @driven
    async def test_only_as_it_was_seen(self, kit: Harness) -> None:
        """A version more, another state or fence: nothing happens."""
        claim = await _with_versions(kit, "w", 2)
        await kit.commit(claim, Finish(), version=2)
        for more in ({"if_state": State.FAILED}, {"if_fence": claim.lease.fence + 1}):
            assert _CHANGED is (await _rewind(kit, "w", 4, 1, **more)).outcome
        assert _CHANGED is (await _rewind(kit, "w", 3, 1)).outcome
        assert _CHANGED is (await _rewind(kit, "w", 5, 1)).outcome
        missing = await kit.ledger.rewind("x", Rewind("r", _put_back(None, "x", 2, 1), ACTOR))
        assert OrderOutcome.MISSING is missing.outcome
        found = await kit.read("w")
        assert (State.DONE, 3) == (found.state, found.version)

    @driven
    async def test_a_repeat_counts_once(self, kit: Harness) -> None:
        """The same request is answered the same; another one finds a version more."""
        claim = await _with_versions(kit, "w", 2)
        await kit.commit(claim, Finish(), version=2)
        found = await kit.read("w")
        rewind = Rewind("r1", _put_back(found.snapshot, "w", 4, 1), ACTOR)
        first = await kit.ledger.rewind("w", rewind)
        assert first == await kit.ledger.rewind("w", rewind)
        other = Rewind("r2", rewind.past, ACTOR)
        assert _CHANGED is (await kit.ledger.rewind("w", other)).outcome
        assert 4 == (await kit.read("w")).version
        # Also once it has run again, and whoever has made the request anew by what is there then.
        again = await kit.claim_one()
        await kit.commit(again, Finish(), version=4)
        assert first == await kit.ledger.rewind("w", rewind)
        assert first == await _rewind(kit, "w", 6, 1, request_id="r1")
        found = await kit.read("w")
        assert (State.DONE, 5) == (found.state, found.version)

    @driven
    async def test_what_people_have_done_since(self, kit: Harness) -> None:
        """It is left as it is; but to wait for another reason is no change."""
        claim = await _with_versions(kit, "w", 2)
        await kit.commit(claim, Sleep(HOUR_MS), version=2)
        await kit.order("w", Verb.CANCEL)
        for state in (State.SLEEPING, State.QUEUED, State.DONE):
            answer = await _rewind(kit, "w", 4, 1, if_state=state)
            assert OrderAnswer(_CHANGED, State.CANCELLED, 3) == answer
        answer = await _rewind(kit, "w", 4, 1, if_state=State.CANCELLED)
        assert _DONE is answer.outcome
        assert _CHANGED is (await _rewind(kit, "w", 5, 1, if_state=State.CANCELLED)).outcome
        assert _DONE is (await _rewind(kit, "w", 5, 1, if_state=State.SLEEPING)).outcome

    @driven
    async def test_paused_work_does_not_sleep_on(self, kit: Harness) -> None:
        """The nap was of a version that is not the newest any more: resumed, it is ready."""
        claim = await _with_versions(kit, "w", 2)
        await kit.commit(claim, Sleep(HOUR_MS), version=2)
        await kit.order("w", Verb.PAUSE)
        assert State.PAUSED is (await _rewind(kit, "w", 4, 1)).state
        assert State.QUEUED is (await kit.order("w", Verb.RESUME)).state
        assert "w" == (await kit.claim_one()).lease.work_id

    @driven
    async def test_a_commit_that_is_stored_anew(self, kit: Harness) -> None:
        """It stands in place of what was there, or was not, for its version."""
        claim = await _with_versions(kit, "w", 4)
        await kit.interrupt(claim, HOUR_MS)
        mended = tuple(
            StoredVersion(version, 7, None, "?", "?", WHOLE + _text("w", version - 1, n=70))
            for version in (2, 4)
        )
        past = attrs.evolve(_put_back(None, "w", 5, 1), back=b"")
        answer = await kit.ledger.rewind("w", Rewind("r1", past, ACTOR, mended=mended))
        assert _DONE is answer.outcome
        history = await kit.ledger.history("w")
        assert history is not None
        assert (5, 3, 2, 1) == history.versions
        assert [_text("w", version, n=n) for version, n in ((3, 70), (2, 2), (1, 70))] == [
            history.snapshot(version) for version in (3, 2, 1)
        ]

    @driven
    async def test_the_bounds_of_a_history(self, kit: Harness) -> None:
        """However often it is put back, without a step in between."""
        claim = await _with_versions(kit, "w", 1)
        await kit.interrupt(claim, HOUR_MS)
        newest = _text("w", 1, pad="x" * 100_000)
        for version in range(2, 22):
            past = Past(version, newest, "look", "@alice", 1, WHOLE + newest)
            await kit.ledger.rewind("w", Rewind(unique("r"), past, ACTOR))
        history = await kit.ledger.history("w")
        assert history is not None
        assert 5 <= len(history.commits) <= 12  # 1 MiB

    @driven
    async def test_a_late_commit_is_refused(self, kit: Harness) -> None:
        """Whoever had the lease before, what was put back stands."""
        claim = await _with_versions(kit, "w", 2)
        await kit.interrupt(claim)
        await _rewind(kit, "w", 3, 1)
        await kit.see_refused(claim)
        again = await kit.claim_one()
        commit = Commit(unique("c"), 2, _text("w", 3), "look", GoOn(MINUTE_MS))
        with pytest.raises(VersionConflict):
            await kit.ledger.commit(again.lease, commit)

    @driven
    async def test_a_deadline_that_has_passed(self, kit: Harness) -> None:
        """It needs a new one."""
        claim = await kit.leased("w", deadline_ms=await kit.server.now_ms() + 500)
        await kit.commit(claim, Finish())
        await kit.pass_time(600)
        assert OrderOutcome.LATE is (await _rewind(kit, "w", 2, 1)).outcome
        later = await kit.server.now_ms() + 2 * HOUR_MS
        answer = await _rewind(kit, "w", 2, 1, deadline_ms=later)
        assert _DONE is answer.outcome
        assert later == (await kit.read("w")).deadline_ms

    @driven
    async def test_a_fork(self, kit: Harness) -> None:
        """It is new work, ready with the origin's version; its history is the origin's."""
        claim = await _with_versions(kit, "w", 3)
        await kit.commit(claim, Finish(), version=3)
        answer = await kit.ledger.enqueue([await _fork(kit, "f", "w", 2)])
        assert EnqueueOutcome.CREATED is answer[0].outcome
        found = await kit.read("f")
        assert (State.QUEUED, 3, "look", 0, 0) == (
            found.state,
            found.version,
            found.step,
            found.fence,
            found.attempts,
        )
        history = await kit.ledger.history("f")
        assert history is not None
        assert (3, 2, 1) == history.versions
        assert [_text("f", 3, n=2), _text("w", 2, n=2), _text("w", 1, n=1)] == [
            history.snapshot(version) for version in (3, 2, 1)
        ]
        again = await kit.claim_one()
        assert ("f", 3, _text("f", 3, n=2)) == (
            again.lease.work_id,
            again.version,
            again.snapshot,
        )

    @driven
    async def test_both_know_of_each_other(self, kit: Harness) -> None:
        """The origin names its forks, and both have an event that says who made them."""
        await _with_versions(kit, "w", 2)
        await kit.ledger.enqueue([await _fork(kit, "f1", "w", 1)])
        await kit.ledger.enqueue([await _fork(kit, "f2", "w", 2)])
        found = await kit.read("w")
        assert [("f2", 2), ("f1", 1)] == [(one.work_id, one.version) for one in found.forks]
        trail = await kit.ledger.trail("w")
        assert trail is not None
        told = [one.data for one in trail if one.kind == "forked"]
        assert ["f1", "f2"] == [one["work_id"] for one in told]
        assert {ACTOR.who} == {one["who"] for one in told}
        for begun in (await kit.ledger.events(work_id="f1"), await kit.ledger.trail("f1")):
            assert [("enqueued", 2, "w", 1, ACTOR.who)] == [
                (one.kind, one.version, *map(one.data.get, ("forked_from", "from_version", "who")))
                for one in begun or ()
            ]
        assert State.RUNNING is found.state

    @driven
    async def test_a_fork_outlives_its_origin(self, kit: Harness) -> None:
        """What it has of it is its own."""
        claim = await _with_versions(kit, "w", 2)
        await kit.commit(claim, Finish(), version=2)
        fork = await _fork(kit, "f", "w", 1)
        await kit.ledger.enqueue([fork])
        await kit.order("w", Verb.DROP)
        history = await kit.ledger.history("f")
        assert history is not None
        assert _text("w", 1, n=1) == history.snapshot(1)
        # A repeat, and one whose origin is gone.
        assert EnqueueOutcome.CREATED is (await kit.ledger.enqueue([fork]))[0].outcome
        late = await kit.ledger.enqueue([_forked("g", "w", history.snapshot(1), 1)])
        assert EnqueueOutcome.CREATED is late[0].outcome


def _forked(work_id: str, origin: str, text: bytes, version: int) -> NewWork:
    snapshot = _text(work_id, version + 1, n=version)
    past = Past(version + 1, snapshot, "look", "@alice", version, WHOLE + text)
    return new_work(work_id, fork_of=ForkOf(past, origin, ACTOR))


async def _fork(kit: Harness, work_id: str, origin: str, version: int) -> NewWork:
    history = await kit.ledger.history(origin)
    assert history is not None
    commits = tuple(one for one in history.commits if one.version <= version)
    snapshot = _text(work_id, version + 1, n=version)
    back = WHOLE + history.snapshot(version)
    past = Past(version + 1, snapshot, "look", "@alice", version, back)
    return new_work(work_id, fork_of=ForkOf(past, origin, ACTOR, commits))
