"""Fresh processes as people start them: Python, the ``roost`` command and ``roost worker``.

Bytecode goes to a folder of the run, so that nothing is written beside the
sources, and an installation without any is measured alike. Roost is this
clone's, whichever is installed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from benchmarks.harness import ROOT, environment

#: How long a process may take to end once it is told to. Seconds.
_END_TIMEOUT: Final = 15.0


@attrs.frozen
class Memory:
    """A process's resident memory now and at its peak, in bytes."""

    now: float
    peak: float


@attrs.frozen
class Processes:
    """Starts processes in a folder of the run.

    :ivar redis_url: the server that they use; the embedded one of ``home`` if empty.
    """

    folder: str
    redis_url: str = ""

    @property
    def home(self) -> Path:
        """The home folder of the processes."""
        return Path(self.folder) / "home"

    def python(self, *arguments: str) -> tuple[str, float]:
        """Run Python to its end; return what it printed, and the seconds from its start."""
        return self._run([sys.executable, *arguments])

    def roost(self, *arguments: str) -> tuple[str, float]:
        """Run a ``roost`` command to its end; return as :meth:`python` does."""
        return self._run([*_roost_command(), *arguments])

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start ``roost worker``; it is gone afterwards.

        :raises RuntimeError: it ended by itself, which made something else fail.
        """
        path = Path(self.folder) / "workers.log"
        with path.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own words
                [*_roost_command(), "worker", "--quiet", *arguments],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        except Exception as error:
            if process.poll() is None:
                raise
            text = path.read_text(errors="replace")
            raise RuntimeError(f"the worker ended early:\n{text[-1500:]}") from error
        finally:
            process.terminate()
            try:
                process.wait(_END_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self, command: list[str]) -> tuple[str, float]:
        began = time.perf_counter()
        done = subprocess.run(  # noqa: S603 - our own words
            command,
            env=self._environment(),
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
        )
        took = time.perf_counter() - began
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-1500:]}")
        return done.stdout.strip(), took

    def _environment(self) -> dict[str, str]:
        words = {key: value for key, value in environment().items() if not key.startswith("PYTHON")}
        words["ROOST_HOME"] = str(self.home)
        words["PYTHONPYCACHEPREFIX"] = f"{self.folder}/bytecode"
        words["PYTHONPATH"] = str(ROOT)
        if self.redis_url:
            words["ROOST_REDIS_URL"] = self.redis_url
        return words


def _roost_command() -> list[str]:
    script = Path(sys.executable).with_name("roost")
    return [str(script)] if script.exists() else [sys.executable, "-m", "roost_core.cli"]


def memory_of(pid: int | str) -> Memory:
    """Return a process's memory; not a number where the system has no /proc."""
    try:
        return parse_memory(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return Memory(float("nan"), float("nan"))


def parse_memory(text: str) -> Memory:
    """Read the text of ``/proc/<pid>/status``.

    :raises RuntimeError: the process has ended.
    """
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if "VmRSS" not in lines:
        raise RuntimeError("a process that has ended has no memory")
    return Memory(*(int(lines[name].split()[0]) * 1024.0 for name in ("VmRSS", "VmHWM")))
