"""The stepper's dealings with observers, with managers around steps, and with artifacts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from roost_core.codec.records import decode_model
from roost_core.codec.snapshots import decode_snapshot
from roost_core.codec.times import from_milliseconds
from roost_core.models import Artifact, ErrorRecord, RetryPolicy, Snapshot, State
from tests.event_loops import real_time
from tests.unit.stepping.stepper_bench import Bench, engine, leaping, observer

pytestmark = leaping


async def count_to_two(snapshot):
    """Finish with the second step."""
    n = snapshot.data.get("n", 0) + 1
    return snapshot.evolve(data={"n": n}, is_finished=n == 2)


async def fail(snapshot):
    """Fail every time."""
    raise ValueError("no")


async def test_committed_steps_are_observed():
    """Each accepted snapshot is seen once, with its version and the server's times."""
    seen = []

    async def on_step_committed(item, snapshot):
        seen.append((item.work_id, snapshot.version, snapshot.is_finished))
        assert (await bench.ledger.read(item.work_id)).version == snapshot.version
        assert snapshot.created_at <= snapshot.updated_at
        assert snapshot.is_finished == (snapshot.finished_at is not None)

    bench = Bench(engine(count_to_two), observer(on_step_committed=on_step_committed))
    await bench.enqueue(work_id="w")
    await bench.once()
    assert [("w", 1, False), ("w", 2, False), ("w", 3, True)] == seen


async def test_dead_letters_are_observed():
    """The observer gets item, last snapshot and error, after the letter is stored."""
    letters = []

    async def on_dead_letter(letter):
        letters.append(letter)
        assert State.FAILED is await bench.state(letter.item.work_id)

    bench = Bench(engine(fail), observer(on_dead_letter=on_dead_letter))
    await bench.enqueue({"p": 1}, work_id="w", retry=RetryPolicy(max_attempts=1))
    await bench.once()
    letter = letters[0]
    assert [("w", 1, "no")] == [
        (one.item.work_id, one.snapshot.version, one.error.message) for one in letters
    ]
    assert {"p": 1} == letter.item.payload


async def test_dead_letters_of_a_claim_are_observed():
    """Letters made by a claim, for deadlines and dead workers, are read and observed."""
    letters = []

    async def on_dead_letter(letter):
        letters.append((letter.item.work_id, letter.error.kind))

    bench = Bench(engine(fail), observer(on_dead_letter=on_dead_letter))
    deadline = from_milliseconds(await bench.ledger.now_ms() + 1000)
    await bench.enqueue(work_id="w", deadline_at=deadline)
    await asyncio.sleep(2)
    await bench.claim()
    await bench.stepper.dead_lettered(["w", "unknown"])
    assert [("w", "deadline")] == letters


async def test_steps_in_a_row_end_as_a_dead_letter():
    """An engine without progress: its last step is observed, and then its letter."""
    seen = []

    async def on_dead_letter(letter):
        seen.append((letter.error.kind, letter.snapshot.version))

    async def on_step_committed(snapshot):
        seen.append(snapshot.version)

    async def again(snapshot):
        return snapshot.evolve()

    hooks = observer(on_dead_letter=on_dead_letter, on_step_committed=on_step_committed)
    bench = Bench(engine(again), hooks)
    await bench.enqueue(work_id="w", max_steps=4)
    await bench.once()
    assert [1, 2, 3, 4, ("steps", 4)] == seen


async def test_failing_observers_change_nothing():
    """An observer that raises, exits, hangs or is cancelled does not touch the work."""

    async def raising(snapshot):
        raise ValueError("observer")

    async def leaving(snapshot):
        raise SystemExit(1)

    async def hanging(snapshot):
        await forever()

    async def forever():
        await asyncio.Event().wait()

    bench = Bench(
        engine(count_to_two),
        observer(on_step_committed=raising),
        observer(on_step_committed=leaving),
        observer(on_step_committed=hanging),
    )
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.DONE, 3, 0) == (work.state, work.version, work.attempts)


async def test_observers_cannot_change_the_snapshot():
    """What an observer changes in place is not what the engine sees next."""

    async def on_step_committed(snapshot):
        snapshot.data["n"] = -50

    bench = Bench(engine(count_to_two), observer(on_step_committed=on_step_committed))
    work_id = await bench.enqueue()
    await bench.once()
    stored = decode_snapshot((await bench.ledger.read(work_id)).snapshot)
    assert {"n": 2} == stored.data


def around(name, log, *, enters=None, leaves=None):
    """Make a plugin whose manager records what it sees."""

    @asynccontextmanager
    async def manager(context):
        log.append(f"{name} in {context.version}")
        if enters:
            raise enters
        try:
            yield
        finally:
            log.append(f"{name} out")
        if leaves:
            raise leaves

    def around_step(context):
        return manager(context)

    return observer(around_step=around_step)


async def test_managers_nest_around_every_step():
    """The first registered is outermost, around init_snapshot and each step."""
    log = []

    async def init_snapshot(item):
        log.append("init")
        return Snapshot.start(item)

    async def step(snapshot):
        log.append("step")
        return snapshot.finish()

    bench = Bench(around("a", log), around("b", log), engine(step, init_snapshot))
    await bench.enqueue()
    await bench.once()
    expected = []
    for version, name in ((0, "init"), (1, "step")):
        expected += [f"a in {version}", f"b in {version}", name, "b out", "a out"]
    assert expected == log


@pytest.mark.parametrize("when", ["enters", "leaves"])
async def test_a_failing_manager_fails_the_step(when):
    """Its error counts as the step's own, and what the step returned is not stored."""
    log = []
    bench = Bench(
        around("a", log), around("b", log, **{when: OSError("budget")}), engine(count_to_two)
    )
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    error = decode_model(ErrorRecord, work.error)
    assert (State.RETRY_WAIT, 0, 1, "budget") == (
        work.state,
        work.version,
        work.attempts,
        error.message,
    )
    assert "a out" == log[-1]


def artifact_step(make):
    """Make a step that ends with the artifacts that ``make(snapshot, context)`` returns."""

    async def step(snapshot, context):
        return snapshot.finish(artifacts=make(snapshot, context))

    return step


@real_time
async def test_artifacts_must_be_in_the_store():
    """A snapshot that names an artifact that the store lacks is an invalid result."""
    made = Artifact("ab" * 32, 3)
    bench = Bench(engine(artifact_step(lambda snapshot, context: [made])))
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    error = decode_model(ErrorRecord, work.error)
    assert (State.RETRY_WAIT, "invalid_result") == (work.state, error.kind)
    assert "which is not in the store" in error.message


@real_time
async def test_artifacts_are_kept_with_the_snapshot():
    """What the store gave can be named, once or many times, in this and in later steps."""

    def make(snapshot, context):
        one = context.artifacts.put_bytes(b"abc", ext="txt")
        return [*snapshot.artifacts, one, one]

    bench = Bench(engine(artifact_step(make)))
    work_id = await bench.enqueue()
    await bench.once()
    stored = decode_snapshot((await bench.ledger.read(work_id)).snapshot)
    assert (2, "txt") == (len(stored.artifacts), stored.artifacts[0].ext)
    assert b"abc" == bench.store.get(stored.artifacts[0].artifact_id)


@real_time
async def test_a_failing_store_is_an_attempt():
    """A store that cannot be asked fails the attempt, not the worker."""

    def exists(artifact_id):
        raise OSError("no such disk")

    bench = Bench(engine(artifact_step(lambda s, c: [Artifact("ab" * 32, 3)])))
    bench.store.exists = exists
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert "no such disk" in decode_model(ErrorRecord, work.error).message
