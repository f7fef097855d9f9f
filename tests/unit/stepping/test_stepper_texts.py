"""Steps whose snapshots have large texts: these are stored first, and no engine notices."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest

from roost_core.client.control import new_order
from roost_core.codec.moved import sizes, value_ids
from roost_core.codec.records import decode_model
from roost_core.errors import ArtifactDiskFull, ArtifactError
from roost_core.large_values import LargeValues
from roost_core.models import Actor, ErrorRecord, Lease, State, Verb
from roost_core.shown import views
from roost_core.stepping import attempt, stepper, telling
from tests.unit.stepping.stepper_bench import Bench, engine, leaping, observer

pytestmark = leaping

LEAST = 1024


@pytest.fixture(autouse=True)
def threadless(monkeypatch):
    """Call at once what blocks: the loop leaps, and waits for no thread."""

    async def at_once(function, *args):
        return function(*args)

    for module in (attempt, stepper, telling):
        monkeypatch.setattr(module, "run_in_thread", at_once)


def image(n):
    """Return a text that is like no other."""
    return f"{n} image " * 400


def looking(total, keep=None, **fields):
    """Make a step that adds an image to the last ones, and looks at those that it was given.

    A payload is the number of the first.
    """

    async def step(snapshot, item):
        n, base = snapshot.data.get("n", 0), item.payload or 0
        images = list(snapshot.data.get("images", []))
        first = 0 if keep is None else max(0, n - keep)
        assert [image(base + one) for one in range(first, n)] == images
        images = [*images, image(base + n)][-keep if keep else 0 :]
        data = {"n": n + 1, "images": images, "pad": "p" * 100}
        return snapshot.evolve(data=data, is_finished=n + 1 >= total, **fields)

    return engine(step)


def bench_of(*plugins, dice=lambda: 1.0, **fields):
    """Make a bench that moves texts."""
    bench = Bench(*plugins, **fields)
    large = LargeValues(bench.store, least=LEAST, dice=dice)
    bench.stepper = attrs.evolve(bench.stepper, large=large)
    return bench


async def status_of(bench, work_id):
    """Return all about a work item."""
    return views.status(bench.stepper.large.whole_work(await bench.ledger.read(work_id)))


def kept(bench, work_id):
    """Return the ids of the texts that are kept for a work item."""
    return {one.artifact_id for one in bench.store.values.of_work(work_id)}


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


async def test_what_no_version_names_goes():
    """In time: what the versions that are kept name stays, and all of them can be read."""
    bench = bench_of(looking(60, keep=2), slice_steps=7, dice=lambda: 0.0)
    bench.ledger._state.history = (5, 1 << 20)
    work_id = await bench.enqueue()
    await bench.through()
    history = await bench.ledger.history(work_id)
    named = {one for _, text in history.texts() for one in value_ids(text)}
    assert named <= kept(bench, work_id)
    assert len(history.versions) < 60
    assert len(kept(bench, work_id)) <= len(named) + 1
    for version in history.versions:
        work = attrs.evolve(history.work, snapshot=history.snapshot(version))
        data = views.snapshot(bench.stepper.large.whole_work(work)).data
        assert [image(n) for n in range(max(0, data.get("n", 0) - 2), data.get("n", 0))] == list(
            data.get("images", [])
        )


async def test_nothing_goes_while_it_is_not_looked():
    """It is looked about once in 64 texts."""
    bench = bench_of(looking(20, keep=2), dice=lambda: 1 / 64)
    bench.ledger._state.history = (1, 1 << 20)
    work_id = await bench.enqueue()
    await bench.through()
    assert 20 == len(kept(bench, work_id))


async def test_a_worker_that_has_lost_its_lease():
    """It drops nothing that its successor has stored, even of the same bytes."""
    bench = bench_of(looking(6), slice_steps=2)
    work_id = await bench.enqueue()
    await bench.once()
    first = await bench.claim()
    history = await bench.ledger.history(work_id)
    texts = bench.store.values
    data = b'"the same"'
    texts.put(data, work_id=work_id, name=f"lease-{first.lease.fence}")
    large = bench.stepper.large
    successor = attrs.evolve(first.lease, fence=first.lease.fence + 1)
    one = texts.put(data, work_id=work_id, name=f"lease-{successor.fence}")
    large.tidy(history, first.lease, None)
    assert texts.exists(one.artifact_id)
    large.tidy(history, successor, None)
    assert not texts.exists(one.artifact_id)


async def test_a_text_that_is_no_lease_s():
    """What somebody else has put there is not dropped."""
    bench = bench_of(looking(2))
    work_id = await bench.enqueue()
    await bench.once()
    other = bench.store.values.put(b"mine", work_id=work_id, name="note")
    claim_lease = attrs.evolve(_lease(work_id), fence=99)
    bench.stepper.large.tidy(await bench.ledger.history(work_id), claim_lease, None)
    assert bench.store.values.exists(other.artifact_id)


def _lease(work_id):
    return Lease(work_id, "t", "worker-1", 1, datetime.now(UTC))


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
    bench.stepper = attrs.evolve(bench.stepper, large=LargeValues(bench.store))
    await bench.through()
    assert State.DONE is await bench.state(work_id)
    assert {} == sizes((await bench.ledger.read(work_id)).snapshot)
