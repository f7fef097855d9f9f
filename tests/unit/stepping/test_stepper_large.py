"""Steps of large data: commits bring changes, and engines see what any worker would see."""

from __future__ import annotations

import attrs
import pytest

from roost_core.codec import pieced, pieces
from roost_core.codec.records import decode_model
from roost_core.codec.snapshots import decode_snapshot
from roost_core.codec.strict_json import loads
from roost_core.errors import BackendUnavailable
from roost_core.models import ErrorRecord, State
from roost_core.stepping import recent
from roost_core.testing import MemoryLedger
from tests.unit.stepping.stepper_bench import (
    Bench,
    Flaky,
    engine,
    leaping,
    observer,
)

pytestmark = leaping

PAD = "x" * 600


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Take for large what has some hundred bytes."""
    for module in (pieced, recent):
        monkeypatch.setattr(module, "LARGE", 300)
    monkeypatch.setattr(pieces, "_SPLIT", 100)


def growing(total, **fields):
    """Make a step that adds a row, and changes what it was given in place."""

    async def step(snapshot):
        rows = snapshot.data.get("rows", [])
        assert [{"n": n} for n in range(len(rows))] == rows
        new = [*rows, {"n": len(rows)}]
        rows.clear()
        snapshot.data["pad"] = "changed in place"
        return snapshot.evolve(
            data={"pad": PAD, "rows": new}, is_finished=len(new) >= total, **fields
        )

    return engine(step)


class Watched(Flaky):
    """A backend that keeps what each commit brought, by the version that it made."""

    def __init__(self):
        super().__init__()
        self.commits = {}
        self.reads = []

    async def commit(self, lease, commit):
        """Accept a step."""
        self.commits[commit.expected_version + 1] = commit
        return await super().commit(lease, commit)

    async def read(self, work_id):
        """Read."""
        self.reads.append(work_id)
        return await super().read(work_id)

    def alone(self):
        """Return the versions of which only a change was brought."""
        return {version for version, one in self.commits.items() if not one.snapshot}


async def see_versions(bench, work_id, rows):
    """Check that all versions are there: ``rows`` of them after the first."""
    history = await bench.ledger.history(work_id)
    assert tuple(range(rows + 1, 0, -1)) == history.versions
    for version in history.versions[:-1]:
        data = decode_snapshot(history.snapshot(version)).data
        assert {"pad": PAD, "rows": [{"n": n} for n in range(version - 1)]} == data


@pytest.mark.parametrize("slice_steps", [1, 3, 50])
@pytest.mark.parametrize("delay", [None, 1.0])
async def test_only_what_changed_is_brought(slice_steps, delay):
    """A whole, a base, then changes alone; in one slice or in many."""
    ledger = Watched()
    bench = Bench(
        growing(20, next_step_delay_seconds=delay), ledger=ledger, slice_steps=slice_steps
    )
    work_id = await bench.enqueue()
    await bench.through()
    assert State.DONE is await bench.state(work_id)
    await see_versions(bench, work_id, 20)
    assert set(range(4, 22)) == ledger.alone()
    assert (False, True) == (ledger.commits[2].is_base, ledger.commits[3].is_base)


async def test_another_worker_goes_on():
    """It follows with changes what others have begun."""
    ledger = Watched()
    one, other = (Bench(growing(20), ledger=ledger, slice_steps=3) for _ in range(2))
    work_id = await one.enqueue()
    claim = one.claim

    async def claim_as_other():
        found = await claim()
        if found is None or found.since is None:
            return found
        # As the server would answer another worker.
        work = await MemoryLedger.read(ledger, work_id)
        return attrs.evolve(found, snapshot=work.snapshot)

    for turn in range(20):
        bench = (one, other)[turn % 2]
        found = await claim_as_other()
        if found is None:
            break
        await bench.stepper.run(found)
    await see_versions(one, work_id, 20)
    assert set(range(4, 22)) == ledger.alone()
    assert [] == ledger.reads


async def test_pieces_that_were_dropped(monkeypatch):
    """There is no room: the worker asks for what it has stored itself, once per lease.

    It continues with changes: how much the base has, and what follows it, is still known.
    """
    monkeypatch.setattr(recent, "_MOST_PIECES", 0)
    ledger = Watched()
    bench = Bench(growing(12), ledger=ledger, slice_steps=3)
    work_id = await bench.enqueue()
    claims = await bench.through()
    await see_versions(bench, work_id, 12)
    assert [work_id] * (claims - 1) == ledger.reads
    assert set(range(4, 14)) == ledger.alone()


async def test_asking_is_repeated(monkeypatch):
    """For as long as the lease is trusted."""
    monkeypatch.setattr(recent, "_MOST_PIECES", 0)

    class Away(Watched):
        async def read(self, work_id):
            self.reads.append(work_id)
            if len(self.reads) % 3:
                raise BackendUnavailable("away")
            return await MemoryLedger.read(self, work_id)

    bench = Bench(growing(5), ledger=Away(), slice_steps=3)
    work_id = await bench.enqueue()
    await bench.through()
    await see_versions(bench, work_id, 5)
    assert len(bench.ledger.reads) >= 3


async def test_a_backend_that_takes_no_changes():
    """It gets wholes, and nothing else."""

    class Plain(Watched):
        takes_changes = False

    bench = Bench(growing(6), ledger=Plain(), slice_steps=2)
    await bench.enqueue()
    await bench.through()
    for commit in bench.ledger.commits.values():
        assert (b"", False) == (commit.change, commit.is_base)
        assert b'{"schema":1,' == commit.snapshot[:12]


async def test_answers_get_lost():
    """A change is sent again, and counts once."""
    ledger = Watched()
    ledger.lost = {"commit": 7}
    bench = Bench(growing(10), ledger=ledger, slice_steps=4)
    work_id = await bench.enqueue()
    await bench.through()
    await see_versions(bench, work_id, 10)


async def test_failed_attempts_between():
    """What they returned or changed in place is nobody's."""
    tries = []

    async def step(snapshot):
        rows = snapshot.data.get("rows", [])
        tries.append(len(rows))
        new = [*rows, {"n": len(rows)}]
        rows.append("never")
        if len(tries) % 3 == 0:
            raise ValueError("not now")
        if len(tries) % 3 == 1:
            return snapshot.evolve(data={"pad": PAD, "rows": new, "odd": float("nan")})
        return snapshot.evolve(data={"pad": PAD, "rows": new}, is_finished=len(new) >= 8)

    ledger = Watched()
    bench = Bench(engine(step), ledger=ledger)
    work_id = await bench.enqueue()
    await bench.through()
    # What was accepted before the failure is still here.
    assert [] == ledger.reads
    assert set(range(4, 10)) == ledger.alone()
    assert State.DONE is await bench.state(work_id)
    await see_versions(bench, work_id, 8)


