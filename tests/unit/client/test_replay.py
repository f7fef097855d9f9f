"""Work that is run again from an earlier version, through its handle."""

from __future__ import annotations

import attrs
import pytest

from roost_core import SyncRoost
from roost_core.backend import Commit, GoOn
from roost_core.backend.orders import OrderAnswer, OrderOutcome
from roost_core.codec.snapshots import encode_snapshot
from roost_core.errors import (
    ArtifactNotFound,
    CorruptRecord,
    InvalidInput,
    VerbUnfit,
    VersionGone,
    WorkIdTaken,
    WorkNotFound,
    WrittenByNewer,
)
from roost_core.models import Artifact, Snapshot, State
from tests.unit.cli.cli_harness import Bench


@pytest.fixture
def bench():
    """Give a queue in memory, with one work item of the id w1 that has four versions and waits."""
    bench = Bench()
    bench.enqueue(
        work_id="w1",
        payload={"x": 1},
        priority=7,
        labels={"team": "search"},
        idempotency_key="once",
        title="look",
        max_steps=77,
        deadline_seconds=5,
    )
    bench.steps(
        "w1",
        *(Snapshot("", "", step=f"look {n}", data={"n": n, "plan": None}) for n in (1, 2, 3, 4)),
    )
    bench.ledger.run(_give_back)
    return bench


def _give_back(state, now):
    state._place(state.works["w1"], now, State.QUEUED)


@pytest.fixture
def roost(bench):
    """Give a connection."""
    with SyncRoost(bench.roost()) as roost:
        yield roost


def test_a_plan_changes_nothing(bench, roost):
    """It says what would be, and which steps ran since."""
    planned = roost.work("w1").plan_replay(2, edit=lambda data: {**data, "plan": "b"})
    assert (2, 4, State.QUEUED) == (planned.version, planned.newest, planned.state)
    assert {"n": 2, "plan": "b"} == planned.snapshot.data
    assert [("/plan", None, "b")] == [(one.path, one.old, one.new) for one in planned.differences]
    assert [(3, "look 3"), (4, "look 4")] == [(one.version, one.step) for one in planned.ran_before]
    assert 4 == roost.work("w1").status().meta.version


def test_what_a_person_put_back_did_not_run(roost):
    """Neither in its own place nor as new work: no step made that version."""
    roost.work("w1").replay(2, in_place=True)
    planned = roost.work("w1").plan_replay(1)
    assert [2, 3, 4] == [one.version for one in planned.ran_before]
    assert () == planned.not_remembered
    fork = roost.work("w1").replay(2).work_id
    assert [2] == [one.version for one in roost.work(fork).plan_replay(1).ran_before]


def test_what_is_not_remembered(bench, roost):
    """Versions without a commit may have been steps: that is said, also of the newest."""

    def forget(state, _now):
        del state.works["w1"].commits[3]
        del state.works["w1"].commits[1]

    bench.ledger.run(forget)
    planned = roost.work("w1").plan_replay(2)
    assert [3] == [one.version for one in planned.ran_before]
    assert [(4, 4)] == [(one.first, one.last) for one in planned.not_remembered]


def test_a_fork_inherits(bench, roost):
    """All but the id, the key and what was counted; and each knows of the other."""
    done = roost.work("w1").replay(2, edit=lambda data: {**data, "plan": "b"}, reason="wrong plan")
    assert (3, State.QUEUED) == (done.version, done.state)
    found = roost.work(done.work_id).status()
    item, origin = found.item, roost.work("w1").status().item
    assert ("w1", 2) == (item.forked_from.work_id, item.forked_from.version)
    assert item.idempotency_key is None
    assert (origin.payload, origin.priority, origin.labels, origin.title, origin.max_steps) == (
        item.payload,
        item.priority,
        item.labels,
        item.title,
        item.max_steps,
    )
    assert origin.deadline_at == item.deadline_at
    assert ({"n": 2, "plan": "b"}, 3, "look 2") == (
        found.snapshot.data,
        found.snapshot.version,
        found.snapshot.step,
    )
    history = roost.work(done.work_id).history()
    assert [3, 2, 1] == [one.version for one in history]
    assert history[0].worker_id.startswith("@")
    assert {"n": 2, "plan": None} == roost.work(done.work_id).snapshot_at(2).data
    assert [done.work_id] == [one.work_id for one in bench.ledger.run(_forks)]


def _forks(state, _now):
    return state.works["w1"].forks


