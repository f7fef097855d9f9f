"""Steps do not see what others have left behind, nor what others change in place."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from contextlib import asynccontextmanager

import pytest

from roost_core.errors import PermanentError
from roost_core.models import Snapshot, State
from roost_core.stepping import hanging
from tests.event_loops import real_time
from tests.unit.stepping.stepper_bench import Bench, engine, leaping, observer

pytestmark = leaping


VARIABLE = contextvars.ContextVar("variable", default="unset")


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
    # The lists are checked only now, so each holds what its own reader has added, and no more.
    assert [(who, ["stored", who], {}, {}) for who, *_ in seen] == seen


@real_time
async def test_an_item_that_is_changed_behind_the_steps_end():
    """A thread that continues after its step has ended holds that step's own item."""
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
    """Not what the last step did to its item and snapshot; each observer has its own."""
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
