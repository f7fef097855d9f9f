"""The handle on one work item."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.client.roost import Roost
from roost_core.client.work import Work
from roost_core.errors import CorruptRecord, InvalidInput, RoostError, WorkNotFound
from roost_core.models import Artifact, WorkItem
from tests.unit.cli.cli_harness import Bench

ARTIFACT = Artifact("0" * 64, 3, "txt", "report")


@pytest.fixture
def bench():
    """Give a queue in memory, with one work item of the id w1."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    return bench


def run(bench, work):
    """Run ``work(roost)`` with an open connection."""

    async def main():
        async with bench.roost() as roost:
            return await work(roost)

    return asyncio.run(main())


def asked(method):
    """Return a function that asks a handle on w-none or w1 for something."""
    return lambda roost, work_id="w1": getattr(roost.work(work_id), method)()


def test_a_handle_is_made_of_an_id_or_an_item(bench):
    """Both are the same handle; it needs no connection to be made."""
    roost = bench.roost()
    assert "w1" == roost.work("w1").id
    assert roost.work("w1") == roost.work(WorkItem("w1", "echo"))
    assert "w-none" == roost.work("w-none").id


@pytest.mark.parametrize("wrong", ["", "a b", "-w", "w" * 129, "w\n", 7, None])
def test_what_is_no_id_fails_at_once(bench, wrong):
    """A typo is reported where it is made, not by a later call."""
    with pytest.raises(InvalidInput, match="is not a valid work id"):
        bench.roost().work(wrong)


@pytest.mark.parametrize("method", ["status", "row", "snapshot", "artifacts", "wait", "events"])
def test_whoever_asks_for_what_is_not_there_is_told(bench, method):
    """Each method says so, and what to do."""
    with pytest.raises(WorkNotFound, match="'w-none' in the queue 'default': `roost list`"):
        run(bench, lambda roost: asked(method)(roost, "w-none"))


@pytest.mark.parametrize("method", ["status", "row", "snapshot", "artifacts", "wait", "events"])
def test_a_handle_needs_an_open_connection(bench, method):
    """Before it is entered, and after it was left."""
    roost = bench.roost()
    with pytest.raises(RoostError, match="async with"):
        asyncio.run(asked(method)(roost))
    with pytest.raises(RoostError, match="async with"):
        roost.work("w1").follow()


def test_before_the_first_step_there_is_no_snapshot(bench):
    """And therefore no artifact."""
    assert run(bench, asked("snapshot")) is None
    assert () == run(bench, asked("artifacts"))


def test_the_last_snapshot_and_its_artifacts(bench):
    """What the engine has returned, without everything else that is known."""
    bench.finish("w1", data={"n": 3}, artifacts=(ARTIFACT,))
    snapshot = run(bench, asked("snapshot"))
    assert (True, {"n": 3}) == (snapshot.is_finished, snapshot.data)
    assert snapshot == run(bench, asked("status")).snapshot
    assert (ARTIFACT,) == run(bench, asked("artifacts"))


@pytest.mark.parametrize("method", ["snapshot", "artifacts"])
def test_a_snapshot_that_does_not_decode_is_told(bench, method):
    """Its row can still be read, and its status says why there is no snapshot."""
    bench.finish("w1")

    def corrupt(state, now):
        state.works["w1"].snapshot = b"\xff"

    bench.ledger.run(corrupt)
    with pytest.raises(CorruptRecord, match="w1"):
        run(bench, asked(method))
    assert "w1" == run(bench, asked("row")).meta.work_id
    for asking in ("status", "wait"):
        found = run(bench, asked(asking))
        assert (None, True) == (found.snapshot, found.meta.state.is_terminal)
        assert found.problem.startswith("w1: ")


def test_events_are_the_work_items_own(bench):
    """Those of others are the queue's."""
    bench.enqueue(work_id="w2")
    assert {"w1"} == {event.work_id for event in run(bench, asked("events"))}
    assert {"w1", "w2"} == {event.work_id for event in run(bench, lambda roost: roost.events())}


def test_there_is_one_way_to_ask():
    """Questions about one work item go to its handle; streams exist for a queue, too."""
    shared = {name for name in dir(Work) if not name.startswith("_")} & set(dir(Roost))
    assert {"events", "follow"} == shared
