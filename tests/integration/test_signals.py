"""Signals to real worker processes: which stop, which do not, and what must not interfere."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli_bench import LIMIT, Shell, ending, until
from tests.servers import need, redis_binary, server_in

#: One engine for each way to be awkward; the payload is the path of the marker that it leaves.
ENGINES = """
import asyncio, multiprocessing, os, signal, sys, time, warnings
from pathlib import Path
from roost_core import hookimpl
from roost_core.threads import run_in_thread

class Engine:
    def __init__(self, engine_id, act):
        self.engine_id = engine_id
        self.act = act

    @hookimpl
    async def step(self, snapshot, item):
        Path(item.payload).touch()
        return snapshot.finish(data={"found": await self.act()})

async def nap():
    await asyncio.sleep(0.5)

async def spin():
    while True:
        pass

async def deaf():
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass

async def thread():
    await asyncio.to_thread(time.sleep, 600)

async def terminated():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    await asyncio.sleep(0.3)
    child.terminate()
    await asyncio.to_thread(child.join, 30)
    code = child.exitcode
    child.kill()
    return code

async def forked():
    child = os.fork()
    if child == 0:
        return "the child's"
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

async def forked_exit():
    child = os.fork()
    if child == 0:
        sys.exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

async def forked_thread():
    def fork():
        child = os.fork()
        if child == 0:
            return "the child's"
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    return await run_in_thread(fork)

async def listens():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR2, print)
    await asyncio.sleep(0.5)

async def warns():
    for number in range(3000):
        warnings.warn(f"{number} " + "x" * 100)

steps = (listens, warns, nap, spin, deaf, thread, terminated, forked, forked_exit, forked_thread)
for one in steps:
    globals()[one.__name__] = Engine(one.__name__, one)
