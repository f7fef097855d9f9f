"""The synchronous client: what it offers, and threads, interrupts, forks and ends."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import pytest

from roost_core import SyncRoost
from roost_core.client.engine import Engine
from roost_core.client.loop_thread import LoopThread
from roost_core.client.roost import Roost
from roost_core.client.select import Selection
from roost_core.client.sync import SyncEngine, SyncSelection, SyncWork
from roost_core.client.work import Work
from roost_core.errors import InvalidInput, NoWorkHere, RoostError, VerbUnfit, WorkNotFound
from roost_core.models import State
from tests.docs.pages import ROOT
from tests.unit.cli.cli_harness import Bench

TWINS = [(Roost, SyncRoost), (Work, SyncWork), (Selection, SyncSelection), (Engine, SyncEngine)]
#: A limit that only a hang reaches. Seconds.
LIMIT = 30


@pytest.fixture
def bench():
    """Give a queue in memory."""
    return Bench()


@pytest.fixture
def roost(bench):
    """Give an open connection to it."""
    with SyncRoost(bench.roost()) as roost:
        yield roost


def public(kind):
    """Return the names of what a class offers."""
    return {name for name in vars(kind) if not name.startswith("_")}


@pytest.mark.parametrize(("kind", "twin"), TWINS)
def test_nothing_is_missing(kind, twin):
    """A method that is added to the client is added to its twin."""
    missing = {name for name in public(kind) if inspect.iscoroutinefunction(getattr(kind, name))}
    missing |= {name for name in public(kind) if inspect.isasyncgenfunction(getattr(kind, name))}
    assert set() == missing - public(twin)


def test_handles_know_what_they_are_about(roost):
    """As the asynchronous ones do."""
    assert "echo" == roost.engine("echo").id
    assert roost._inner.select("state:failed").query == roost.select("state:failed").query


@pytest.mark.parametrize("name", ["cancel", "retry", "wait"])
def test_it_takes_the_same_arguments(roost, name):
    """People look them up, and editors complete them."""
    bound = getattr(roost.work("w1"), name)
    real = inspect.signature(getattr(Work, name))
    assert list(real.parameters)[1:] == list(inspect.signature(bound).parameters)
    assert getattr(Work, name).__doc__ == bound.__doc__


def test_work_from_end_to_end(roost):
    """Enqueue, read, find, count and use verbs, without a word of asyncio."""
    item = roost.enqueue("echo", {"a": 1}, work_id="w1", title="One")
    work = roost.work(item)
    assert ("w1", "queued") == (work.id, work.status().meta.state)
    assert ["w1"] == [row.meta.work_id for row in roost.find("title:One")]
    assert ["w1"] == [row.meta.work_id for row in roost.list("queued")]
    assert "paused" == work.pause(reason="later").state
    assert 1 == roost.counts()["paused"]
    assert ["w1"] == [row.meta.work_id for row in roost.select("state:paused").rows()]
    assert 1 == roost.select("state:paused").preview("cancel").total
    assert {"w1"} == set(roost.select("state:paused").cancel())
    assert "cancelled" == work.wait().meta.state
    assert "cancelled" in [event.kind for event in work.events()]
    assert roost.engine("echo").hold(reason="maintenance")
    assert ["echo"] == [one.engine for one in roost.held_engines()]


def test_errors_are_the_same(roost, bench):
    """They come out where they are expected, and the connection still works."""
    with pytest.raises(WorkNotFound):
        roost.work("nope").status()
    with pytest.raises(InvalidInput):
        roost.work("no such id")
    roost.enqueue("echo", work_id="w1")
    with pytest.raises(VerbUnfit):
        roost.work("w1").drop()
    with pytest.raises(NoWorkHere), SyncRoost.connect(home=str(ROOT / "nowhere"), create=False):
        pass


def test_any_coroutine_function_can_be_run(roost):
    """Several reads at once, and what has no twin; what it raises comes out."""
    roost.enqueue("echo", work_id="w1")

    async def both(inner):
        return await asyncio.gather(inner.counts(), inner.work("w1").row())

    counts, row = roost.run(both)
    assert (1, "w1") == (counts["queued"], row.meta.work_id)
    with pytest.raises(WorkNotFound):
        roost.run(lambda inner: inner.work("nope").status())
    with pytest.raises(RoostError, match="not connected"):
        SyncRoost(Bench().roost()).run(both)


def test_following_ends_with_the_loop(roost):
    """What has happened since is yielded; whoever has seen enough leaves."""
    roost.enqueue("echo", work_id="w1")
    (first,) = roost.events()
    roost.enqueue("echo", work_id="w2")
    for event in roost.follow(after=first.event_id):
        assert "w2" == event.work_id
        break
    events = roost.work("w1").follow(after="0-0")
    assert "w1" == next(events).work_id
    events.close()
    with pytest.raises(StopIteration):
        next(events)


def test_threads_share_it(roost):
    """Eight at once, each its own work."""
    failed = []

    def use(number):
        try:
            for part in range(20):
                work = roost.work(roost.enqueue("echo", work_id=f"w{number}-{part}"))
                work.cancel()
                assert "cancelled" == work.status().meta.state
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert ([], 160) == (failed, roost.counts()["cancelled"])


async def test_beside_a_running_loop(bench):
    """A notebook has a loop of its own: ours is another thread's."""
    with SyncRoost(bench.roost()) as roost:
        assert "w1" == roost.enqueue("echo", work_id="w1").work_id
    assert asyncio.get_running_loop().is_running()


