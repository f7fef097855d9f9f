"""The embedded server's process: started, tied to its supervisor's life, and ended.

Standard library only: the supervisor imports this.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

#: The longest time to shut down. Seconds.
STOP_LIMIT = 30.0


class ServerProcess:
    """The one child of the supervisor.

    :param folder: the server folder, absolute.
    :param binary: the server's program.
    :param log: where lines for people go.
    :ivar pid: its process id; None before it begins, and once it has ended.
    :ivar ended_by: the signal that ended it, if one did.
    """

    def __init__(self, folder: str, binary: str, log: Callable[[str], None]) -> None:
        self.folder = folder
        self.binary = binary
        self.pid: int | None = None
        self.ended_by: int | None = None
        self._log = log
        self._tie = _die_with_parent()

    def begin(self, config: str) -> None:
        """Run the server in the working directory.

        :param config: what it reads at start, small enough for a pipe's buffer.
        """
        reader, writer = os.pipe()
        os.write(writer, config.encode())
        os.close(writer)
        parent = os.getpid()
        child = os.fork()
        if child:
            os.close(reader)
            self.pid = child
            return
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            if self._tie is not None:
                self._tie()
                if os.getppid() != parent:
                    os._exit(1)  # the supervisor died before the tie was made
            os.dup2(reader, 0)
            # So a process list shows whose server it is.
            os.execv(self.binary, [f"{self.folder}/valkey-server", "-"])  # noqa: S606 - no shell
        except OSError as error:
            self._log(f"cannot run {self.binary}: {error.strerror}")
        finally:
            os._exit(127)

    def has_ended(self) -> bool:
        """Check whether it is gone; then :attr:`ended_by` has the signal."""
        if self.pid is not None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                self.ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        return self.pid is None

    def end(self, sleep: Callable[[float], None]) -> None:
        """End the server cleanly; after ``STOP_LIMIT`` seconds, by force.

        :param sleep: waits for a number of seconds.
        """
        if self.has_ended() or self.pid is None:
            return
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_LIMIT
        while not self.has_ended():
            if self.pid is not None and time.monotonic() > deadline:
                self._log("the server does not stop: killed")
                os.kill(self.pid, signal.SIGKILL)
                deadline += STOP_LIMIT
            sleep(0.05)


def _die_with_parent() -> Callable[[], object] | None:
    """Return a function that ties the calling process to its parent's life, where there is one."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG in linux/prctl.h
    return lambda: prctl(set_parent_death_signal, int(signal.SIGTERM), 0, 0, 0)
