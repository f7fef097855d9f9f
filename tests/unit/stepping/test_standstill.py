"""Steps that change nothing are noticed."""

from __future__ import annotations

import tracemalloc

import pytest

from roost_core.codec import pieced
from roost_core.codec.snapshots import encode_snapshot
from roost_core.models import Snapshot
from roost_core.stepping import recent
from roost_core.stepping.standstill import WARN_AFTER, Standstill
from tests.unit.stepping.stepper_bench import Bench, engine, leaping


def encoded(version, data, step="look"):
    """Encode a snapshot as a commit has it."""
    return encode_snapshot(Snapshot("w", "demo", version=version, step=step, data=data))


def words(snapshots, delays=False):
    """Return after which snapshots, counted from 0, there was a warning."""
    standstill = Standstill()
    return [n for n, raw in enumerate(snapshots) if standstill.note(raw, delays=delays)]


def test_what_changes_is_no_standstill():
    """Not even a change of a single digit."""
    assert [] == words(encoded(n, {"n": n % 3}) for n in range(10, 99))
    assert [] == words(encoded(n, {"text": "a" * n}) for n in range(10, 99))


def test_what_stays_the_same_is_told_now_and_then():
    """The first time after 25, then after twice as many; a change begins anew."""
    same = [encoded(n, {"text": 'his "data": x', "n": [1, 2]}) for n in range(100, 300)]
    assert [WARN_AFTER, 2 * WARN_AFTER, 4 * WARN_AFTER] == words(same)[:3]
    assert [] == words([*same[:20], encoded(120, {"n": 1}), *same[21:40]])


@pytest.mark.parametrize("size", [10, 5000])
def test_back_and_forth(size):
    """Two states in turn are no progress, either; it is known since when."""
    standstill = Standstill()
    told = []
    for n in range(100, 140):
        raw = encoded(n, {"n": n % 2, "text": "x" * size})
        if standstill.note(raw, delays=False, after=(n - 1, 1000 * n)):
            told.append(n)
    assert [100 + WARN_AFTER + 1] == told
    assert standstill.is_alternating
    assert (101, 102_000) == standstill.since
    standstill.note(encoded(140, {"n": 5}), delays=False, after=(139, 0))
    assert (0, False) == (standstill.unchanged, standstill.is_alternating)


@pytest.mark.parametrize("size", [10, 5000])
def test_large_data_is_compared(size):
    """Data of any size that does not change counts, and data that does ends it."""
    snapshots = [encoded(n, {"text": "x" * size}) for n in range(100, 127)]
    standstill = Standstill()
    told = [n for n, raw in enumerate(snapshots) if standstill.note(raw, delays=False)]
    assert [WARN_AFTER] == told
    assert not standstill.note(encoded(127, {"text": "y" * size}), delays=False)
    assert 0 == standstill.unchanged


def test_large_data_is_not_kept():
    """A worker remembers a thousand recent work items, and their data may have megabytes."""
    rows = [Standstill() for _ in range(50)]
    tracemalloc.start()
    try:
        for row in rows:
            for n in (100, 101):
                row.note(encoded(n, {"text": "x" * 100_000}), delays=False)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < len(rows) * 10_000


def test_a_delay_is_no_standstill():
    """An engine that looks now and then, and finds nothing new, does what it should."""
    assert [] == words((encoded(n, {}) for n in range(100, 300)), delays=True)


@leaping
async def test_people_are_told():
    """The event comes with the commit; over many leases less and less often."""

    async def again(snapshot):
        return snapshot.evolve()

    bench = Bench(engine(again), slice_steps=10)
    await bench.enqueue(work_id="w")
    for _ in range(15):
        await bench.once()
    events = await bench.ledger.events(work_id="w", limit=1000)
    emitted = [one.data for one in events if one.kind == "emitted"]
    assert [25, 50, 100] == [one["steps"] for one in emitted]
    assert {"steps in a row have changed no data"} == {one["warning"] for one in emitted}
    assert {1} == {one["since_version"] for one in emitted}
    (begun,) = [one.at for one in events if one.kind == "committed" and one.version == 1]
    assert {begun.isoformat()} == {one["since"] for one in emitted}


@leaping
@pytest.mark.parametrize("size", [10, 5_000])
async def test_two_states_in_turn_are_told(size, monkeypatch):
    """Large ones are compared by what they have changed, wherever that stands."""
    monkeypatch.setattr(pieced, "LARGE", 1000)
    monkeypatch.setattr(recent, "LARGE", 1000)

    async def flip(snapshot):
        ways = ["a", "bb"]
        data = {"at": ways[snapshot.version % 2], "text": "x" * size, "b": snapshot.version % 2}
        return snapshot.evolve(data=data)

    bench = Bench(engine(flip), slice_steps=60)
    await bench.enqueue(work_id="w")
    await bench.once()
    events = await bench.ledger.events(work_id="w", limit=1000)
    told = [one.data for one in events if one.kind == "emitted"]
    assert [25, 50] == [one["steps"] for one in told]
    said = "steps in a row have gone back and forth between two states"
    assert {said} == {one["warning"] for one in told}
    assert all(one["since_version"] < 8 for one in told)
