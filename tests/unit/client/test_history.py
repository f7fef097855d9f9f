"""A work item's versions through its handle."""

from __future__ import annotations

import pytest

from roost_core import SyncRoost
from roost_core.differences import parse_patch, patched
from roost_core.errors import InvalidInput, VersionGone, WorkNotFound
from roost_core.models import Artifact, Snapshot
from tests.unit.cli.cli_harness import Bench

REPORT, NOTE = Artifact("0" * 64, 3, "txt", "report"), Artifact("1" * 64, 5)


@pytest.fixture
def bench():
    """Give a queue in memory, with one work item of the id w1."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    return bench


@pytest.fixture
def work(bench):
    """Give a handle on it; it has three versions."""
    bench.steps(
        "w1",
        Snapshot("", "", data={"n": 1, "list": [1]}),
        Snapshot("", "", step="read", data={"n": 2, "list": [1]}, artifacts=(REPORT,)),
        Snapshot("", "", step="read", data={"n": 2, "list": [1, 2]}, artifacts=(NOTE,)),
        took_ms=1500,
    )
    with SyncRoost(bench.roost()) as roost:
        yield roost.work("w1")


def test_history(work):
    """Newest first, with how each came about."""
    found = work.history()
    assert [3, 2, 1] == [one.version for one in found]
    assert ["read", "read", "init"] == [one.step for one in found]
    assert {("w1", "worker-1", 1.5, None)} == {
        (one.work_id, one.worker_id, one.took_seconds, one.problem) for one in found
    }
    assert found[0].committed_at > found[1].committed_at


def test_a_limited_history(work):
    """The newest ones, and none more than there are."""
    assert [[], [3, 2], [3, 2, 1]] == [
        [one.version for one in work.history(limit)] for limit in (0, 2, 9)
    ]
    assert work.history()[:2] == work.history(limit=2)
    with pytest.raises(InvalidInput, match="limit must not be negative"):
        work.history(-1)


def test_there_is_none_before_the_first_step(bench):
    """That is no error, but to ask for one is."""
    with SyncRoost(bench.roost()) as roost:
        work = roost.work("w1")
        assert () == work.history()
        for ask in (lambda: work.snapshot_at(1), work.diff):
            with pytest.raises(VersionGone, match="w1 has no version yet"):
                ask()


@pytest.mark.parametrize(
    "ask",
    [
        lambda work: work.history(),
        lambda work: work.snapshot_at(1),
        lambda work: work.diff(),
        lambda work: work.status(version=1),
    ],
    ids=["history", "snapshot_at", "diff", "status"],
)
def test_an_unknown_id(bench, ask):
    """Each method says so."""
    with SyncRoost(bench.roost()) as roost, pytest.raises(WorkNotFound, match="'w-none'"):
        ask(roost.work("w-none"))


def test_one_version(work):
    """As it was accepted; the newest is what the handle's snapshot is."""
    first = work.snapshot_at(1)
    assert (1, "init", {"n": 1, "list": [1]}) == (first.version, first.step, first.data)
    assert first.updated_at == work.history()[-1].committed_at
    assert work.snapshot() == work.snapshot_at(3)


def test_status_with_an_earlier_version(work):
    """All but the snapshot is as it stands."""
    now, then = work.status(), work.status(version=2)
    assert work.snapshot_at(2) == then.snapshot
    assert (now.meta, now.item) == (then.meta, then.item)
    assert now == work.status(version=3)


@pytest.mark.parametrize(("version", "said"), [(4, "the newest is 3"), (0, "no version 0")])
def test_a_version_that_is_not_there(work, version, said):
    """The error says what there is."""
    for ask in (
        work.snapshot_at,
        work.diff,
        lambda version: work.status(version=version),
        lambda version: work.diff(1, version),
    ):
        with pytest.raises(VersionGone, match=said):
            ask(version)


def test_what_is_not_kept_any_more(bench, work):
    """The error names the oldest that is."""
    bench.ledger.run(lambda state, _now: state.works["w1"].commits.__delitem__(slice(2)))
    assert [3, 2] == [one.version for one in work.history()]
    with pytest.raises(VersionGone, match="version 1 of w1 is not kept any more; the oldest is 2"):
        work.diff(1)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [((), (2, 3)), ((1,), (1, 3)), ((1, 2), (1, 2)), ((3, 1), (3, 1)), ((None, 2), (1, 2))],
)
def test_which_two_are_compared(work, versions, expected):
    """The newest with the one before, unless others are named."""
    found = work.diff(*versions)
    assert expected == (found.old.version, found.new.version)


def test_there_is_nothing_before_the_first(work):
    """It cannot be compared with nothing."""
    with pytest.raises(VersionGone, match="no version before its first"):
        work.diff(None, 1)


def test_a_fork(work):
    """Its history begins with that of its origin, under its own id; to fork changes nothing."""
    fork = work._roost.work(work.replay(1).work_id)
    made, before = fork.history()
    assert (2, 1) == (made.version, before.version)
    assert {fork.id} == {one.work_id for one in (made, before)}
    assert (0, None) == (made.changed_bytes, made.took_seconds)
    assert made.worker_id.startswith("@")
    found = fork.diff()
    assert (fork.id, "w1", fork.id) == (found.work_id, found.old.work_id, found.new.work_id)
    assert () == found.differences


def test_what_differs(work):
    """Places in the data, and artifacts; the patch leads from the one to the other."""
    for old, new in ((1, 3), (3, 1), (2, 2)):
        found = work.diff(old, new)
        assert bool(found.differences) == (old != new)
        assert found.new.data == patched(dict(found.old.data), parse_patch(found.patch()))
    found = work.diff(2, 3)
    assert [("added", "/list/1", 2)] == [(one.kind, one.path, one.new) for one in found.differences]
    assert ((NOTE,), (REPORT,)) == (found.artifacts_added, found.artifacts_removed)
