"""Steps do not see what others have left behind, nor reach the lane that runs them."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from contextlib import asynccontextmanager, suppress

import pytest

from roost_core.errors import PermanentError, RetryLater
from roost_core.models import RetryPolicy, Snapshot, State
from roost_core.stepping import hanging
from roost_core.testing import MemoryBackend
from tests.event_loops import real_time
from tests.unit.stepper_bench import Bench, LoopClock, engine, error_of, leaping, observer

VARIABLE = contextvars.ContextVar("variable", default="unset")


pytestmark = leaping


def next_of(snapshot, total):
    """Count to ``total``."""
    n = snapshot.data.get("n", 0) + 1
    return snapshot.evolve(data={"n": n}, is_finished=n >= total)


# -- context variables -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async", "def"])
@real_time
async def test_each_step_has_a_fresh_context(kind):
    """What one sets, no other step, item, engine, observer or lane sees."""
    seen = []

    def note(name):
        seen.append((name, VARIABLE.get()))
        VARIABLE.set(name)

    def init_snapshot(item):
        note("init")
        return Snapshot.start(item)

    def step(snapshot):
        note("step")
        return next_of(snapshot, 2)

    async def ainit_snapshot(item):
        return init_snapshot(item)

    async def astep(snapshot):
        await asyncio.sleep(0)
        return step(snapshot)

    hooks = (step, init_snapshot) if kind == "def" else (astep, ainit_snapshot)
    bench = Bench(
        engine(*hooks),
        engine(*hooks, engine_id="other"),
        observer(on_step_committed=lambda: note("observer")),
    )
    await bench.enqueue()
    await bench.enqueue(engine="other")
    VARIABLE.set("lane")
    for _ in range(2):
        await bench.once()
    assert "lane" == VARIABLE.get()
    one = [
        ("init", "unset"),
        *[("observer", "unset"), ("step", "unset")] * 2,
        ("observer", "unset"),
    ]
    assert one * 2 == seen


@real_time
async def test_what_the_worker_was_started_with_is_seen():
    """A fresh context is the one that the worker began in, not an empty one."""
    seen = []

    async def step(snapshot):
        seen.append(VARIABLE.get())
        return snapshot.finish()

    VARIABLE.set("the program")
    bench = Bench(engine(step))
    VARIABLE.set("later")
    await bench.enqueue()
    await bench.once()
    assert ["the program"] == seen


@pytest.mark.parametrize("kind", ["async", "def"])
@real_time
async def test_managers_share_the_context_of_their_step(kind):
    """A manager sets, the step and the tasks that it starts see; the next step does not."""
    seen = []

    @asynccontextmanager
    async def manager(context):
        before = VARIABLE.get()
        token = VARIABLE.set(f"manager {context.version}")
        yield
        seen.append((before, VARIABLE.get()))
        VARIABLE.reset(token)
        VARIABLE.set("left behind")

    async def child():
        return VARIABLE.get()

    async def astep(snapshot):
        async with asyncio.timeout(100), asyncio.TaskGroup() as group:
            task = group.create_task(child())
        seen.append(task.result())
        VARIABLE.set("step")
        return next_of(snapshot, 2)

    def step(snapshot):
        seen.append(VARIABLE.get())
        VARIABLE.set("step")
        return next_of(snapshot, 2)

    bench = Bench(
        observer(around_step=lambda context: manager(context)),
        engine(astep if kind == "async" else step),
    )
    await bench.enqueue()
    await bench.once()
    # What a plain def sets stays in its thread.
    at_end = ["step", "step"] if kind == "async" else ["manager 1", "manager 2"]
    expected = [("unset", "manager 0")]
    for version, end in enumerate(at_end, 1):
        expected += [f"manager {version}", ("unset", end)]
    assert expected == seen


@real_time
async def test_what_a_library_keeps_by_task():
    """No two steps run in the same task, which is what some libraries keep a session by."""
    tasks = []

    async def step(snapshot):
        tasks.append(asyncio.current_task())
        return next_of(snapshot, 3)

    bench = Bench(engine(step))
    await bench.enqueue()
    await bench.once()
    assert 4 == len({*tasks, asyncio.current_task()})


# -- the step's own task ---------------------------------------------------------------------


async def cancel_and_wait(snapshot):
    """Cancel the task that it runs in."""
    asyncio.current_task().cancel()
    await asyncio.sleep(1)


async def cancel_and_return(snapshot):
    """Cancel the task that it runs in, and end before that is noticed."""
    asyncio.current_task().cancel()
    raise ValueError("and more")


async def cancelled_by_a_child(snapshot):
    """Have a library cancel the task that it runs in, from elsewhere."""
    host = asyncio.current_task()
    asyncio.get_running_loop().call_later(1, host.cancel)
    await asyncio.sleep(5)


async def cancelled_many_times(snapshot):
    """Cancel again and again, and take no notice."""
    for _ in range(5):
        asyncio.current_task().cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
    raise ValueError("tired")


@pytest.mark.parametrize(
    "step", [cancel_and_wait, cancel_and_return, cancelled_by_a_child, cancelled_many_times]
)
async def test_a_step_that_cancels_its_own_task(step):
    """It is the engine's attempt: counted, paced, at last a dead letter; the lane goes on."""
    bench = Bench(engine(step))
    work_id = await bench.enqueue(retry=RetryPolicy(max_attempts=3))
    assert 3 == await bench.through()
    work = await bench.backend.read(work_id)
    assert (State.FAILED, 3) == (work.state, work.attempts)
    assert 0 == asyncio.current_task().cancelling()
    assert "interrupted" not in await bench.kinds()


