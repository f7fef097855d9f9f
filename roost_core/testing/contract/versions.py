"""The contract of snapshots that are stored as changes, and of the versions that are kept."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from roost_core.backend.history import StoredHistory
from roost_core.backend.messages import Claim, Commit, Finish, GoOn, Next, Sleep, Yield
from roost_core.backend.reading import Reading
from roost_core.backend.reports import ListQuery
from roost_core.codec.moved import Stored
from roost_core.codec.pieced import LARGE, PiecedSnapshot, based
from roost_core.codec.snapshots import EncodedSnapshot
from roost_core.errors import LeaseLost, VersionConflict
from roost_core.models.control import Verb
from roost_core.models.snapshot import Snapshot
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    ENGINE,
    HOUR_MS,
    MINUTE_MS,
    WORKER,
    ContractTests,
    Harness,
    driven,
    unique,
)
from roost_core.values import Json

_OTHER = "worker-2"
_GO_ON = GoOn(MINUTE_MS)


def grown(rows: int) -> dict[str, Json]:
    """Return data of more than ``LARGE`` bytes, which grows by the row."""
    return {"pad": "x" * LARGE, "rows": [{"n": n, "text": f"row {n:>30} ü"} for n in range(rows)]}


class Life:
    """A work item's versions as a worker encodes them.

    :ivar raws: the bytes of all so far; that of version n at n.
    """

    def __init__(self, work_id: str) -> None:
        self.work_id = work_id
        self.raws: list[bytes] = [b""]
        self._last: PiecedSnapshot | None = None

    def whole(self, data: dict[str, Json], then: Next = _GO_ON, **fields: Any) -> Commit:
        """Return a commit of a snapshot that no changes follow."""
        self._last = None
        return self._commit(EncodedSnapshot.of(self._snapshot(data)), then, **fields)

    def base(self, data: dict[str, Json], then: Next = _GO_ON, **fields: Any) -> Commit:
        """Return a commit of a base, and of the change that leads to it."""
        snapshot = self._snapshot(data)
        self._last = based(Stored(self.raws[-1]), snapshot, EncodedSnapshot.of(snapshot).raw)
        assert self._last is not None
        return self._commit(self._last, then, **fields)

    def change(self, data: dict[str, Json], then: Next = _GO_ON, **fields: Any) -> Commit:
        """Return a commit of a change alone."""
        assert self._last is not None
        following = self._last.following(self._snapshot(data))
        assert isinstance(following, PiecedSnapshot)
        assert not following.is_whole
        self._last = following
        return self._commit(following, then, **fields)

    def _snapshot(self, data: dict[str, Json]) -> Snapshot:
        return Snapshot(self.work_id, ENGINE, version=len(self.raws), step="look", data=data)

    def _commit(
        self, encoded: EncodedSnapshot | PiecedSnapshot, then: Next, **fields: Any
    ) -> Commit:
        self.raws.append(encoded.raw)
        fields.setdefault("commit_id", unique("c"))
        return Commit(
            expected_version=len(self.raws) - 2,
            snapshot=encoded.raw if encoded.is_whole else b"",
            step="look",
            next=then,
            change=encoded.change,
            is_base=encoded.is_base,
            **fields,
        )


def _takes_changes(kit: Harness) -> None:
    if not kit.ledger.takes_changes:
        pytest.skip("this backend takes no changes")


async def _history(kit: Harness, work_id: str) -> StoredHistory:
    if type(kit.ledger).history is Reading.history:
        pytest.skip("this backend keeps no versions")
    found = await kit.ledger.history(work_id)
    assert found is not None
    return found


async def see_versions(kit: Harness, life: Life, oldest: int = 1) -> StoredHistory:
    """Check that all versions are there, from the oldest on, as they were committed."""
    history = await _history(kit, life.work_id)
    newest = len(life.raws) - 1
    assert (newest, life.raws[-1] or None) == (history.work.version, history.work.snapshot)
    assert tuple(range(newest, oldest - 1, -1)) == history.versions
    for version in history.versions:
        assert life.raws[version] == history.snapshot(version), version
    return history


async def begun(kit: Harness, work_id: str) -> tuple[Life, Claim]:
    """Enqueue and claim a work item, and commit a whole, a base and two changes."""
    _takes_changes(kit)
    life, claim = Life(work_id), await kit.leased(work_id)
    await kit.ledger.commit(claim.lease, life.whole(grown(10)))
    await kit.ledger.commit(claim.lease, life.base(grown(11)))
    for rows in (12, 13):
        await kit.ledger.commit(claim.lease, life.change(grown(rows)))
    return life, claim


class ChangesContract(ContractTests):
    """G1: a snapshot that comes as a change is stored like one that comes whole."""

    @driven
    async def test_a_base_and_what_follows(self, kit: Harness) -> None:
        """Whoever reads it gets the newest version, and it counts as any other."""
        life, claim = await begun(kit, "a")
        stored = await kit.read("a")
        assert (4, life.raws[4], "look") == (stored.version, stored.snapshot, stored.step)
        (listed,) = await kit.ledger.list(ListQuery())
        assert (4, None) == (listed.version, listed.snapshot)
        assert 4 == (await kit.facts("a")).work.version
        await kit.ledger.commit(claim.lease, life.change(grown(14), Finish()))
        assert life.raws[5] == (await kit.read("a")).snapshot

    @driven
    async def test_another_worker_gets_the_newest(self, kit: Harness) -> None:
        """And how much it was made from."""
        life, claim = await begun(kit, "a")
        await kit.interrupt(claim)
        taken = await kit.claim_one("a", worker_id=_OTHER)
        assert life.raws[4] == taken.snapshot
        assert taken.since is not None
        assert (2, len(life.raws[2])) == (taken.since.count, taken.since.base_bytes)
        assert taken.since.change_bytes < 1000
        await kit.ledger.commit(taken.lease, life.change(grown(14)))
        assert life.raws[5] == (await kit.read("a")).snapshot

    @driven
    async def test_the_same_worker_need_not_get_it(self, kit: Harness) -> None:
        """It stored it; but if another has stored a version since, that is sent."""
        life, claim = await begun(kit, "a")
        await kit.interrupt(claim)
        taken = await kit.claim_one("a")
        assert taken.since is not None
        assert taken.snapshot in (b"", life.raws[4])
        await kit.interrupt(taken)
        other = await kit.claim_one("a", worker_id=_OTHER)
        await kit.ledger.commit(other.lease, life.change(grown(14), Yield()))
        taken = await kit.claim_one("a")
        assert life.raws[5] == taken.snapshot

    @driven
    async def test_whatever_follows_the_step(self, kit: Harness) -> None:
        """A change may be the last of its lease, or of its work."""
        ways: tuple[Next, ...] = (Yield(), Sleep(HOUR_MS), Finish())
        for number, then in enumerate(ways):
            life, claim = await begun(kit, f"a-{number}")
            ack = await kit.ledger.commit(claim.lease, life.change(grown(14), then))
            assert 5 == ack.version
            assert life.raws[5] == (await kit.read(life.work_id)).snapshot
            if isinstance(then, Yield):
                await kit.interrupt(await kit.claim_one(life.work_id), HOUR_MS)

    @driven
    async def test_a_base_may_end_a_lease(self, kit: Harness) -> None:
        """And be the first that another worker follows with a change."""
        _takes_changes(kit)
        life, claim = Life("a"), await kit.leased("a")
        await kit.ledger.commit(claim.lease, life.whole(grown(10)))
        await kit.ledger.commit(claim.lease, life.base(grown(11), Yield()))
        taken = await kit.claim_one("a", worker_id=_OTHER)
        assert life.raws[2] == taken.snapshot
        assert taken.since is not None
        assert (0, 0, len(life.raws[2])) == (
            taken.since.count,
            taken.since.change_bytes,
            taken.since.base_bytes,
        )
        await kit.ledger.commit(taken.lease, life.change(grown(12), Yield()))
        assert life.raws[3] == (await kit.read("a")).snapshot

    @driven
    async def test_a_change_needs_a_base(self, kit: Harness) -> None:
        """Without one, or with nothing at all, a commit is refused and changes nothing."""
        life, claim = await begun(kit, "base")
        change = life.change(grown(14), commit_id="c")
        nothing = attrs.evolve(change, change=b"")
        ways: tuple[Next, ...] = (_GO_ON, Yield(), Finish())
        for then in ways:
            with pytest.raises(VersionConflict):
                await kit.ledger.commit(claim.lease, attrs.evolve(nothing, next=then))
        await kit.interrupt(claim, HOUR_MS)
        claim = await kit.leased("whole")
        await kit.commit(claim)
        new = await kit.leased("new")
        for held, version in ((claim, 1), (new, 0)):
            before = await kit.read(held.lease.work_id)
            for then in ways:
                commit = attrs.evolve(change, expected_version=version, next=then)
                with pytest.raises(VersionConflict):
                    await kit.ledger.commit(held.lease, commit)
            assert before == await kit.read(held.lease.work_id)

    @driven
    async def test_a_whole_ends_it(self, kit: Harness) -> None:
        """The next change would have nothing to follow from."""
        life, claim = await begun(kit, "a")
        await kit.ledger.commit(claim.lease, life.whole({"small": True}))
        stored = await kit.read("a")
        assert life.raws[5] == stored.snapshot
        with pytest.raises(VersionConflict):
            await kit.commit(claim, version=5, snapshot=b"", change=b"00000000\n")
        await kit.interrupt(claim)
        taken = await kit.claim_one("a")
        assert (life.raws[5], None) == (taken.snapshot, taken.since)

    @driven
    async def test_a_whole_that_says_what_it_has_changed(self, kit: Harness) -> None:
        """It is no base even so."""
        life, claim = await begun(kit, "a")
        change = life.base(grown(14))
        await kit.ledger.commit(claim.lease, attrs.evolve(change, is_base=False))
        with pytest.raises(VersionConflict):
            await kit.ledger.commit(claim.lease, life.change(grown(15)))
        await kit.interrupt(claim)
        taken = await kit.claim_one("a")
        assert (life.raws[5], None) == (taken.snapshot, taken.since)

    @driven
    async def test_a_repeat_has_no_second_effect(self, kit: Harness) -> None:
        """C4: a change whose answer was lost is not made twice."""
        life, claim = await begun(kit, "a")
        for then in (_GO_ON, Yield()):
            commit = life.change(grown(len(life.raws) + 9), then)
            ack = await kit.ledger.commit(claim.lease, commit)
            before = await kit.read("a")
            assert ack == await kit.ledger.commit(claim.lease, commit)
            assert before == await kit.read("a")
            assert life.raws[-1] == before.snapshot

    @driven
    async def test_another_version_or_lease_is_refused(self, kit: Harness) -> None:
        """C2, C3: a change that follows another version, or comes too late, changes nothing."""
        life, claim = await begun(kit, "a")
        change = life.change(grown(14))
        before = await kit.read("a")
        for version in (0, 3, 5):
            commit = attrs.evolve(change, expected_version=version)
            with pytest.raises(VersionConflict):
                await kit.ledger.commit(claim.lease, commit)
        await kit.age_lease("a")
        taken = await kit.claim_one("a", worker_id=_OTHER)
        with pytest.raises(LeaseLost):
            await kit.ledger.commit(claim.lease, change)
        assert before.snapshot == taken.snapshot == (await kit.read("a")).snapshot


class VersionsContract(ContractTests):
    """G2: what a work item's last versions were can be read, byte for byte."""

    @driven
    async def test_what_is_unknown_has_none(self, kit: Harness) -> None:
        """None for what is not there; new work has no version yet."""
        assert await kit.ledger.history("nobody") is None
        await kit.created("a")
        history = await _history(kit, "a")
        assert (0, (), ()) == (history.work.version, history.versions, history.commits)

    @driven
    async def test_small_ones(self, kit: Harness) -> None:
        """Each is kept whole, with what its commit was."""
        life, claim = Life("a"), await kit.leased("a")
        began = await kit.server.now_ms()
        for n in range(5):
            commit = life.whole({"n": n, "text": "ü\n="}, took_ms=10 + n)
            await kit.ledger.commit(claim.lease, commit)
        history = await see_versions(kit, life)
        assert [5, 4, 3, 2, 1] == [one.version for one in history.commits]
        for one in history.commits:
            assert (WORKER, "look", 9 + one.version) == (one.worker_id, one.step, one.took_ms)
            assert began <= one.at_ms <= await kit.server.now_ms()

    @driven
    async def test_changes_and_bases(self, kit: Harness) -> None:
        """Across bases, a whole in between, and other workers."""
        life, claim = await begun(kit, "a")
        await see_versions(kit, life)
        await kit.ledger.commit(claim.lease, life.base(grown(20), Yield()))
        await see_versions(kit, life)
        claim = await kit.claim_one("a", worker_id=_OTHER)
        for rows in (21, 15):
            await kit.ledger.commit(claim.lease, life.change(grown(rows)))
        await see_versions(kit, life)
        await kit.ledger.commit(claim.lease, life.base(grown(16)))
        await kit.ledger.commit(claim.lease, life.whole({"small": 1}))
        await kit.ledger.commit(claim.lease, life.whole(grown(17)))
        await kit.ledger.commit(claim.lease, life.base(grown(18)))
        await kit.ledger.commit(claim.lease, life.change(grown(19), Finish()))
        history = await see_versions(kit, life)
        workers = {one.version: one.worker_id for one in history.commits}
        assert (WORKER, _OTHER) == (workers[5], workers[6])

    @driven
    async def test_many_changes(self, kit: Harness) -> None:
        """More than are kept: the newest can be read, and what there is, is right."""
        life, claim = await begun(kit, "a")
        for rows in range(14, 134):
            await kit.ledger.commit(claim.lease, life.change(grown(rows)))
        history = await _history(kit, "a")
        assert len(life.raws) - 1 == history.versions[0]
        for version in history.versions:
            assert life.raws[version] == history.snapshot(version)
        await kit.interrupt(claim)
        assert life.raws[-1] == (await kit.claim_one("a", worker_id=_OTHER)).snapshot

    @driven
    async def test_whatever_people_do(self, kit: Harness) -> None:
        """Failures, verbs and their consequences are no versions, and remove none."""
        life, claim = await begun(kit, "a")
        await kit.fail(claim, permanent=True)
        await see_versions(kit, life)
        await kit.done("a", Verb.RETRY)
        await see_versions(kit, life)
        claim = await kit.claim_one("a")
        await kit.ledger.commit(claim.lease, life.change(grown(14), Yield()))
        for verb in (Verb.PAUSE, Verb.RESUME, Verb.BURY, Verb.RETRY, Verb.CANCEL, Verb.RETRY):
            await kit.done("a", verb)
            await see_versions(kit, life)
        claim = await kit.claim_one("a", worker_id=_OTHER)
        assert life.raws[5] == claim.snapshot
        await kit.ledger.commit(claim.lease, life.change(grown(15), Finish()))
        await see_versions(kit, life)

    @driven
    async def test_another_life_of_the_id(self, kit: Harness) -> None:
        """What is purged or dropped leaves nothing that a later one would show."""
        for remove in ("purge", "drop"):
            life, claim = await begun(kit, "a")
            await kit.ledger.commit(claim.lease, life.change(grown(14), Finish()))
            await see_versions(kit, life)
            if remove == "purge":
                assert ["a"] == await kit.purge(0, None, 10)
            else:
                await kit.order("a", Verb.DROP)
            assert await kit.ledger.history("a") is None
        life, claim = Life("a"), await kit.leased("a")
        assert () == (await _history(kit, "a")).versions
        await kit.ledger.commit(claim.lease, life.whole({"n": 1}))
        history = await see_versions(kit, life)
        assert [1] == [one.version for one in history.commits]

    @driven
    async def test_work_whose_state_is_final(self, kit: Harness) -> None:
        """Its versions can be read for as long as it is there."""
        life, claim = await begun(kit, "a")
        await kit.ledger.commit(claim.lease, life.change(grown(14), Finish()))
        assert State.DONE is (await see_versions(kit, life)).work.state
