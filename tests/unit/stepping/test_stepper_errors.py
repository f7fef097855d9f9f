"""What engines raise and return, and what becomes of it."""

from __future__ import annotations

import asyncio
import json

import pytest

from roost_core.codec.snapshots import encode_snapshot
from roost_core.codec.strict_json import MAX_SNAPSHOT_BYTES
from roost_core.errors import ArtifactDiskFull, PermanentError, RetryLater
from roost_core.models import RetryPolicy, State
from tests.unit.stepping.stepper_bench import (
    Bench,
    counting,
    engine,
    error_of,
    leaping,
    observer,
    snapshot_of,
)

pytestmark = leaping


class NastyText(Exception):
    """An error that raises when its text is asked for."""

    def __str__(self):
        raise RuntimeError("no text")


def recurse():
    """Run out of stack."""
    return recurse()


def deep():
    """Build data that holds itself."""
    data = {}
    data["self"] = data
    return data


class Evil(dict):
    """Data whose own code fails."""

    def items(self):
        """Fail."""
        raise OSError("evil")


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (ValueError("bad"), "exception", "bad"),
        (ValueError(), "exception", "ValueError"),
        (TimeoutError("mine"), "exception", "mine"),
        (asyncio.CancelledError("mine"), "exception", "CancelledError"),
        (SystemExit(3), "exception", "SystemExit"),
        (BaseExceptionGroup("two", [SystemExit(1), ValueError("x")]), "exception", "two"),
        (ExceptionGroup("two", [ValueError("x")]), "exception", "two"),
        (StopIteration(5), "exception", "StopIteration"),
        (StopAsyncIteration(), "exception", "StopAsyncIteration"),
        (NastyText(), "exception", "its text cannot be had"),
        (ValueError("x" * 5_000_000), "exception", "xxx"),
        (ValueError("a \ud800 b"), "exception", "a ? b"),
        (ValueError("null \x00 and \x1b[31m"), "exception", "null"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_what_is_raised_is_a_recorded_attempt(raised, kind, message):
    """Whatever an engine raises counts once, waits, and can be read."""

    async def step(snapshot):
        raise raised

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    other = await bench.enqueue(work_id="other", payload={"fine": True})
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.RETRY_WAIT, 1, 1) == (work.state, work.attempts, work.version)
    error = await error_of(bench, work_id)
    assert kind == error.kind
    assert message in error.message
    assert len(error.message) <= 2000
    assert error.error_type.isprintable()
    assert len(work.error) < 40_000
    json.loads(work.error)
    assert other == (await bench.claim()).lease.work_id
    bench.ledger.check()


async def test_recursion():
    """Running out of stack is an attempt like any other."""

    async def step(snapshot):
        return recurse()

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.once()
    error = await error_of(bench, work_id)
    assert ("exception", "RecursionError") == (error.kind, error.error_type)
    assert "recurse" in error.traceback


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda s: None, "returned None"),
        (lambda s: 5, "a int"),
        (lambda s: s.evolve(next_step_delay_seconds=float("nan")), "finite"),
        (lambda s: s.evolve(data={"x": float("inf")}), "not JSON"),
        (lambda s: s.evolve(data={"x": "\ud800"}), "lone surrogate"),
        (lambda s: s.evolve(data={"x": object()}), "not JSON"),
        (lambda s: s.evolve(data={"x": b"bytes"}), "not JSON"),
        (lambda s: s.evolve(data={(1, 2): 3}), "not JSON"),
        (lambda s: s.evolve(data=deep()), "not JSON"),
        (lambda s: s.evolve(data=Evil(a=1)), "not JSON"),
        (lambda s: s.evolve(data={"x": "y" * MAX_SNAPSHOT_BYTES}), "the limit is"),
        (lambda s: s.evolve(data=json.loads("[" * 70 + "]" * 70)), "data must be"),
        (lambda s: s.evolve(data={"x": json.loads("[" * 70 + "]" * 70)}), "nests deeper than"),
        (lambda s: s.evolve(artifacts=[{"artifact_id": "0" * 64}]), "artifacts must hold"),
    ],
)
async def test_results_that_cannot_be_stored(returned, message):
    """A result that is not a valid snapshot is a recorded attempt; the old snapshot stays."""

    async def step(snapshot):
        return returned(snapshot)

    bench = Bench(engine(step))
    work_id = await bench.enqueue({"sound": 1})
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.RETRY_WAIT, 1, 1) == (work.state, work.attempts, work.version)
    error = await error_of(bench, work_id)
    assert ("invalid_result", "InvalidStepResult") == (error.kind, error.error_type)
    assert message in error.message
    assert {"sound": 1} == (await snapshot_of(bench, work_id)).data


