"""``roost dev`` ends with all it has started; what dies meanwhile comes back."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.integration.cli_bench import LIMIT, Shell, until
from tests.integration.dev_bench import ENGINE, developing, left

WORDS = ("agent.py", "--remote", "--no-console")

#: Its steps start a process of their own, and never let go.
STUBBORN = """
import subprocess, time
from pathlib import Path
from roost_core import hookimpl

engine_id = "agent"

@hookimpl
def step(snapshot, item):
    folder = Path(item.payload["folder"])
    subprocess.Popen(["sleep", f"600.{folder.name[-6:].encode().hex()[:4]}"], cwd=folder)
    (folder / "began").touch()
    time.sleep(600)
"""

#: Holds the interpreter: no Python runs in the whole process.
HELD = """
import ctypes
from pathlib import Path
from roost_core import hookimpl

engine_id = "agent"

@hookimpl
def step(snapshot, item):
    mark = Path(item.payload["folder"]) / "held"
    if not mark.exists():
        mark.touch()
        ctypes.PyDLL(None).sleep(600)
    return snapshot.finish()
"""


@pytest.fixture
def agent(shell: Shell):
    """Write the engine; return its file."""
    path = shell.folder / "agent.py"
    path.write_text(ENGINE)
    return path


def enqueue(shell: Shell, **more) -> str:
    """Give it work."""
    return shell.enqueue("agent", {"folder": str(shell.folder), **more})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_ends_all(shell, agent, number):
    """Ctrl-C, a polite kill, a closed terminal: no error, no process, no attempt."""
    with developing(shell, *WORDS) as dev:
        dev.wait_for("running")
        work_id = enqueue(shell, waits=True)
        until((shell.folder / "began-one").exists, "the step")
        assert 0 == dev.end(number)
        assert [] == [line for line in dev.raw if "Traceback" in line]
    meta = shell.meta(work_id)
    assert ("queued", 0, 0) == (meta["state"], meta["attempts"], meta["recoveries"])
    until(lambda: not left(shell.folder), "the end of its processes")


def test_a_second_signal_ends_it_at_once(shell, agent):
    """What a step that does not let go has started goes, too."""
    agent.write_text(STUBBORN)
    with developing(shell, *WORDS) as dev:
        dev.wait_for("running")
        enqueue(shell)
        until((shell.folder / "began").exists, "the step")
        dev.process.send_signal(signal.SIGINT)
        dev.wait_for("stopping")
        assert dev.end(signal.SIGINT) in (0, 130)
    until(lambda: not _in(shell.folder), "the end of what the step has started")


def _in(folder) -> list[int]:
    """Return the processes that work in a folder."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.readlink(f"/proc/{name}/cwd") == str(folder):
                found.append(int(name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc here")
@pytest.mark.parametrize("engine", [ENGINE, STUBBORN], ids=["willing", "stubborn"])
def test_nothing_outlives_kill_9(shell, agent, engine):
    """The worker notices that nobody is there, gives its work back and ends."""
    agent.write_text(engine)
    with developing(shell, *WORDS) as dev:
        dev.wait_for("running")
        work_id = enqueue(shell, waits=True)
        began = "began-one" if engine is ENGINE else "began"
        until((shell.folder / began).exists, "the step")
        dev.process.kill()
        dev.process.wait(LIMIT)
        until(lambda: not _in(shell.folder), "the end of all processes in the folder")
    if engine is ENGINE:
        meta = shell.meta(work_id)
        assert ("queued", 0, 0) == (meta["state"], meta["attempts"], meta["recoveries"])


def test_kill_9_while_it_loads(shell, agent):
    """Nor does a process that has not begun to work."""
    agent.write_text("import time\ntime.sleep(600)\n")
    with developing(shell, *WORDS) as dev:
        dev.worker()
        dev.wait_for("loading")
        dev.process.kill()
        dev.process.wait(LIMIT)
        until(lambda: not _in(shell.folder), "the end of all processes in the folder")


def test_a_killed_worker_comes_back(shell, agent):
    """And continues the work."""
    with developing(shell, *WORDS, "--lease-ttl", "1") as dev:
        dev.wait_for("running")
        os.kill(dev.worker(), signal.SIGKILL)
        assert "killed by SIGKILL" in dev.wait_for("died")["message"]
        dev.wait_for("restarting")
        work_id = enqueue(shell)
        until(lambda: shell.meta(work_id)["state"] == "done", "the work")
        assert 0 == dev.end()


def test_a_stuck_worker_comes_back(shell, agent):
    """One that holds the interpreter cannot end itself: it is killed from outside."""
    agent.write_text(HELD)
    with developing(shell, *WORDS, "--stuck-after", "3", "--lease-ttl", "1") as dev:
        dev.wait_for("running")
        work_id = enqueue(shell)
        dev.wait_for("died")
        assert "running again: " in dev.wait_for("running_again")["message"]
        assert 0 == dev.count("reloaded")
        until(lambda: shell.meta(work_id)["state"] == "done", "the work")
        assert 0 == dev.end()


def test_idle_it_costs_little(shell, agent):
    """It waits; it does not spin."""
    with developing(shell, *WORDS) as dev:
        dev.wait_for("running")
        before = _ticks(dev.process.pid)
        time.sleep(2)
        assert _ticks(dev.process.pid) - before < os.sysconf("SC_CLK_TCK")
        assert 0 == dev.end()


def _ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
