"""``roost dev`` as a process: what it says, what it starts, and what is left of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from tests.integration.cli_bench import LIMIT, Shell, until

#: Steps tell in a file when they begin and end; which version of the code they are is in it.
ENGINE = """
import asyncio
from pathlib import Path
from roost_core import hookimpl

engine_id = "agent"
MARK = "one"

@hookimpl
async def step(snapshot, item, context):
    folder = Path(item.payload["folder"])
    (folder / f"began-{MARK}").touch()
    while item.payload.get("waits") and not (folder / "go").exists():
        await asyncio.sleep(0.02)
    return snapshot.finish(data={"mark": MARK, "attempt": context.attempt})
"""


@attrs.define
class Dev:
    """A running ``roost dev`` whose lines are JSON.

    :ivar said: what it has said so far.
    """

    process: subprocess.Popen[str]
    said: list[dict] = attrs.field(factory=list)
    raw: list[str] = attrs.field(factory=list)

    def listen(self) -> None:
        """Read what it says, until it ends."""
        for line in self.process.stderr:
            self.raw.append(line)
            if line.startswith("{"):
                self.said.append(json.loads(line))

    def count(self, action: str) -> int:
        """Return how often something was said."""
        return sum(one.get("action") == action for one in list(self.said))

    def last(self, action: str) -> dict:
        """Return what was said last."""
        return next(one for one in reversed(self.said) if one.get("action") == action)

    def wait_for(self, action: str, times: int = 1) -> dict:
        """Wait until something was said so often."""
        ends = time.monotonic() + LIMIT
        while self.count(action) < times:
            assert time.monotonic() < ends, f"never said: {action}\n{''.join(self.raw)}"
            assert self.process.poll() is None or self.count(action) >= times, "".join(self.raw)
            time.sleep(0.02)
        return self.last(action)

    def workers(self) -> list[int]:
        """Return the process ids of its workers."""
        return children(self.process.pid)

    def worker(self) -> int:
        """Return the one worker's process id."""
        until(lambda: len(self.workers()) == 1, "a single worker")
        return self.workers()[0]

    def end(self, *numbers: int) -> int:
        """Send signals; return the exit code."""
        for number in numbers or (signal.SIGINT,):
            self.process.send_signal(number)
        return self.process.wait(LIMIT)


def children(pid: int) -> list[int]:
    """Return the processes that are workers of one."""
    rows = [line.split(None, 2) for line in _processes()]
    return [
        int(row[0]) for row in rows if int(row[1]) == pid and "roost_plugins.console.dev" in row[2]
    ]


def left(folder: Path) -> list[str]:
    """Return the command lines of processes that have something to do with a folder."""
    return [
        line
        for line in _processes()
        if str(folder) in line and "pytest" not in line.split(None, 2)[2]
    ]


def _processes() -> list[str]:
    done = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 3) for line in done.stdout.splitlines()]
    return [
        f"{row[0]} {row[1]} {row[3]}"
        for row in rows
        if len(row) == 4 and not row[2].startswith("Z")
    ]


@contextmanager
def developing(shell: Shell, *words: str, **fields) -> Iterator[Dev]:
    """Run ``roost dev``; nothing of it is left afterwards."""
    args = ("dev", *words, "--log-format", "json")
    process = shell.start(*args, stdout=subprocess.DEVNULL, start_new_session=True, **fields)
    dev = Dev(process)
    thread = threading.Thread(target=dev.listen)
    thread.start()
    try:
        yield dev
    finally:
        workers = dev.workers() if process.poll() is None else []
        process.kill()
        process.wait()
        for pid in workers:
            if re.search("roost_plugins.console.dev", _command(pid)):
                os.kill(pid, signal.SIGKILL)
        thread.join(LIMIT)
        process.stderr.close()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def save(path: Path, text: str) -> None:
    """Save as many editors do: beside it, then renamed."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(text)
    beside.replace(path)
