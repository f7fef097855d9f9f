"""Steps that raise what would end a process, or a group of errors, only end their attempt."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from roost_core.errors import PermanentError, RetryLater
from roost_core.models import Snapshot, State
from tests.event_loops import real_time
from tests.unit.stepping.stepper_bench import Bench, engine, error_of, leaping, observer

pytestmark = leaping


class Unspeakable(BaseException):
    """An error that raises SystemExit when its text is asked for."""

    def __str__(self):
        raise SystemExit(9)

    __repr__ = __str__


FATAL = [KeyboardInterrupt(), GeneratorExit(), SystemExit(3), Unspeakable()]

BY_TYPE = pytest.mark.parametrize("error", FATAL, ids=lambda error: type(error).__name__)


def raising(error, kind):
    """Make a hook that raises."""

    def plain(context):
        raise error

    async def coroutine(context):
        raise error

    return plain if kind == "def" else coroutine


@BY_TYPE
@pytest.mark.parametrize("kind", ["async", "def"])
@pytest.mark.parametrize("where", ["step", "init_snapshot"])
@real_time
async def test_what_would_end_a_process_is_an_attempt(error, kind, where):
    """In a step and in init_snapshot, on the loop and in a thread."""
    wrong = raising(error, kind)
    hooks = (wrong, None) if where == "step" else (lambda snapshot: None, wrong)
    bench = Bench(engine(*hooks))
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.RETRY_WAIT, 1) == (work.state, work.attempts)
    assert type(error).__name__ in (await error_of(bench, work_id)).message


@BY_TYPE
@pytest.mark.parametrize("where", ["call", "enter", "leave"])
async def test_managers_cannot_end_the_worker(error, where):
    """What a manager around a step raises counts as the attempt's error."""

    def around_step(context):
        @asynccontextmanager
        async def manager():
            if where == "enter":
                raise error
            yield
            raise error

        if where == "call":
            raise error
        return manager()

    bench = Bench(observer(around_step=around_step), engine(lambda snapshot: None, _start))
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert (State.RETRY_WAIT, 1) == (work.state, work.attempts)


async def _start(item):
    return Snapshot.start(item)


@BY_TYPE
async def test_a_result_cannot_end_the_worker(error):
    """A result may have code of the engine's, which runs when the result is judged and stored."""

    class Evil(dict):
        def items(self):
            raise error

    class EvilSnapshot(Snapshot):
        @property
        def data(self):
            raise error

    results = [lambda s: s.evolve(data=Evil(a=1)), lambda s: EvilSnapshot(s.work_id, s.engine)]
    for result in results:

        async def step(snapshot):
            return result(snapshot)  # noqa: B023 - runs at once

        bench = Bench(engine(step))
        work_id = await bench.enqueue()
        await bench.once()
        work = await bench.ledger.read(work_id)
        assert (State.RETRY_WAIT, 1) == (work.state, work.attempts)


@pytest.mark.parametrize(
    ("group", "state", "kind"),
    [
        (ExceptionGroup("g", [ValueError(), PermanentError("gone")]), State.FAILED, "permanent"),
        (
            BaseExceptionGroup("g", [SystemExit(1), ExceptionGroup("h", [PermanentError("gone")])]),
            State.FAILED,
            "permanent",
        ),
        (ExceptionGroup("g", [RetryLater(9), ValueError()]), State.SLEEPING, None),
        (ExceptionGroup("g", [RetryLater(9), PermanentError("gone")]), State.FAILED, "permanent"),
        (BaseExceptionGroup("g", [KeyboardInterrupt(), RetryLater(9)]), State.SLEEPING, None),
        (ExceptionGroup("g", [RetryLater(-1), RetryLater(9)]), State.RETRY_WAIT, "exception"),
    ],
)
async def test_groups(group, state, kind):
    """What a group holds decides, as if it had been raised by itself."""

    async def step(snapshot):
        raise group

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.once()
    work = await bench.ledger.read(work_id)
    assert state is work.state
    if kind is None:
        assert (0, 9_000) == (work.attempts, work.due_ms - work.updated_ms)
    else:
        assert kind == (await error_of(bench, work_id)).kind


async def test_a_task_group_of_a_step():
    """The usual source of a group: one of several calls finds that there is no point."""

    async def hopeless():
        raise PermanentError("gone")

    async def step(snapshot):
        async with asyncio.TaskGroup() as group:
            group.create_task(hopeless())
            group.create_task(asyncio.sleep(100))

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.once()
    assert State.FAILED is await bench.state(work_id)
    assert "gone" == (await error_of(bench, work_id)).message


async def test_retry_later_at_once_is_paced():
    """A step that is never ready does not come back without a pause."""

    async def step(snapshot):
        begun.append(1)
        raise RetryLater(0)

    begun = []
    bench = Bench(engine(step))
    await bench.enqueue()
    while asyncio.get_running_loop().time() < 10 and len(begun) < 1000:
        claim = await bench.claim()
        if claim is None:
            await asyncio.sleep(0.01)
        else:
            await bench.stepper.run(claim)
    assert 10 < len(begun) <= 110
