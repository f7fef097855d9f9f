"""Steps whose snapshots have large texts: these are stored first, and no engine notices."""

from __future__ import annotations

import asyncio
import threading

import attrs
import pytest

from roost_core import threads
from roost_core.client.control import new_order
from roost_core.codec.moved import sizes, value_ids
from roost_core.codec.records import decode_model
from roost_core.codec.snapshots import EncodedSnapshot
from roost_core.errors import ArtifactDiskFull, ArtifactError
from roost_core.large_values import Texts
from roost_core.models import Actor, ErrorRecord, Snapshot, State, Verb
from roost_core.shown import views
from roost_core.stepping import texts
from roost_core.stepping.texts import LargeTexts
from roost_core.testing import MemoryArtifactStore
from tests.event_loops import real_time
from tests.unit.stepping.stepper_bench import engine, leaping, observer
from tests.unit.stepping.texts_bench import (
    LEAST,
    bench_of,
    image,
    kept,
    looking,
    status_of,
    threadless,
)

pytestmark = [leaping, pytest.mark.usefixtures(threadless.__name__)]


@pytest.mark.parametrize("slice_steps", [1, 2, 50])
async def test_no_engine_notices(slice_steps):
    """In one slice or in many, whoever runs it."""
    bench = bench_of(looking(6), slice_steps=slice_steps)
    work_id = await bench.enqueue()
    await bench.through()
    stored = await bench.ledger.read(work_id)
    assert State.DONE is stored.state
    assert 6 == len(sizes(stored.snapshot))
    assert len(stored.snapshot) < 1500
    assert value_ids(stored.snapshot) == kept(bench, work_id)
    assert [image(n) for n in range(6)] == (await status_of(bench, work_id)).snapshot.data["images"]


async def test_they_are_there_before_the_commit():
    """And in the name of the lease."""
    bench = bench_of(looking(4), slice_steps=2)
    work_id = await bench.enqueue()
    commit = bench.ledger.commit

    async def looked(lease, one):
        assert value_ids(one.snapshot) <= kept(bench, work_id)
        return await commit(lease, one)

    bench.ledger.commit = looked
    await bench.through()
    names = {one.name for one in bench.store.values.of_work(work_id)}
    assert {"lease-1", "lease-2", "lease-3"} == names
    assert [] == bench.store.of_work(work_id)


async def test_none_is_stored_twice(monkeypatch):
    """What the version before has is there."""
    bench = bench_of(looking(6), slice_steps=2)
    put, texts = bench.store.values.put, []
    monkeypatch.setattr(
        bench.store.values, "put", lambda data, **fields: texts.append(data) or put(data, **fields)
    )
    await bench.enqueue()
    await bench.through()
    assert 6 == len(texts)


@pytest.mark.parametrize("error", [ArtifactDiskFull("full"), ArtifactError("broken")])
async def test_no_room_for_them(monkeypatch, caplog, error):
    """They stay in the snapshot; those that were moved before stay where they are."""
    bench = bench_of(looking(6), slice_steps=2)
    put, count = bench.store.values.put, []

    def full(data, **fields):
        count.append(1)
        if len(count) > 3:
            raise error
        return put(data, **fields)

    monkeypatch.setattr(bench.store.values, "put", full)
    work_id = await bench.enqueue()
    await bench.through()
    status = await status_of(bench, work_id)
    assert (State.DONE, None) == (status.meta.state, status.meta.error)
    assert [image(n) for n in range(6)] == status.snapshot.data["images"]
    assert 3 == len(sizes((await bench.ledger.read(work_id)).snapshot))
    assert f"{work_id}: its large texts stay in the snapshot: {error}" in caplog.text


@pytest.mark.parametrize("is_damaged", [False, True])
async def test_one_is_lost(is_damaged):
    """That work item is a dead letter that says so; its bytes stay, and it can continue."""
    bench = bench_of(looking(6), slice_steps=2)
    work_id, other = await bench.enqueue(), await bench.enqueue(100)
    await bench.once()
    blobs = bench.store.values._blobs
    lost = min(value_ids((await bench.ledger.read(work_id)).snapshot))
    saved = blobs.pop(lost)
    if is_damaged:
        blobs[lost] = b'"short"'
    await bench.through()
    stored = await bench.ledger.read(work_id)
    error = decode_model(ErrorRecord, stored.error)
    assert (State.FAILED, "corrupt") == (stored.state, error.kind)
    assert lost in error.message
    assert State.DONE is await bench.state(other)
    blobs[lost] = saved
    await bench.ledger.order(work_id, new_order(Verb.RETRY, Actor("me", "test")))
    await bench.through()
    assert State.DONE is await bench.state(work_id)


