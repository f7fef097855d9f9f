"""The signals that end ``roost dev``, as something to wait for."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType
from typing import Any, Final

_STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Stops:
    """Takes the signals over until it is closed.

    :ivar ear: a descriptor that can be read when there was a signal, also that a child has ended.
    """

    def __init__(self) -> None:
        self.ear, self._mouth = os.pipe()
        os.set_blocking(self.ear, False)
        os.set_blocking(self._mouth, False)
        self._former_descriptor = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
        self._former: dict[int, Any] = {}
        for number in (*_STOPS, signal.SIGCHLD):
            former = signal.getsignal(number)
            if number == signal.SIGHUP and former is signal.SIG_IGN:
                continue  # nohup
            self._former[number] = former
            signal.signal(number, _noticed)

    def read(self) -> list[int]:
        """Return the signals to stop since the last call."""
        with contextlib.suppress(BlockingIOError):
            return [number for number in os.read(self.ear, 512) if number in _STOPS]
        return []

    def close(self) -> None:
        """Put the former handlers back."""
        for number, former in self._former.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)
        signal.set_wakeup_fd(self._former_descriptor)
        os.close(self.ear)
        os.close(self._mouth)


def _noticed(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the number is in the pipe."""
