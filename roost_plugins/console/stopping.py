"""Ctrl-C and its kin: the first ends the console, however often it is pressed."""

from __future__ import annotations

import os
import signal
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
        self._is_waiting = False
        self._count = 0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Each signal is a byte in here at once. A lock would not do: the wait for it may be what
        # the handler interrupts, and a handler runs only once a wait that just begins has ended.
        self._ear, self._mouth = os.pipe()
        os.set_blocking(self._mouth, False)
        self._former_descriptor = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
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
        signal.set_wakeup_fd(self._former_descriptor)
        os.close(self._ear)
        os.close(self._mouth)

    def wait(self) -> None:
        """Wait for the first signal."""
        self._is_waiting = True
        while not self._count:
            os.read(self._ear, 1)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count >= _ENOUGH:
            os._exit(_AT_ONCE)
        if self._count == 1 and not self._is_waiting:
            raise SystemExit(0)
