"""Ctrl-C and its kin: the first ends the console, however often it is pressed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

_STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: From this signal on nothing is waited for.
_ENOUGH: Final = 3
#: The exit code then: 128 and the number of SIGINT.
_AT_ONCE: Final = 130


@contextlib.contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C, SIGTERM and SIGHUP set; for the main thread."""
    stopped = threading.Event()
    count = 0

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count >= _ENOUGH:
            os._exit(_AT_ONCE)
        stopped.set()

    former = {
        number: signal.signal(number, stop)
        for number in _STOPS
        # nohup ignores SIGHUP.
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield stopped
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