async def test_one_byte_over_the_cap():
    """The largest snapshot is stored; one byte more is a recorded attempt."""
    for extra, expected in ((0, State.DONE), (1, State.RETRY_WAIT)):

        async def step(snapshot):
            bare = encode_snapshot(snapshot.finish(data={"x": ""}, version=2))
            text = "y" * (MAX_SNAPSHOT_BYTES - len(bare) + extra)  # noqa: B023 - runs at once
            return snapshot.finish(data={"x": text})

        bench = Bench(engine(step))
        work_id = await bench.enqueue()
        await bench.once()
        assert expected is await bench.state(work_id)


async def test_attempts_backoff_and_dead_letter():
    """Each failure waits longer; the last makes a dead letter with item, snapshot and error."""
    letters = []
    waits = []

    async def step(snapshot, context):
        raise ValueError(f"attempt {context.attempt}")

    bench = Bench(engine(step), observer(on_dead_letter=lambda letter: letters.append(letter)))
    retry = RetryPolicy(max_attempts=4, base_seconds=10, factor=3, jitter=0)
    work_id = await bench.enqueue({"p": 1}, retry=retry)
    while (work := await bench.ledger.read(work_id)).state is not State.FAILED:
        if work.state is State.RETRY_WAIT:
            waits.append(work.due_ms - work.updated_ms)
            bench.ledger.age_due(work_id)
        await bench.once()
    assert ([10_000, 30_000, 90_000], 4) == (waits, work.attempts)
    error = await error_of(bench, work_id)
    assert ("exception", "attempt 4", "ValueError", "worker-1") == (
        error.kind,
        error.message,
        error.error_type,
        error.worker_id,
    )
    assert "raise ValueError" in error.traceback


async def test_an_accepted_step_starts_the_count_anew():
    """Attempts are counted per step."""
    runs = []

    async def step(snapshot, context):
        runs.append((context.version, context.attempt))
        if context.attempt == 1:
            raise ValueError("first")
        return await counting(2)(snapshot)

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.through()
    assert [(1, 1), (1, 2), (2, 1), (2, 2)] == runs
    assert 0 == (await bench.ledger.read(work_id)).attempts


async def test_permanent_error():
    """PermanentError ends the work at once."""

    async def step(snapshot):
        raise PermanentError("the site is gone")

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.once()
    error = await error_of(bench, work_id)
    assert State.FAILED is await bench.state(work_id)
    assert ("permanent", "the site is gone") == (error.kind, error.message)


@pytest.mark.parametrize(
    ("error", "delay_ms"),
    [
        (RetryLater(60, "busy \ud800"), 60_000),
        # For lack of room, which is nobody's failure.
        (ArtifactDiskFull("cannot store artifact x: No space left on device"), 30_000),
    ],
    ids=["asked", "full"],
)
async def test_retry_later(error, delay_ms):
    """RetryLater brings the work back then, and does not count; so does a full artifact store."""

    async def step(snapshot, context):
        if len(tries) < 7:
            tries.append(context.attempt)
            raise error
        return snapshot.finish()

    tries = []
    bench = Bench(engine(step))
    work_id = await bench.enqueue(retry=RetryPolicy(max_attempts=1))
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.SLEEPING, delay_ms, 0) == (
        work.state,
        work.due_ms - work.updated_ms,
        work.attempts,
    )
    await bench.through()
    assert [1] * 7 == tries
    assert State.DONE is await bench.state(work_id)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "5", None, True, 10**400])
async def test_retry_later_with_bad_seconds(seconds):
    """An invalid wait is a recorded attempt."""

    async def step(snapshot):
        raise RetryLater(seconds)

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.once()
    assert State.RETRY_WAIT is await bench.state(work_id)
    assert "RetryLater(seconds) must be" in (await error_of(bench, work_id)).message
