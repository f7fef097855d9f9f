"""The signals of a worker's process: three grades of stop, handled in a thread of their own.

The kernel's handler writes each signal's number into a pipe, whatever the event loop does, and a
thread reads it. So a third stop ends the process even while the loop is blocked, and so does the
clock that a stop starts. Nothing here waits for the loop or for standard error. A forked child gets
the system's own handlers back, so that what ends the child does not stop the worker.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

    from roost_core.worker import Worker

#: The exit code of a worker that left steps behind: 128 and the number of SIGINT.
LEFT_BEHIND: Final = 130
#: How long a worker may take to leave when the time for its steps is over. Seconds.
LAST_SECONDS: Final = 12.0
#: How long the process may take to end when the worker has left. Seconds.
_AFTERWARDS: Final = 3.0

_STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
#: They would end the process; many tools send them to request a log or a configuration reload.
_IGNORED: Final = (signal.SIGUSR1, signal.SIGUSR2)


def some_of(ids: Sequence[str]) -> str:
    """Name a few ids, and how many more there are."""
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return f"{', '.join(ids[:5])}{more}"


class StopSignals:
    """Drain, then cancel, then leave at once; before a worker is attached, leave at once."""

    def __init__(self) -> None:
        self._say: Callable[[str], None] = lambda _: None
        self._is_quiet = False
        self._count = 0
        self._worker: Worker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain_timeout = 0.0
        self._exit_code = LEFT_BEHIND
        self._is_leaving = False
        self._deadline: float | None = None
        self._former: dict[int, Any] = {}
        self._former_descriptor = -1
        self._ear = self._mouth = -1

    # -- the main thread -------------------------------------------------------------------

    def install(self) -> None:
        """Take the process's signals over, once; outside the main thread nothing happens."""
        if self._mouth >= 0 or threading.current_thread() is not threading.main_thread():
            return
        self._ear, self._mouth = os.pipe()
        os.set_blocking(self._mouth, False)
        self._former_descriptor = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
        threading.Thread(target=self._run, name="roost-signals", daemon=True).start()
        for number in (*_STOPS, *_IGNORED):
            former = signal.getsignal(number)
            # nohup ignores SIGHUP; an existing handler for SIGUSR1 has its reason.
            is_theirs = number in _IGNORED and former is not signal.SIG_DFL
            if is_theirs or (number == signal.SIGHUP and former is signal.SIG_IGN):
                continue
            self._former[number] = former
            signal.signal(number, self._handle)
        _at_forks(self)

    def close(self) -> None:
        """Put the former handlers back."""
        if self._mouth < 0:
            return
        _at_forks(None)
        for number, former in self._former.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)
        self._former.clear()
        signal.set_wakeup_fd(self._former_descriptor)
        # The thread ends when it reads the end of the pipe.
        os.close(self._mouth)
        self._mouth = -1

    def say_with(self, say: Callable[[str], None], *, is_quiet: bool) -> None:
        """Report what happens through this function; it must never wait.

        :param is_quiet: whether to report only what is unusual.
        """
        self._say, self._is_quiet = say, is_quiet

    def attach(self, worker: Worker, loop: asyncio.AbstractEventLoop, drain_timeout: float) -> None:
        """Let stops reach a worker, which runs in ``loop``."""
        self._loop, self._drain_timeout, self._worker = loop, drain_timeout, worker

    def leaving(self, exit_code: int) -> None:
        """Note that the worker has left: the process must end soon, whatever hangs."""
        self._is_leaving, self._exit_code = True, exit_code
        self._end_within(_AFTERWARDS)

    def end_soon(self, exit_code: object) -> None:
        """Let nothing keep this process any longer, such as a thread that hangs."""
        if self._worker is None:
            return

        def end() -> None:
            time.sleep(_AFTERWARDS)
            os._exit(exit_code if isinstance(exit_code, int) else 0 if exit_code is None else 1)

        threading.Thread(target=end, name="roost-end", daemon=True).start()

    def _handle(self, number: int, _frame: object) -> None:
        """Notice in the main thread if somebody else has taken over the kernel's messages."""
        taken_by = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
        if taken_by == self._mouth:
            return
        if taken_by >= 0:
            signal.set_wakeup_fd(taken_by, warn_on_full_buffer=False)
        self._tell(number)

    def _tell(self, number: int) -> None:
        with contextlib.suppress(OSError):
            os.write(self._mouth, bytes([number]))

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        ear = self._ear
        while True:
            deadline = self._deadline
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([ear], [], [], left)[0]:
                self._too_late()
                continue
            numbers = os.read(ear, 512)
            if not numbers:
                os.close(ear)
                return
            for number in numbers:
                if number in _STOPS:
                    self._stop()
                elif number in _IGNORED:
                    self._say(f"{signal.Signals(number).name} means nothing to a worker")

    def _stop(self) -> None:
        """Act first; only then report what happens."""
        self._count += 1
        worker = self._worker
        if worker is None:
            os._exit(0)  # There is nothing to give back yet.
        if self._count == 1:
            running = sorted(worker.running)
            self._in_loop(worker.stop)
            self._end_within(self._drain_timeout + LAST_SECONDS)
            if not self._is_quiet and (text := self.what_is_awaited(running)):
                self._say(text)
        elif self._count == 2:
            self._in_loop(worker.abort)
            self._end_within(LAST_SECONDS)
            self._say(
                "cancelling the steps; their work is given back. The next signal leaves at once"
            )
        else:
            os._exit(LEFT_BEHIND)

    def what_is_awaited(self, running: Sequence[str]) -> str:
        """Return what to say at the first signal; nothing is said if it is empty.

        :param running: the ids of the work items whose steps run.
        """
        if not running:
            return "stopping; no step is running"
        return (
            f"stopping; waiting up to {self._drain_timeout:g} s for the steps of "
            f"{some_of(running)}. The next signal cancels them now"
        )

    def _in_loop(self, act: Callable[[], None]) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # The loop is closed: the worker has left.
            self._loop.call_soon_threadsafe(act)

    def _end_within(self, seconds: float) -> None:
        at = time.monotonic() + seconds
        if self._deadline is None or at < self._deadline:
            self._deadline = at
            self._tell(0)

    def _too_late(self) -> None:
        if not self._is_leaving:
            self._say("a step does not let go; leaving it behind, its lease will run out")
        # Give what was just reported a moment to be written.
        time.sleep(0.1)
        os._exit(self._exit_code)

    # -- forks -----------------------------------------------------------------------------

    def forget(self) -> None:
        """Give a forked child the default handlers; the pipe is the parent's."""
        for number in self._former:
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.close(self._mouth)
        os.close(self._ear)
        self._mouth = -1


class _Forks:
    """What to do around each fork of this process; Python cannot unregister this."""

    signals: StopSignals | None = None
    is_registered = False
    masks: Final[dict[int, Any]] = {}


def _at_forks(signals: StopSignals | None) -> None:
    _Forks.signals = signals
    if not _Forks.is_registered:
        _Forks.is_registered = True
        os.register_at_fork(
            before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child
        )


def _before_fork() -> None:
    # A signal to the child before its own handlers are set would go to the parent.
    if _Forks.signals is not None:
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, (*_STOPS, *_IGNORED))
        _Forks.masks[threading.get_ident()] = masked


def _in_parent() -> None:
    masked = _Forks.masks.pop(threading.get_ident(), None)
    if masked is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)


def _in_child() -> None:
    signals, _Forks.signals = _Forks.signals, None
    if signals is not None:
        signals.forget()
    _in_parent()
    _Forks.masks.clear()