def test_a_deadline_that_has_passed_is_not_inherited(bench, roost):
    """The new work could not even begin."""
    bench.provider.clock.advance(10_000)
    done = roost.work("w1").replay(2)
    assert roost.work(done.work_id).status().item.deadline_at is None
    with pytest.raises(VerbUnfit, match="its deadline has passed: give a new one"):
        roost.work("w1").replay(2, in_place=True)
    put_back = roost.work("w1").replay(2, in_place=True, deadline_seconds=60)
    assert ("w1", 5) == (put_back.work_id, put_back.version)


def test_a_deadline_that_was_changed_is_inherited(bench, roost):
    """As the origin has it by now, not as it was enqueued."""
    bench.provider.clock.advance(10_000)
    roost.work("w1").replay(2, in_place=True, deadline_seconds=600)
    done = roost.work("w1").replay(2)
    expected = roost.work("w1").status().meta.deadline_at
    assert expected == roost.work(done.work_id).status().meta.deadline_at is not None


def test_in_place(roost):
    """Version 2 of 4 becomes version 5."""
    done = roost.work("w1").replay(2, in_place=True)
    assert ("w1", 5, State.QUEUED) == (done.work_id, done.version, done.state)
    found = roost.work("w1").status()
    assert (5, {"n": 2, "plan": None}) == (found.snapshot.version, found.snapshot.data)
    assert [5, 4, 3, 2, 1] == [one.version for one in roost.work("w1").history()]


def test_not_what_has_changed_since(roost):
    """What was looked at is not what is there any more."""
    planned = roost.work("w1").plan_replay(2)
    roost.work("w1").replay(3, in_place=True)
    with pytest.raises(VerbUnfit, match="left alone: it has changed meanwhile, and is queued"):
        roost.work("w1").replay(planned, in_place=True)


@pytest.mark.parametrize("verb", ["cancel", "bury", "pause"])
def test_not_what_people_have_done_since(roost, verb):
    """Nobody has seen that it would be undone."""
    planned = roost.work("w1").plan_replay(2)
    getattr(roost.work("w1"), verb)()
    state = roost.work("w1").status().meta.state
    for seen in (None, planned.seen):
        with pytest.raises(VerbUnfit, match=f"it has changed meanwhile, and is {state.value}"):
            roost.work("w1").replay(planned, in_place=True, seen=seen)
    assert state is roost.work("w1").status().meta.state


@pytest.mark.parametrize(
    ("outcome", "error", "said"),
    [
        (OrderOutcome.NEWER, WrittenByNewer, "a newer Roost wrote w1"),
        (OrderOutcome.CORRUPT, CorruptRecord, "w1: its record does not decode"),
        (OrderOutcome.MISSING, WorkNotFound, "w1"),
    ],
)
def test_not_what_cannot_be_read_any_more(bench, roost, monkeypatch, outcome, error, said):
    """It is left alone, and the message says what is there now."""
    planned = roost.work("w1").plan_replay(2)

    async def rewind(_work_id, _order):
        return OrderAnswer(outcome)

    async def newer(work_id):
        return attrs.evolve(await read(work_id), newer_layout=99)

    read = bench.ledger.read
    monkeypatch.setattr(bench.ledger, "rewind", rewind)
    monkeypatch.setattr(bench.ledger, "read", newer)
    with pytest.raises(error, match=said):
        roost.work("w1").replay(planned, in_place=True)


def test_not_what_runs(bench, roost):
    """It says what to do."""
    bench.claim()
    with pytest.raises(VerbUnfit, match="`roost pause w1` first, or leave out --in-place"):
        roost.work("w1").replay(2, in_place=True)
    assert 3 == roost.work("w1").replay(2).version


def test_a_finished_version_begins_again(bench, roost):
    """It is not finished any more: there would be nothing to run."""
    bench.enqueue(work_id="w2")
    bench.claim()
    bench.finish("w2")
    done = roost.work("w2").replay(1)
    assert roost.work(done.work_id).status().snapshot.is_finished is False


def test_its_artifacts_are_shared(bench, roost):
    """They are kept as long as either needs them."""
    store = bench.provider.store
    bench.claim()
    bench.enqueue(work_id="w2")
    kept = store.put(b"report", work_id="w2", ext="txt", name="report")
    bench.finish("w2", artifacts=(kept,))
    done = roost.work("w2").replay(1)
    roost.work("w2").drop()
    assert b"report" == store.get(kept.artifact_id)
    assert ["report"] == [one.name for one in store.of_work(done.work_id)]


def test_artifacts_of_earlier_versions_are_shared(bench, roost):
    """A fork can be put back to what it has inherited; what was gone by then stops nothing."""
    store = bench.provider.store
    bench.claim()
    bench.enqueue(work_id="w2")
    kept = store.put(b"report", work_id="w2", ext="txt", name="report")
    snapshots = [
        Snapshot("", "", artifacts=(kept,)),
        Snapshot("", "", artifacts=(Artifact("0" * 64, 3),)),
        Snapshot("", ""),
    ]
    bench.steps("w2", *snapshots)
    bench.ledger.run(lambda state, now: state._place(state.works["w2"], now, State.QUEUED))
    done = roost.work("w2").replay(3)
    roost.work("w2").cancel()
    roost.work("w2").drop()
    assert b"report" == store.get(kept.artifact_id)
    assert ["report"] == [one.name for one in store.of_work(done.work_id)]


