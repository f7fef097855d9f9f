"""Large texts that no version names any more: which go, when, and which stay."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import attrs
import pytest

from roost_core.codec.moved import value_ids
from roost_core.large_values import Texts
from roost_core.models import Lease
from roost_core.shown import views
from tests.unit.stepping.stepper_bench import leaping
from tests.unit.stepping.texts_bench import (
    bench_of,
    image,
    kept,
    looking,
    threadless,
)

pytestmark = [leaping, pytest.mark.usefixtures(threadless.__name__)]


def _lease(work_id):
    return Lease(work_id, "t", "worker-1", 1, datetime.now(UTC))


async def test_what_no_version_names_goes():
    """In time: what the versions that are kept name stays, and all of them can be read."""
    times = itertools.count(0, 1000)
    bench = bench_of(
        looking(60, keep=2), slice_steps=7, dice=lambda: 0.0, clock=lambda: next(times)
    )
    bench.ledger._state.history = (5, 1 << 20)
    work_id = await bench.enqueue()
    await bench.through()
    history = await bench.ledger.history(work_id)
    named = {one for _, text in history.texts() for one in value_ids(text)}
    assert named <= kept(bench, work_id)
    assert len(history.versions) < 60
    assert len(kept(bench, work_id)) <= len(named) + 2
    for version in history.versions:
        work = attrs.evolve(history.work, snapshot=history.snapshot(version))
        data = views.snapshot(Texts(bench.store).whole_work(work)).data
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
    times = itertools.count(0, 1000)
    bench = bench_of(looking(6), slice_steps=2, clock=lambda: next(times))
    work_id = await bench.enqueue()
    await bench.once()
    first = (await bench.claim()).lease
    history = await bench.ledger.history(work_id)
    values, large = bench.store.values, bench.stepper.large
    successor = attrs.evolve(first, fence=first.fence + 1)
    for fence in (successor.fence, first.fence):
        one = values.put(b'"the same"', work_id=work_id, name=f"lease-{fence}")
    for _ in range(2):
        await large.tidy(history, first, 0)
    assert values.exists(one.artifact_id)
    for _ in range(2):
        await large.tidy(history, successor, 0)
    assert not values.exists(one.artifact_id)


async def test_nothing_goes_at_once():
    """A server that loses its last second may be back at a version that names it."""
    now = [0.0]
    bench = bench_of(looking(3), clock=lambda: now[0])
    work_id = await bench.enqueue()
    await bench.once()
    history, values = await bench.ledger.history(work_id), bench.store.values
    one = values.put(b'"gone"', work_id=work_id, name="lease-1")
    lease = attrs.evolve(_lease(work_id), fence=1)
    for at, is_there in ((0, True), (599, True), (601, False)):
        now[0] = at
        await bench.stepper.large.tidy(history, lease, 0)
        assert is_there is values.exists(one.artifact_id)
    # If it is needed again in between, its time begins anew.
    one = values.put(b'"gone"', work_id=work_id, name="lease-1")
    needs = attrs.evolve(history, base=b'{"a":"\\u0072oost:%b.6"}' % one.artifact_id.encode())
    for at, found in ((700, history), (900, needs), (1400, history)):
        now[0] = at
        await bench.stepper.large.tidy(found, lease, 0)
    assert values.exists(one.artifact_id)


async def test_a_worker_looks_again():
    """After its lease has ended, too; not at work that is gone, or another with its id."""
    now = [0.0]
    bench = bench_of(looking(3), clock=lambda: now[0])
    large, values = bench.stepper.large, bench.store.values
    work_id = await bench.enqueue()
    await bench.once()
    history = await bench.ledger.history(work_id)
    life, lease = history.work.created_ms, attrs.evolve(_lease(work_id), fence=1)
    one = values.put(b'"gone"', work_id=work_id, life=life, name="lease-1")
    await large.tidy(history, lease, life)
    for at, is_there in ((599, True), (601, False)):
        now[0] = at
        await large.look_again(bench.ledger)
        assert is_there is values.exists(one.artifact_id)
    assert not large._unneeded
    for others in (life - 1, life):
        one = values.put(b'"gone"', work_id=work_id, life=others, name="lease-1")
        await large.tidy(history, lease, others)
        now[0] += 1000
        if others == life:
            bench.ledger.run(lambda state, _now: state.works.pop(work_id))
        await large.look_again(bench.ledger)
        assert values.exists(one.artifact_id)
        assert not large._unneeded


async def test_nothing_goes_while_a_version_cannot_be_read():
    """It may be mended, and would need its texts."""
    times = itertools.count(0, 1000)
    bench = bench_of(looking(3), clock=lambda: next(times))
    work_id = await bench.enqueue()
    await bench.once()
    history, values = await bench.ledger.history(work_id), bench.store.values
    one = values.put(b'"gone"', work_id=work_id, name="lease-1")
    lease = attrs.evolve(_lease(work_id), fence=1)
    gap = attrs.evolve(history, commits=(history.commits[0], history.commits[-1]))
    for found in (attrs.evolve(history, base=None), gap):
        for _ in range(3):
            await bench.stepper.large.tidy(found, lease, 0)
        assert values.exists(one.artifact_id)


async def test_a_text_that_is_no_lease_s():
    """What somebody else has put there is not dropped."""
    times = itertools.count(0, 1000)
    bench = bench_of(looking(2), clock=lambda: next(times))
    work_id = await bench.enqueue()
    await bench.once()
    other = bench.store.values.put(b"mine", work_id=work_id, name="note")
    history = await bench.ledger.history(work_id)
    for _ in range(2):
        await bench.stepper.large.tidy(history, attrs.evolve(_lease(work_id), fence=99), 0)
    assert bench.store.values.exists(other.artifact_id)
