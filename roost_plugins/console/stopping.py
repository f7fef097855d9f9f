"""Ctrl-C and its kin: the first ends the console, however often it is pressed."""

from __future__ import annotations

import os
import signal
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Final, Self

_STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: From this signal on nothing is waited for.
_ENOUGH: Final = 3
#: The exit code then: 128 and the number of SIGINT.
_AT_ONCE: Final = 130


class Stops:
    """Takes the signals that stop a process over, in the main thread, while it is entered.

    Until :meth:`wait` the first one leaves, by SystemExit, whatever is waited for; then it ends the
    wait. Further ones do not disturb what is being ended.
    """

    def __init__(self) -> None:
        # Not an Event: its lock may be held by what the signal interrupts, its own wait.
        self._told: SimpleQueue[None] = SimpleQueue()
        self._is_waiting = False
        self._count = 0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _STOPS:
            former = signal.getsignal(number)
            # nohup ignores SIGHUP.
            if former is not signal.SIG_IGN:
                self._former[number] = former
                signal.signal(number, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, former in self._former.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)

    def wait(self) -> None:
        """Wait for the first signal."""
        self._is_waiting = True
        self._told.get()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count >= _ENOUGH:
            os._exit(_AT_ONCE)
        self._told.put(None)
        if self._count == 1 and not self._is_waiting:
            raise SystemExit(0)