async def test_the_store_does_not_answer(monkeypatch, caplog):
    """It is nobody's fault: the work is given back, and rests, until it can be read."""
    bench = bench_of(looking(4), slice_steps=2)
    work_id = await bench.enqueue()
    await bench.once()
    get, count = bench.store.values.get, []

    def away(value_id):
        count.append(1)
        if len(count) < 5:
            raise ArtifactError("the volume is not there")
        return get(value_id)

    monkeypatch.setattr(bench.store.values, "get", away)
    await bench.once()
    meta = views.meta(await bench.ledger.read(work_id))
    assert (State.SLEEPING, 0, 0, None) == (
        meta.state,
        meta.attempts,
        meta.recoveries,
        meta.error,
    )
    assert meta.due_at is not None
    events = [one.data for one in await bench.ledger.events(work_id=work_id, limit=100)]
    assert "the volume is not there" in str(events[-1])
    await bench.through()
    assert State.DONE is await bench.state(work_id)
    assert f"{work_id}: given back, its large texts cannot be read" in caplog.text
    assert set() == bench.keeper.kept


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyError("no such key")])
async def test_a_store_that_raises_anything(monkeypatch, caplog, error):
    """No accepted step is lost over it, and no lane."""

    def broken(*_args, **_fields):
        raise error

    bench = bench_of(looking(6), slice_steps=2, dice=lambda: 0.0)
    work_id = await bench.enqueue()
    with monkeypatch.context() as patch:
        patch.setattr(bench.store.values, "of_work", broken)
        await bench.once()
    assert "cannot drop large texts" in caplog.text
    with monkeypatch.context() as patch:
        patch.setattr(bench.store.values, "put", broken)
        patch.setattr(bench.store.values, "get", broken)
        await bench.once()
    meta = views.meta(await bench.ledger.read(work_id))
    assert (State.SLEEPING, 0, None) == (meta.state, meta.attempts, meta.error)
    await bench.through()
    assert State.DONE is await bench.state(work_id)


async def test_a_folder_that_is_another_one(monkeypatch):
    """It knows nothing of the work: then the work is not to blame."""
    bench = bench_of(looking(4), slice_steps=2)
    work_id = await bench.enqueue()
    await bench.once()
    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "_values", MemoryArtifactStore(by_name=True))
        bench.store.values.put(b"else", work_id="w-else", name="lease-1")
        await bench.once()
    meta = views.meta(await bench.ledger.read(work_id))
    assert (State.SLEEPING, 0, None) == (meta.state, meta.attempts, meta.error)
    await bench.through()
    assert State.DONE is await bench.state(work_id)


async def test_what_the_engine_changes_later_does_not_count(monkeypatch):
    """What is stored is what the step returned, also if its texts cannot be moved."""
    mine = {}

    async def step(snapshot):
        mine["images"] = [image(1)]
        return snapshot.evolve(data=mine, is_finished=True)

    bench = bench_of(engine(step))

    def full(_data, **_fields):
        mine["images"] = "changed"
        raise ArtifactDiskFull("full")

    monkeypatch.setattr(bench.store.values, "put", full)
    work_id = await bench.enqueue()
    await bench.through()
    assert [image(1)] == (await status_of(bench, work_id)).snapshot.data["images"]


@real_time
async def test_a_store_that_hangs(monkeypatch, caplog):
    """A step has done its work: it counts, and no lane waits for ever."""
    monkeypatch.setattr(texts, "run_in_thread", threads.run_in_thread)
    monkeypatch.setattr(texts, "_SILENCE", 0.05)
    going = threading.Event()
    bench = bench_of(looking(3))

    def hangs(*_args, **_fields):
        going.wait()

    work_id = await bench.enqueue()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(bench.store.values, "put", hangs)
            await bench.once()
        assert State.DONE is await bench.state(work_id)
        assert 3 == caplog.text.count("its large texts stay in the snapshot: the store of large")
        large = bench.stepper.large
        with monkeypatch.context() as patch:
            patch.setattr(bench.store.values, "get", hangs)
            raw = EncodedSnapshot.of(
                Snapshot(work_id, "demo", 1, "look", {"a": image(1)}), None, LEAST
            ).raw
            with pytest.raises(ArtifactError, match="has not answered for 0 s"):
                await large.fetch(raw, work_id)
            before = threading.active_count()
            for _ in range(3):
                with pytest.raises(ArtifactError, match="has not answered for a while"):
                    await large.fetch(raw, work_id)
            assert before == threading.active_count()
    finally:
        going.set()
    for _ in range(200):
        if not large._hung:
            break
        await asyncio.sleep(0.01)
    assert 0 == large._hung


async def test_a_lane_that_is_cancelled_while_texts_are_stored(monkeypatch):
    """The step has ended, so its result counts; its texts stay in the snapshot."""
    bench = bench_of(looking(1))
    lane = []

    async def cancelled(_function, *_args):
        lane[0].cancel()
        await asyncio.sleep(0)
        raise AssertionError("it was cancelled before")

    monkeypatch.setattr(texts, "run_in_thread", cancelled)
    work_id = await bench.enqueue()
    lane.append(asyncio.create_task(bench.once()))
    await asyncio.wait(lane)
    assert State.DONE is await bench.state(work_id)
    assert {} == sizes((await bench.ledger.read(work_id)).snapshot)


async def test_an_observer_gets_them():
    """A dead letter has all of its snapshot."""
    letters = []

    async def on_dead_letter(letter):
        letters.append(letter.snapshot.data["images"])

    bench = bench_of(looking(9), observer(on_dead_letter=on_dead_letter), slice_steps=2)
    work_id = await bench.enqueue()
    await bench.once()
    await bench.stepper.dead_lettered([work_id])
    assert [[image(0)]] == letters


async def test_a_backend_that_takes_no_changes_reads_them(monkeypatch):
    """It may have them from a time when it did."""
    bench = bench_of(looking(6), slice_steps=2)
    work_id = await bench.enqueue()
    await bench.once()
    monkeypatch.setattr(type(bench.ledger), "takes_changes", False)
    bench.stepper = attrs.evolve(bench.stepper, large=LargeTexts(Texts(bench.store)))
    await bench.through()
    assert State.DONE is await bench.state(work_id)
    assert {} == sizes((await bench.ledger.read(work_id)).snapshot)
