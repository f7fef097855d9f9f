"""Processes: how they begin and end, and those that people start, in a Python of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

#: The folder that holds the benchmarks, where children run.
ROOT: Final = Path(__file__).resolve().parent.parent.parent
#: How long a process may take to end after a signal. Seconds.
_END_TIMEOUT: Final = 15.0


def environment() -> dict[str, str]:
    """Return this process's environment without settings of Roost."""
    return {key: value for key, value in os.environ.items() if not key.startswith("ROOST_")}


def unwind_when_told() -> None:
    """Let SIGTERM unwind like Ctrl-C, so that nothing is left behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def await_end(process: subprocess.Popen[Any], seconds: float = _END_TIMEOUT) -> None:
    """Wait for a process that is ending; kill it if that takes too long."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@attrs.frozen
class Processes:
    """Starts Python, the ``roost`` command and ``roost worker`` in a folder of the run.

    They run in an environment made for them, which finds this clone and the packages of this
    Python, and nothing that an installation runs at each start, such as an editable one's finder.
    Bytecode goes to the folder, so that nothing is written next to the sources; each command's
    first run compiles.

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
        command = [self._program(), *arguments]
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

    def roost(self, *arguments: str) -> tuple[str, float]:
        """Run a ``roost`` command to its end; return as :meth:`python` does."""
        return self.python("-m", "roost_core.cli", *arguments)

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start ``roost worker``; it is gone afterwards.

        :raises RuntimeError: it ended by itself, which made something else fail.
        """
        with self._running("worker", "--quiet", *arguments) as process:
            yield process

    @contextmanager
    def console(self, **own: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        """Start ``roost ui`` on a free port; it is gone afterwards.

        :param own: the console's settings, without their namespace.
        :returns: the process, and the URL that signs in.
        :raises RuntimeError: as :meth:`worker`.
        """
        variables = {f"ROOST_CONSOLE_{name.upper()}": text for name, text in own.items()}
        with self._running("ui", "--port", "0", listens=True, **variables) as process:
            assert process.stdout is not None
            url = process.stdout.readline().decode().strip()
            if not url:
                process.wait(_END_TIMEOUT)
                raise RuntimeError("there is no console")
            yield process, url

    @contextmanager
    def _running(
        self, command: str, *arguments: str, listens: bool = False, **variables: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        path = Path(self.folder) / f"{command}.log"
        with path.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own words
                [self._program(), "-m", "roost_core.cli", command, *arguments],
                env={**self._environment(), **variables},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if listens else log,
                stderr=log,
                # Ctrl-C reaches the benchmark only, which then ends the worker cleanly.
                start_new_session=True,
            )
        try:
            yield process
        except Exception as error:
            if process.poll() is None:
                raise
            text = path.read_text(errors="replace")
            raise RuntimeError(f"roost {command} ended early:\n{text[-1500:]}") from error
        finally:
            process.terminate()
            await_end(process)
            if process.stdout is not None:
                process.stdout.close()

    def _program(self) -> str:
        """Return the Python that they run, which is made at the first call."""
        made = Path(self.folder) / "python"
        program = made / "bin" / "python"
        if not program.exists():
            venv.create(made, symlinks=True)
            (packages,) = made.glob("lib/python*/site-packages")
            # Folders that are named in a path file have none of their own read.
            found = [str(ROOT), *(one for one in sys.path if one.endswith("-packages"))]
            (packages / "benchmarks.pth").write_text("\n".join(found) + "\n")
        return str(program)

    def _environment(self) -> dict[str, str]:
        words = {key: value for key, value in environment().items() if not key.startswith("PYTHON")}
        words["ROOST_HOME"] = str(self.home)
        words["PYTHONPYCACHEPREFIX"] = f"{self.folder}/bytecode"
        if self.redis_url:
            words["ROOST_REDIS_URL"] = self.redis_url
        return words