def test_closed_and_unopened(bench):
    """One line says what to do."""
    roost = SyncRoost(bench.roost())
    with pytest.raises(RoostError, match=r"use `with SyncRoost\.connect"):
        roost.counts()
    with roost:
        work = roost.work("w1")
        with pytest.raises(RoostError, match="already connected"), roost:
            pass
    with pytest.raises(RoostError, match="not connected"):
        work.status()
    with roost:
        assert roost.counts()["queued"] == 0


def test_closing_ends_what_waits(bench):
    """A call in another thread is told, and no thread stays behind."""
    said = []
    with SyncRoost(bench.roost()) as roost:
        roost.enqueue("echo", work_id="w1")

        def wait():
            with pytest.raises(RoostError, match="the connection was closed") as raised:
                roost.work("w1").wait()
            said.append(raised.value)

        thread = threading.Thread(target=wait)
        thread.start()
        while not roost._thread()._loop or len(asyncio.all_tasks(roost._thread()._loop)) < 1:
            time.sleep(0.01)
    thread.join(LIMIT)
    assert 1 == len(said)
    assert "roost-client" not in [one.name for one in threading.enumerate()]


def test_a_call_that_begins_while_another_thread_closes(monkeypatch):
    """It does not wait for ever for a loop that has done its last."""
    thread = LoopThread()
    ends, begun = threading.Event(), threading.Event()
    real_close, real_run = thread._loop.close, asyncio.run_coroutine_threadsafe

    def close():
        ends.set()
        begun.wait(1)
        real_close()

    def run(work, loop):
        monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", real_run)
        closing.start()
        ends.wait(1)
        future = real_run(work, loop)
        begun.set()
        return future

    monkeypatch.setattr(thread._loop, "close", close)
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", run)
    closing = threading.Thread(target=thread.close)
    outcome = []

    def call():
        with pytest.raises(RoostError, match="closed") as told:
            thread.call(asyncio.Event().wait())
        outcome.append(told.value)

    calling = threading.Thread(target=call, daemon=True)
    calling.start()
    calling.join(5)
    closing.join(LIMIT)
    assert 1 == len(outcome)


def test_an_interrupt_cancels_the_call(roost):
    """Ctrl-C ends the waiting, and nothing else."""
    roost.enqueue("echo", work_id="w1")
    timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        roost.work("w1").wait()
    timer.join()
    assert 1 == roost.counts()["queued"]


def test_an_interrupt_that_another_thread_receives_ends_a_call(roost):
    """The system chooses the thread, and does not wake the one that waits."""
    began = threading.Event()

    async def long():
        began.set()
        await asyncio.Event().wait()

    def interrupt():
        began.wait(LIMIT)
        time.sleep(0.05)  # the other thread waits by then
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        roost._thread().call(long())
    thread.join(LIMIT)


def test_an_interrupt_waits_until_an_iterator_lets_go(roost):
    """So that Ctrl-C is what the caller sees, and no complaint that the iterator still runs."""
    began = threading.Event()

    async def slow():
        try:
            began.set()
            await asyncio.Event().wait()
            yield
        finally:
            for _ in range(100):
                await asyncio.sleep(0)

    def interrupt():
        began.wait(LIMIT)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        next(roost._thread().each(slow()))
    thread.join(LIMIT)


