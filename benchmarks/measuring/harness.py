"""One sample: a row's work in a fresh process, timed there, with the server watched from here.

The child sets everything up, warms up, says ``ready`` and waits for ``go``; then it
runs the work, reports its seconds, and leaves when its input closes. Server figures
are read between these words, so that neither set-up nor warm-up counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from benchmarks.measuring.machine import cpu_seconds
from benchmarks.measuring.processes import ROOT, await_end, environment
from benchmarks.measuring.server import Server


@attrs.frozen(kw_only=True)
class Job:
    """What a child is to do. ``size`` is the bytes of text in each snapshot or result."""

    row: str
    url: str
    folder: str
    items: int
    steps: int = 10
    size: int = 300
    lanes: int = 10
    warm_items: int = 20
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def text(self) -> str:
        """The state that every step stores."""
        return "x" * self.size


class Clock:
    """The child's side of the conversation."""

    def __init__(self) -> None:
        self._began = (0.0, 0.0)
        self._cpu_of: int | None = None

    def start(self, *, cpu_of: int | None = None) -> None:
        """Report ready, wait for the signal, start the clock.

        :param cpu_of: the process that does the work, if it is not this one.
        """
        self._cpu_of = cpu_of
        _say({"ready": True})
        sys.stdin.readline()
        self._began = (time.perf_counter(), self._cpu())

    def stop(self, steps: int, **more: Any) -> None:
        """Stop the clock, report, and wait until the server has been read."""
        ended = (time.perf_counter(), self._cpu())
        seconds, cpu = (end - begin for end, begin in zip(ended, self._began, strict=True))
        _say({"steps": steps, "seconds": seconds, "cpu": cpu, **more})
        sys.stdin.readline()

    def _cpu(self) -> float:
        return time.process_time() if self._cpu_of is None else cpu_seconds(self._cpu_of)


def _say(message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


@attrs.frozen
class Sample:
    """What one child and the server showed, per step; times in seconds.

    ``sent_bytes`` is what all clients have sent.
    """

    steps: int
    seconds: float
    client_cpu: float
    server_cpu: float
    aof_bytes: float
    sent_bytes: float
    more: Mapping[str, Any]

    @property
    def rate(self) -> float:
        """Steps a second."""
        return self.steps / self.seconds


class Child:
    """A process that runs one row, from here."""

    def __init__(self, job: Job, log: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "benchmarks.child",
            json.dumps(attrs.asdict(job)),
        ]
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(  # noqa: S603 - our own words
                command,
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # Ctrl-C reaches this process only, which then ends its children cleanly.
                start_new_session=True,
            )

    def hear(self) -> dict[str, Any]:
        """Wait for the child's next word.

        :raises RuntimeError: it ended instead; the end of what it wrote is the text.
        """
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        text = self._log.read_text(errors="replace")
        raise RuntimeError(f"the child ended early:\n{text[-1500:]}")

    def tell(self, word: str) -> None:
        """Let the child continue."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Wait a moment for the child to leave, then make it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        await_end(self.process)
        self.process.stdout.close()


@contextmanager
def child(job: Job) -> Iterator[Child]:
    """Start a child; it is gone afterwards."""
    started = Child(job, Path(job.folder) / "children.log")
    try:
        yield started
        started.end()
    except BaseException:
        # Nobody waits for its work any more.
        started.process.terminate()
        started.end()
        raise


def measure(server: Server, job: Job) -> Sample:
    """Run one sample on a cleared server."""
    server.clear()
    return measure_beside(server, job)


def measure_beside(server: Server, job: Job) -> Sample:
    """Run one sample with whatever is on the server."""
    with child(job) as running:
        running.hear()
        before = server.counters()
        running.tell("go")
        report = running.hear()
        spent = server.counters() - before
        running.tell("seen")
    steps = report.pop("steps")
    return Sample(
        steps=steps,
        seconds=report.pop("seconds"),
        client_cpu=report.pop("cpu") / steps,
        server_cpu=spent.cpu / steps,
        aof_bytes=spent.aof / steps,
        sent_bytes=spent.received / steps,
        more=report,
    )


def count_commands(server: Server, job: Job, *, pings: bool = True) -> tuple[float, float]:
    """Return commands per step: those that clients sent, and those inside scripts. Untimed.

    :param pings: whether those of quiet connections count, which depend on time and not on steps.
    """
    server.clear()
    with child(job) as running:
        running.hear()
        with server.commands() as count:
            running.tell("go")
            steps = running.hear()["steps"]
        running.tell("seen")
    sent = count.sent if pings else count.sent - count.pings
    return sent / steps, count.in_scripts / steps