async def test_data_that_is_not_json():
    """It is refused in the words that small data is refused with."""

    async def step(snapshot):
        rows = [*snapshot.data.get("rows", []), 1]
        odd = {"odd": {1, 2}} if len(rows) > 5 else {}
        return snapshot.evolve(data={"pad": PAD, "rows": rows, **odd})

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    claim = await bench.claim()
    await bench.stepper.run(claim)
    stored = await bench.ledger.read(work_id)
    assert "set is not JSON serializable" in decode_model(ErrorRecord, stored.error).message


async def test_observers_see_each_version():
    """As it is stored, each its own copy."""
    seen = []

    async def on_step_committed(snapshot):
        seen.append((snapshot.version, len(snapshot.data.get("rows", []))))
        if "rows" in snapshot.data:
            snapshot.data["rows"].clear()

    bench = Bench(growing(6), observer(on_step_committed=on_step_committed), slice_steps=3)
    await bench.enqueue()
    await bench.through()
    assert [(version, version - 1) for version in range(1, 8)] == seen


async def test_large_data_that_does_not_change():
    """After 25 steps there is a warning, as for small data."""

    async def step(snapshot):
        n = snapshot.version
        return snapshot.evolve(data={"pad": PAD, "rows": [min(n, 5)]}, is_finished=n == 40)

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.through()
    events = await bench.ledger.events(work_id=work_id, limit=1000)
    told = [one for one in events if one.kind == "emitted" and "warning" in one.data]
    assert [25] == [one.data["steps"] for one in told]


async def test_damage_to_what_a_worker_has_to_ask_for(monkeypatch):
    """It is a dead letter, as if it had been sent."""
    monkeypatch.setattr(recent, "_MOST_PIECES", 0)
    bench = Bench(growing(9), slice_steps=3)
    work_id = await bench.enqueue()
    await bench.once()
    await bench.once()
    bench.ledger.run(lambda state, _now: setattr(state.works[work_id], "snapshot", b"{}"))
    await bench.once()
    assert State.FAILED is await bench.state(work_id)
    assert "corrupt" == loads((await bench.ledger.read(work_id)).error, "it", 9999)["kind"]