async def test_its_own_cancellation_is_told():
    """The error on record says what has happened, not just how it is called."""
    bench = Bench(engine(cancel_and_wait))
    work_id = await bench.enqueue()
    await bench.once()
    error = await error_of(bench, work_id)
    assert ("exception", "EngineError") == (error.kind, error.error_type)
    assert "the step's own task was cancelled" in error.message


async def test_a_cancellation_that_comes_too_late():
    """What is left of a step cannot cancel the one after it, nor the lane."""

    async def step(snapshot):
        host = asyncio.current_task()
        for delay in (0, 0.1, 0.5):
            asyncio.get_running_loop().call_later(delay, host.cancel)
        asyncio.get_running_loop().call_soon(host.cancel)
        if snapshot.version > 1:
            await asyncio.sleep(0)
        return next_of(snapshot, 1)

    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    await bench.once()
    assert State.DONE is await bench.state(work_id)
    await asyncio.sleep(1)


class RemoteBackend(MemoryBackend):
    """Answers a little later, as a server does."""

    async def fail(self, *args):
        """Wait before the answer."""
        await asyncio.sleep(0.01)
        return await super().fail(*args)

    async def commit(self, *args):
        """Wait before the answer."""
        await asyncio.sleep(0.01)
        return await super().commit(*args)

    async def interrupt(self, *args):
        """Wait before the answer."""
        await asyncio.sleep(0.01)
        return await super().interrupt(*args)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("end", ["raise", "return nothing", "return"])
async def test_a_step_that_cancels_its_lane(waits, end):
    """Whether it waits or not, and whatever it comes to: the lane leaves nothing undone."""

    async def step(snapshot):
        if waits:
            await asyncio.sleep(0)
        lane.cancel()
        if end == "raise":
            raise ValueError("and more")
        return None if end == "return nothing" else snapshot.finish()

    lane = None
    bench = Bench(engine(step), backend=RemoteBackend(LoopClock()))
    work_id = await bench.enqueue()
    lane = asyncio.create_task(bench.once())
    await asyncio.wait([lane])
    work = await bench.backend.read(work_id)
    assert work.state is not State.RUNNING
    assert 0 == work.attempts


async def test_a_lane_that_is_cancelled_again_and_again():
    """Given back without blame by a worker that does not stop: with longer and longer pauses."""

    async def step(snapshot):
        begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.01)
        lane.cancel()
        await asyncio.sleep(100)

    begun = []
    lane = None
    bench = Bench(engine(step))
    work_id = await bench.enqueue()
    while asyncio.get_running_loop().time() < 60 and len(begun) < 1000:
        claim = await bench.claim()
        if claim is None:
            await asyncio.sleep(0.05)
            continue
        lane = asyncio.create_task(bench.stepper.run(claim))
        await asyncio.wait([lane])
        assert lane.cancelled()
    assert 0 == (await bench.backend.read(work_id)).attempts
    assert begun[1] - begun[0] < 0.1
    assert 5 < len(begun) < 20


# -- what is raised --------------------------------------------------------------------------


class Unspeakable(BaseException):
    """An error whose text cannot be had, in the worst way."""

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
    work = await bench.backend.read(work_id)
    assert (State.RETRY_WAIT, 1) == (work.state, work.attempts)
    assert type(error).__name__ in (await error_of(bench, work_id)).message


@BY_TYPE
@pytest.mark.parametrize("where", ["call", "enter", "leave"])
async def test_managers_cannot_end_the_worker(error, where):
    """What a manager around a step raises is the attempt's."""

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
    work = await bench.backend.read(work_id)
    assert (State.RETRY_WAIT, 1) == (work.state, work.attempts)


async def _start(item):
    return Snapshot.start(item)


