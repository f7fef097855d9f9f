"""The supervisor's side of one worker's process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

import attrs

from roost_core.cli.supervised import LAST_SECONDS
from roost_plugins.console.dev.link import GO
from roost_plugins.console.dev.messages import Lines, Message

#: A worker that was told to stop ends itself by then, if it still runs Python. Seconds.
_SLACK: Final = 3.0
#: What a worker's steps have started and that outlives it has this long to end. Seconds.
_GROUP_SECONDS: Final = 0.2


@attrs.frozen
class Plan:
    """How each worker is started.

    :ivar words: the command line of ``roost worker``.
    :ivar roots: folders whose modules can be imported.
    :ivar but: folders that are not watched.
    :ivar drain_timeout: how long steps in flight may take when a worker stops, in seconds.
    """

    words: Sequence[str]
    roots: Sequence[str] = ()
    but: Sequence[str] = ()
    drain_timeout: float = 30.0


class WorkerProcess:
    """One worker, in a session of its own: Ctrl-C in the terminal does not reach it.

    :ivar pid: its process id.
    :ivar began: when it was told to begin, by the monotonic clock; None before.
    :ivar beat: when it was heard last.
    :ivar ear: a descriptor that can be read when there are messages.
    :ivar is_mute: whether nothing more can come: its end of the pipe is closed.
    :ivar is_stopping: whether it was told to stop.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        ear, mouth = os.pipe()
        theirs, ours = os.pipe()
        os.set_blocking(ear, False)
        told = {
            "ear": theirs,
            "mouth": mouth,
            "roots": list(plan.roots),
            "but": list(plan.but),
        }
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
                [
                    # Without the current folder on the path; without writing compiled code, which
                    # would not be renewed if a file is saved twice within a second; prints appear
                    # at once; a crash in C shows where.
                    *(sys.executable, "-P", "-B", "-u", "-X", "faulthandler"),
                    *("-m", "roost_plugins.console.dev.child", json.dumps(told), *plan.words),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs, mouth),
                start_new_session=True,
            )
        except BaseException:
            os.close(ear)
            os.close(ours)
            raise
        finally:
            os.close(theirs)
            os.close(mouth)
        self.ear, self._mouth = ear, ours
        self.pid = self._process.pid
        self.beat = time.monotonic()
        self.began: float | None = None
        self.is_stopping = self.is_mute = False
        self._is_over = False
        self._lines = Lines()
        self._kill_at: float | None = None

    def messages(self) -> list[Message]:
        """Return what it has told since the last call."""
        found: list[Message] = []
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.ear, 1 << 16):
                self.beat = time.monotonic()
                found.extend(self._lines.feed(data))
            self.is_mute = True
        return found

    def go(self) -> None:
        """Let it work."""
        self.began = time.monotonic()
        with contextlib.suppress(OSError):
            os.write(self._mouth, GO)

    def stop(self) -> None:
        """Let its steps end; one that does not work yet ends at once."""
        if not self.is_stopping:
            self.is_stopping = True
            limit = self._plan.drain_timeout + LAST_SECONDS if self.began is not None else 0.0
            self._end_within(limit + _SLACK)
            self._signal(signal.SIGTERM)

    def cancel(self, seconds: float) -> None:
        """Let it cancel its steps, give their work back and end.

        :param seconds: how long that may take.
        """
        self._signal(signal.SIGTERM)
        if not self.is_stopping:
            self.is_stopping = True
            self._signal(signal.SIGINT)  # another one, which is not lost if the first is pending
        self._end_within(seconds)

    def kill(self) -> None:
        """End it now, whatever it does."""
        self._signal(signal.SIGKILL)

    def tick(self, now: float) -> None:
        """End it by force if its time is over."""
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self.kill()

    @property
    def deadline(self) -> float | None:
        """When it will be ended by force, by the monotonic clock."""
        return self._kill_at

    def ended(self) -> int | None:
        """Return its exit code once it has ended: negative, if a signal has ended it.

        What its steps have started ends with it.
        """
        if not self._is_over and self._has_ended():
            self._is_over = True
            # Before its id is free for others.
            self._signal_group(signal.SIGTERM)
            self._process.wait()
            if self._signal_group(0):
                time.sleep(_GROUP_SECONDS)
                self._signal_group(signal.SIGKILL)
        return self._process.returncode

    def close(self) -> None:
        """Close the pipes of one that has ended."""
        for descriptor in (self.ear, self._mouth):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; return whether it has."""
        ends = time.monotonic() + seconds
        while self.ended() is None:
            if time.monotonic() >= ends:
                return False
            time.sleep(0.01)
        return True

    def _has_ended(self) -> bool:
        if not hasattr(os, "waitid"):  # macOS, before Python 3.13
            return self._process.poll() is not None
        with contextlib.suppress(ChildProcessError):
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.pid, options) is not None
        return True

    def _end_within(self, seconds: float) -> None:
        at = time.monotonic() + seconds
        self._kill_at = at if self._kill_at is None else min(self._kill_at, at)

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _signal_group(self, number: int) -> bool:
        """Return whether there was anybody."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True
