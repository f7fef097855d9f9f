"""A small scene for pictures: a queue with agents that run, wait, fail and finish."""

from __future__ import annotations

import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import Any, Final

#: What the scene's agents do.
AGENTS: Final = '''"""Agents of a scene."""
import asyncio
from roost_core import PermanentError, hookimpl

engine_id = "scout"


@hookimpl
async def step(snapshot, item, context):
    wanted = item.payload
    page = snapshot.data.get("page", 0) + 1
    context.heartbeat(min(1.0, page / wanted["pages"]), f"reading page {page}/{wanted['pages']}")
    await asyncio.sleep(wanted.get("seconds", 0.05))
    if page == wanted.get("stumbles_at") and context.attempt == 1:
        raise ConnectionError("upstream closed the connection")
    if page > wanted.get("fails_at", 1_000_000):
        raise PermanentError(wanted["error"]) from ConnectionError("upstream closed the connection")
    found = [*snapshot.data.get("sources", []), {"page": page, "title": f"Source {page}"}]
    data = {"goal": item.title, "page": page, "sources": found[-20:], "is_sure": page > 3}
    if page == wanted["pages"]:
        report = await context.artifacts.aput_json({"sources": found}, name="report")
        return snapshot.finish(data=data, artifacts=(report,))
    return snapshot.evolve(step=("search", "read", "note")[page % 3], data=data)
'''
#: How long the first worker works until it is killed, and how long the second one does before the
#: pictures are taken. Seconds.
FIRST, SETTLES = 4.0, 11.0
#: How long a lease lasts, and so how long a dead worker's work waits at most. Seconds.
LEASE_TTL: Final = 3.0
#: The columns of a terminal.
COLUMNS: Final = 80


def work() -> list[list[dict[str, Any]]]:
    """Return the scene's work items in groups, as lines of ``roost enqueue --batch``."""
    limit = {"pages": 9, "fails_at": 3, "error": "429 rate limit: try again in 60 s"}
    table = {"pages": 5, "fails_at": 1, "error": "no table in the page"}
    survey = {"pages": 300, "seconds": 0.7, "stumbles_at": 14}
    archive = {"pages": 90, "seconds": 0.9}
    shared = {"resources": ["domain:example.com"]}
    day = {"delay_seconds": 86_400.0}
    return [
        [
            _one(f"scout-{n:02d}", f"Find three sources for claim {n}", {"pages": 4 + n % 3})
            for n in range(1, 13)
        ],
        [_one(f"compare-{n}", f"Compare offers of shop {n}", limit) for n in range(1, 6)],
        [
            _one("later-1", "Look again tomorrow", {"pages": 2}, **day),
            _one("nightly-2026-11-26", "Survey of 300 pages", survey, labels={"team": "search"}),
            _one("parse-7", "Read the price list", table),
        ],
        [_one(f"host-{n}", f"Archive, part {n}", archive, **shared) for n in range(1, 4)],
        [_one(f"crawl-{n}", f"Crawl site {n}", {}, engine="crawl") for n in range(1, 5)],
    ]


def _one(work_id: str, title: str, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"engine": "scout", "work_id": work_id, "title": title, "payload": payload, **more}


class Scene:
    """A queue in a folder of its own, and what runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The server leaves soon after the last one that needs it.
        own = {"ROOST_HOME": str(folder / "home"), "ROOST_EMBEDDED_IDLE": "1"}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ROOST_")}
        self._environment = {**kept, **own, "XDG_STATE_HOME": str(folder), "TERM": "xterm-256color"}

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Start a command."""
        command = [sys.executable, "-m", "roost_core.cli", *words]
        usual = {"stderr": subprocess.DEVNULL, "text": True, **more}
        return subprocess.Popen(command, cwd=self.folder, env=self._environment, **usual)  # noqa: S603 - ours

    def shown(self, *words: str) -> str:
        """Return what a command prints on a terminal, with its colours."""
        ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        with self.running(*words, stdout=theirs, stderr=theirs, stdin=theirs) as process:
            os.close(theirs)
            found = b""
            try:
                while part := os.read(ours, 65536):
                    found += part
            except OSError:
                pass  # Linux says so when the command has ended.
            process.wait()
        os.close(ours)
        return found.decode().replace("\r\n", "\n").rstrip()

    def run(self, *words: str) -> None:
        """Run a command to its end."""
        if self.start(*words, stdout=subprocess.DEVNULL).wait() != 0:
            raise SystemExit(f"roost {' '.join(words)} failed")

    @contextmanager
    def running(self, *words: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
        """Run a command meanwhile."""
        process = self.start(*words, **more)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@contextmanager
def playing(folder: Path) -> Iterator[tuple[Scene, str]]:
    """Play the scene in a folder; give it and the URL of its console once all has happened."""
    scene = Scene(folder)
    (folder / "agents.py").write_text(AGENTS, encoding="utf-8")
    worker = ("worker", "--plugin", "./agents.py", "--concurrency", "4")
    ttl = ("--lease-ttl", str(LEASE_TTL))
    with scene.running("ui", "--port", "0", stdout=subprocess.PIPE) as console:
        assert console.stdout is not None
        url = console.stdout.readline().strip()
        # A group after the other, so that listings have them in this order.
        for group in work():
            lines = "".join(f"{json.dumps(one)}\n" for one in group)
            (folder / "work.jsonl").write_text(lines, encoding="utf-8")
            scene.run("enqueue", "--batch", "work.jsonl", "--any-engine")
        scene.run("pause", "scout-12", "--reason", "wait for the new list")
        with scene.running(*worker, *ttl) as first:
            time.sleep(FIRST)
            first.send_signal(signal.SIGKILL)
        with scene.running(*worker, *ttl):
            time.sleep(SETTLES)
            yield scene, url