def test_an_artifact_that_is_gone(bench, roost):
    """No work is stored that would miss it."""
    bench.claim()
    bench.enqueue(work_id="w2")
    bench.finish("w2", artifacts=(Artifact("0" * 64, 3),))
    with pytest.raises(ArtifactNotFound):
        roost.work("w2").replay(1, work_id="w3")
    with pytest.raises(WorkNotFound):
        roost.work("w3").status()


@pytest.mark.parametrize(
    ("version", "options", "error", "said"),
    [
        (9, {}, VersionGone, "w1 has no version 9: the newest is 4"),
        (0, {}, VersionGone, "w1 has no version 0"),
        (2, {"edit": lambda _: []}, InvalidInput, "the data has to stay an object"),
        (2, {"edit": lambda _: {"x": {1}}}, InvalidInput, "is not JSON"),
        (2, {"work_id": "w1"}, WorkIdTaken, "work id w1 is taken"),
        (2, {"work_id": "x", "in_place": True}, InvalidInput, "it keeps its own id"),
    ],
)
def test_what_cannot_be_done(roost, version, options, error, said):
    """One line says why, and nothing has happened."""
    with pytest.raises(error, match=said):
        roost.work("w1").replay(version, **options)
    assert 1 == sum(1 for _ in roost.list())


def test_no_such_work(roost):
    """It says so."""
    with pytest.raises(WorkNotFound):
        roost.work("w9").replay(1)


@pytest.mark.parametrize(("verb", "holds"), [("bury", False), ("cancel", False), ("pause", True)])
def test_what_a_replay_undoes_is_not_told_any_more(bench, roost, verb, holds):
    """Work that runs again is not shown as buried by somebody; paused work stays paused."""
    work = roost.work("w1")
    getattr(work, verb)(reason="bad")
    assert verb == work.status().meta.act.verb
    work.replay(2, in_place=True)
    act = work.status().meta.act
    assert holds is (act is not None)
    assert act == work.row().meta.act
    assert "bad" in [one.data.get("reason") for one in work.events()]


# -- requests that are sent again ------------------------------------------------------------------


def _runs(bench, work_id):
    """Let a worker take a work item, and a step of it be accepted."""
    claim = bench.claim()
    while claim.lease.work_id != work_id:
        claim = bench.claim()
    made = Snapshot(work_id, "echo", claim.version + 1, "more", {"n": 9})
    commit = Commit("c9", claim.version, encode_snapshot(made), "more", GoOn(60_000))
    bench.ledger.run(lambda state, now: state.commit(now, claim.lease, commit))


@pytest.mark.parametrize("work_id", [None, "w9"])
def test_a_fork_that_is_asked_for_again_counts_once(bench, roost, work_id):
    """Also once it has run; whoever asks for the same id with another request is refused."""

    def fork(request_id="r-1", version=2, **more):
        return roost.work("w1").replay(version, work_id=work_id, request_id=request_id, **more)

    first = fork()
    assert (first.work_id, 3) == (fork().work_id, fork().version)
    _runs(bench, first.work_id)
    again = fork()
    assert (first.work_id, 3, State.RUNNING) == (again.work_id, again.version, again.state)
    assert [first.work_id] == [one.work_id for one in bench.ledger.run(_forks)]
    with pytest.raises(WorkIdTaken):
        fork(edit=lambda data: {**data, "n": 7})
    with pytest.raises(WorkIdTaken):
        fork(version=3)
    if work_id is not None:
        with pytest.raises(WorkIdTaken):
            fork("r-2")


def test_in_place_that_is_asked_for_again_counts_once(bench, roost):
    """Also once the work has been run again, whether or not it says how the work stood."""
    planned = roost.work("w1").plan_replay(2)
    seen = iter([planned.seen, None, planned.seen])

    def again():
        work = roost.work("w1")
        return work.replay(2, in_place=True, request_id="r-1", seen=next(seen))

    assert (5, 5) == (again().version, again().version)
    _runs(bench, "w1")
    bench.ledger.run(_give_back)
    assert 5 == again().version
    assert 6 == roost.work("w1").status().meta.version
    with pytest.raises(VerbUnfit, match="left alone: it has changed meanwhile"):
        roost.work("w1").replay(3, in_place=True, request_id="r-2", seen=planned.seen)