"""

NAMES = (
    *("nap", "spin", "deaf", "thread", "listens", "warns"),
    *("terminated", "forked", "forked_exit", "forked_thread"),
)


@pytest.fixture
def shell(redis_server, tmp_path):
    """Give a shell on the shared server, in a folder with the engines."""
    (tmp_path / "awkward.py").write_text(ENGINES)
    return Shell(
        tmp_path,
        {
            "ROOST_REDIS_URL": redis_server.url,
            "ROOST_NAMESPACE": f"signals-{secrets.token_hex(6)}",
            "ROOST_HOME": str(tmp_path / "home"),
            "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]),
        },
    )


@contextlib.contextmanager
def working(shell, engine, *options, **fields):
    """Start a worker; give it and the id of a work item whose step has begun."""
    mark = shell.folder / "mark"
    work_id = shell.enqueue(engine, str(mark))
    plugins = [word for name in NAMES for word in ("--plugin", f"awkward:{name}")]
    with ending(shell.start("worker", *plugins, *options, **fields)) as worker:
        until(mark.exists, "the step")
        yield worker, work_id


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM])
def test_stops(shell, number):
    """Each of them lets the step in flight end, and the process ends with 0."""
    with working(shell, "nap") as (worker, work_id):
        worker.send_signal(number)
        _, err = worker.communicate(timeout=LIMIT)

    assert 0 == worker.returncode, err
    assert f"roost: stopping; waiting up to 30 s for the steps of {work_id}." in err
    assert "done" == shell.meta(work_id)["state"]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_what_is_no_stop(shell, number):
    """The worker says that it heard it, and continues."""
    with working(shell, "nap") as (worker, work_id):
        worker.send_signal(number)
        until(lambda: "done" == shell.meta(work_id)["state"], "the end of the work")
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=LIMIT)

    assert 0 == worker.returncode, err
    assert f"roost: {signal.Signals(number).name} means nothing to a worker\n" in err


def test_nohup(shell):
    """A worker that nohup has started outlives its terminal."""

    def as_nohup():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with working(shell, "nap", preexec_fn=as_nohup) as (worker, work_id):
        worker.send_signal(signal.SIGHUP)
        until(lambda: "done" == shell.meta(work_id)["state"], "the end of the work")
        assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=LIMIT)

    assert 0 == worker.returncode, err


@pytest.mark.parametrize("engine", ["nap", "warns"])
@pytest.mark.parametrize("is_full", [False, True])
def test_a_stop_does_not_need_standard_error(shell, is_full, engine):
    """Whether its reader is gone or reads nothing: one signal drains, and the code is 0."""
    ours, theirs = os.pipe()
    try:
        if is_full:
            os.set_blocking(theirs, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(theirs, b"x" * 4096)
            os.set_blocking(theirs, True)
        with working(shell, engine, "-v", stderr=theirs, stdout=theirs) as (worker, work_id):
            os.close(theirs)
            theirs = -1
            if not is_full:
                os.close(ours)
                ours = -1
            worker.send_signal(signal.SIGINT)
            assert 0 == worker.wait(LIMIT)
    finally:
        for one in (ours, theirs):
            if one >= 0:
                os.close(one)

    assert ("done", 0) == tuple(shell.meta(work_id)[key] for key in ("state", "attempts"))


def test_a_plugin_that_listens_too(shell):
    """A step that adds a signal handler to the event loop does not disable the other handlers."""
    with working(shell, "listens") as (worker, work_id):
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=LIMIT)

    assert 0 == worker.returncode, err
    assert "stopping; waiting" in err
    assert "done" == shell.meta(work_id)["state"]


def test_a_stop_while_the_server_is_silent(shell, server_root):
    """A server that has stopped answering holds the worker no longer than the bound."""
    binary = need(redis_binary(), "redis-server")
    with server_in(binary, server_root / "silent") as server:
        shell.variables["ROOST_REDIS_URL"] = server.url
        with working(shell, "nap", "--drain-timeout", "1") as (worker, _):
            os.kill(server.process.pid, signal.SIGSTOP)
            worker.send_signal(signal.SIGTERM)
            _, err = worker.communicate(timeout=LIMIT)

    assert "Traceback" not in err
    assert 0 == worker.returncode, err


def test_the_third_signal_needs_no_event_loop(shell):
    """A step that never yields to the loop cannot hold the process."""
    with working(shell, "spin") as (worker, _):
        for word in ("stopping", "cancelling"):
            worker.send_signal(signal.SIGTERM)
            until(lambda word=word: word in worker.stderr.readline(), word)
        worker.send_signal(signal.SIGTERM)
        assert 130 == worker.wait(LIMIT)


@pytest.mark.fault(8, "a step that is deaf while its worker stops")
@pytest.mark.parametrize("engine", ["deaf", "thread", "spin"])
def test_a_step_that_does_not_let_go(shell, engine):
    """One signal is enough: drain timeout and some seconds later the process has ended.

    With 0 if the work could be given back, as that of a plain function can; else with 130, and
    with a word about what is left behind.
    """
    with working(shell, engine, "--drain-timeout", "0.2") as (worker, work_id):
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=LIMIT)

    assert (0 if engine == "thread" else 130) == worker.returncode, err
    assert (engine == "deaf") == (f"left behind: {work_id}; " in err), err
    assert (engine == "spin") == ("a step does not let go" in err), err


def test_a_child_that_is_terminated(shell):
    """What a step does to a process that it has forked happens to that, not to the worker."""
    with working(shell, "terminated") as (worker, work_id):
        until(lambda: "running" != shell.meta(work_id)["state"], "the end of the work")
        assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=LIMIT)

    assert 0 == worker.returncode, err
    assert 1 == err.count("stopping")
    assert '"found": -15' in shell.ok("status", work_id)


@pytest.mark.parametrize(
    ("engine", "code"), [("forked", 70), ("forked_thread", 70), ("forked_exit", 3)]
)
def test_a_child_that_comes_back(shell, engine, code):
    """A forked child that leaves the step ends: lease and connections are its parent's."""
    with working(shell, engine) as (worker, work_id):
        until(lambda: "running" != shell.meta(work_id)["state"], "the end of the work")
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=LIMIT)

    assert 0 == worker.returncode, err
    meta = shell.meta(work_id)
    assert ("done", 2) == (meta["state"], meta["version"])
    assert f'"found": {code}' in shell.ok("status", work_id)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_while_libraries_are_imported(shell, number):
    """A worker that is stopped before it has begun ends with 0, as soon as Python runs Roost."""
    mark = shell.folder / "mark"
    (shell.folder / "click.py").write_text(
        f"import pathlib, time\npathlib.Path({str(mark)!r}).touch()\ntime.sleep(600)\n"
    )
    with ending(shell.start("worker")) as worker:
        until(mark.exists, "the import")
        worker.send_signal(number)
        _, err = worker.communicate(timeout=LIMIT)
    assert (0, "") == (worker.returncode, err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_plugins_are_imported(shell, number):
    """A plugin option before the command's name loads that plugin; it listens by then."""
    mark = shell.folder / "mark"
    (shell.folder / "heavy.py").write_text(
        f"import pathlib, time\npathlib.Path({str(mark)!r}).touch()\ntime.sleep(600)\n"
    )
    words = ("--redis-prefix", "roost", "worker", "--plugin", "./heavy.py")
    with ending(shell.start(*words)) as worker:
        until(mark.exists, "the import")
        worker.send_signal(number)
        _, err = worker.communicate(timeout=LIMIT)
    assert (0, "") == (worker.returncode, err)


@pytest.mark.fault(13, "a plugin that hangs as it is imported, in process 1")
def test_the_first_process_of_a_container(shell):
    """As process 1, which the kernel ends for no signal by itself, it obeys while it imports."""
    words = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*words, "true"]).returncode:
        pytest.skip("this system makes no process namespaces")
    (shell.folder / "heavy.py").write_text(
        "import os, pathlib, time\n"
        "pathlib.Path('mark').write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ROOST_")}
    command = [sys.executable, "-m", "roost_core.cli", "worker", "--plugin", "./heavy.py"]
    process = subprocess.Popen(
        [*words, *command], cwd=shell.folder, env={**kept, **shell.variables}
    )
    with ending(process):
        mark = shell.folder / "mark"
        until(lambda: mark.exists() and mark.read_text(), "the import")
        assert "1" == mark.read_text()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
        assert 0 == process.wait(LIMIT)