def test_calls_end_before_the_connection_does():
    """What is under way is told that it was closed, not that a server does not answer."""
    own, order, began, said = LoopThread(), [], threading.Event(), []

    async def call():
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            order.append("call")

    async def last():
        order.append("last")

    def use():
        with pytest.raises(RoostError, match="the connection was closed") as raised:
            own.call(call())
        said.append(raised.value)

    thread = threading.Thread(target=use)
    thread.start()
    assert began.wait(LIMIT)
    own.close(last())
    thread.join(LIMIT)
    assert (["call", "last"], 1) == (order, len(said))


def test_a_call_in_its_own_thread_is_refused(roost):
    """It would wait for itself."""

    async def inside():
        return roost.counts()

    with pytest.raises(RoostError, match="would wait for itself"):
        roost._thread().call(inside())


SCRIPT = """
    import os, sys, warnings
    warnings.simplefilter("ignore")
    from roost_core import SyncRoost
    from roost_core.errors import RoostError
    from tests.unit.cli.cli_harness import Bench

    roost = SyncRoost(Bench().roost())
    roost.__enter__()
    roost.enqueue("echo", work_id="w1")
"""


def run_script(script):
    """Run Python in a process of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT) + textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_a_fork_is_refused():
    """The child has no loop and shares a socket with its parent; the parent continues."""
    said = run_script("""
        pid = os.fork()
        if pid == 0:
            try:
                roost.counts()
            except RoostError as error:
                print(error, flush=True)
            roost.__exit__(None, None, None)
            os._exit(0)
        os.waitpid(pid, 0)
        print(roost.counts()["queued"])
    """)
    assert "this connection was made before a fork: connect in each process, after it\n1\n" == said


def test_a_program_may_end_with_it_open():
    """Nothing hangs, and nothing is printed."""
    assert "" == run_script("events = roost.follow(after='0-0'); next(events)")


def client_threads():
    """Return the threads of connections."""
    return [one for one in threading.enumerate() if one.name == "roost-client"]


def has_ended(before):
    """Wait until no other threads of connections are there than before."""
    until = time.monotonic() + LIMIT
    while set(client_threads()) - set(before) and time.monotonic() < until:
        time.sleep(0.01)
    return set(client_threads()) <= set(before)


@pytest.mark.parametrize("last", ["connection", "handle", "events"])
def test_one_that_is_never_closed(bench, last):
    """Its thread ends once nothing refers to it, and whoever looks at warnings is told."""
    bench.enqueue(work_id="w1")
    before = client_threads()
    inner = bench.roost()
    kept = SyncRoost(inner).__enter__()
    if last == "handle":
        kept = kept.work("w1")
        gc.collect()
        assert State.QUEUED is kept.row().meta.state
    if last == "events":
        kept = kept.follow(after="0-0")
        gc.collect()
        assert "enqueued" == next(kept).kind
    assert 1 == len(set(client_threads()) - set(before))
    with pytest.warns(ResourceWarning, match="was not closed: use `with"):  # noqa: PT031  # both may
        del kept
        gc.collect()
    assert has_ended(before)
    with pytest.raises(RoostError, match="not connected"):
        inner.server  # noqa: B018  # it raises


def test_one_that_is_closed_says_nothing(bench):
    """Neither then nor when it is collected."""
    before = client_threads()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with SyncRoost(bench.roost()) as roost:
            roost.counts()
        del roost
        gc.collect()
    assert has_ended(before)


def test_a_connection_is_left_in_any_state(bench):
    """Twice, after its end, or while a call waits: nothing is waited for, and nothing raised."""
    before = client_threads()
    loop = LoopThread()
    refused = []

    def wait():
        with pytest.raises(RoostError) as error:
            loop.call(asyncio.sleep(99))
        refused.append(error.value)

    waiting = threading.Thread(target=wait)
    waiting.start()

    async def fails():
        raise OSError("gone")

    loop.abandon(fails())
    loop.abandon(fails())
    waiting.join(LIMIT)
    assert 1 == len(refused)
    assert has_ended(before)
    loop.abandon(fails())
