"""The command line as processes: a shell that runs them, and engines for them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import attrs

#: Only a hang takes this long, in seconds.
LIMIT = 60.0

ENGINES = """
import asyncio, threading
from pathlib import Path
from roost_core import PermanentError, hookimpl

engine_id = "slow"

@hookimpl
async def step(snapshot, item, context):
    Path(item.payload["mark"]).touch()
    context.heartbeat(0.5, "half way \\x1b[31mthere")
    await asyncio.sleep(item.payload["seconds"])
    return snapshot.finish(data={"slept": item.payload["seconds"]})
"""

DEAF = """
import time
from pathlib import Path
from roost_core import hookimpl

engine_id = "deaf"

@hookimpl
def step(snapshot, item):
    Path(item.payload["mark"]).touch()
    time.sleep(600)
"""


@attrs.frozen
class Shell:
    """Runs ``roost`` in a folder, on a namespace of its own, with none of the caller's settings."""

    folder: Path
    variables: dict[str, str]

    def start(self, *args: str, **fields) -> subprocess.Popen[str]:
        """Start a process."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ROOST_")}
        fields = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **fields}
        return subprocess.Popen(
            [sys.executable, "-m", "roost_core.cli", *args],
            cwd=self.folder,
            env={**kept, **self.variables},
            stdin=fields.pop("stdin", subprocess.DEVNULL),
            text=fields.pop("text", True),
            **fields,
        )

    def run(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a process to its end."""
        with ending(self.start(*args, stdin=subprocess.PIPE)) as process:
            out, err = process.communicate(stdin, timeout=LIMIT)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def ok(self, *args: str, stdin: str = "") -> str:
        """Run a process that has to succeed silently; return what it prints."""
        done = self.run(*args, stdin=stdin)
        assert (0, "") == (done.returncode, done.stderr), done
        return done.stdout

    def enqueue(self, engine: str, payload: object, *args: str) -> str:
        """Enqueue and return the id."""
        words = ("--engine", engine, "--any-engine", "--payload", json.dumps(payload))
        return self.ok("enqueue", *words, *args).strip()

    def meta(self, work_id: str) -> dict:
        """Return a work item's meta, as ``roost status`` shows it."""
        return json.loads(self.ok("status", work_id))["meta"]


@contextlib.contextmanager
def ending(process):
    """Make sure that a process is gone afterwards, and its pipes closed."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def until(condition, what: str) -> None:
    """Wait for a condition."""
    ends = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < ends, f"never came: {what}"
        time.sleep(0.01)