@BY_TYPE
async def test_a_result_cannot_end_the_worker(error):
    """What comes back is the engine's, and so is its code: it runs when it is judged and stored."""

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
        work = await bench.backend.read(work_id)
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
    work = await bench.backend.read(work_id)
    assert state is work.state
    if kind is None:
        assert (0, 9_000) == (work.attempts, work.due_ms - work.updated_ms)
    else:
        assert kind == (await error_of(bench, work_id)).kind


async def test_a_task_group_of_a_step():
    """The usual way to a group: one of several calls finds that there is no point."""

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


# -- what is changed in place ----------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 50_000])
async def test_a_payload_that_a_step_changes(size):
    """No later step, observer or claim sees it: in the slice, after a failure, small and large."""
    seen = []

    def change(who, item):
        seen.append((who, item.payload["list"], dict(item.extra), dict(item.retry.extra)))
        item.payload["list"].append(who)
        item.payload["size"] = ""
        item.extra["x"] = item.retry.extra["x"] = who

    async def init_snapshot(item):
        change("init", item)
        return Snapshot.start(item)

    async def step(snapshot, item, context):
        assert item is context.item
        change("step", item)
        if len(seen) == 5:
            raise ValueError("again")
        return next_of(snapshot, 3)

    async def on_step_committed(item):
        change("observer", item)

    bench = Bench(
        engine(step, init_snapshot),
        observer(on_step_committed=on_step_committed),
        observer(on_step_committed=on_step_committed),
    )
    work_id = await bench.enqueue({"list": ["stored"], "size": "x" * size})
    await bench.through()
    await bench.enqueue({"list": ["stored"], "size": "x" * size})
    await bench.through()
    assert State.DONE is await bench.state(work_id)
    assert {"init", "step", "observer"} == {who for who, *_ in seen}
    # What was seen is looked at now, so each list holds what its own reader has added, and no more.
    assert [(who, ["stored", who], {}, {}) for who, *_ in seen] == seen


@real_time
async def test_an_item_that_is_changed_behind_the_steps_end():
    """A thread that goes on after its step has ended holds that step's own item."""
    release, changed = threading.Event(), threading.Event()
    threads, seen = [], []

    def step(snapshot, context):
        item = context.item
        seen.append(item.payload)

        def late():
            release.wait(30)
            item.payload["n"] = 100
            changed.set()

        if snapshot.version == 1:
            threads.append(threading.Thread(target=late))
            threads[0].start()
        else:
            release.set()
            assert changed.wait(30)
        return next_of(snapshot, 2)

    bench = Bench(engine(step))
    await bench.enqueue({"n": 0})
    await bench.once()
    threads[0].join()
    assert [{"n": 100}, {"n": 0}] == seen


@pytest.mark.parametrize("ends", ["dead letter", "lease lost"])
async def test_observers_see_what_is_stored(ends):
    """Not what the last step has made of its item and snapshot; each observer has its own."""
    seen = []

    async def step(snapshot, item, context):
        snapshot.data["n"] = item.payload["n"] = -1
        if ends == "lease lost":
            bench.keeper.holds[0].mark_lost("somebody else owns the work now")
            await asyncio.sleep(100)
        raise PermanentError("no")

    def note(item, snapshot):
        seen.append((dict(item.payload), dict(snapshot.data)))
        item.payload["n"] = snapshot.data["n"] = -2

    async def on_dead_letter(letter):
        note(letter.item, letter.snapshot)

    async def on_lease_lost(item, snapshot):
        note(item, snapshot)

    hooks = {"on_dead_letter": on_dead_letter, "on_lease_lost": on_lease_lost}
    bench = Bench(engine(step), observer(**hooks), observer(**hooks))
    await bench.enqueue({"n": 0})
    await bench.once()
    assert [({"n": 0}, {"n": 0})] * 2 == seen


async def test_whose_step_runs_is_known():
    """By its frame, as the thread that looks for hanging steps sees it, from first to last."""
    found = []

    async def step(snapshot, item):
        for _ in range(3):
            hold = hanging._hold_of(sys._getframe(), asyncio.get_running_loop())
            found.append((item.work_id, hold.lease.work_id))
            await asyncio.sleep(0.01)
        return snapshot.finish()

    async def at_once(snapshot, item):
        hold = hanging._hold_of(sys._getframe(), asyncio.get_running_loop())
        found.append((item.work_id, hold.lease.work_id))
        return snapshot.finish()

    bench = Bench(engine(step), engine(at_once, engine_id="other"))
    for number in range(6):
        await bench.enqueue({}, engine="other" if number % 3 else "demo")
    claims = [await bench.claim() for _ in range(6)]
    await asyncio.gather(*(bench.stepper.run(claim) for claim in claims))
    assert 10 == len(found)
    assert [] == [one for one in found if one[0] != one[1]]
