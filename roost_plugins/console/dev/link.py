"""The worker's side of the pipes between it and its supervisor.

The supervisor's end of the first pipe closes when its process ends, however that ends: so no worker
outlives it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from types import FrameType
from typing import Final

from roost_plugins.console.dev.messages import Beat, Loading, Message, written

#: How often the process shows that it runs Python. Seconds.
BEAT_SECONDS: Final = 1.0
#: Loading that takes longer is told. Seconds.
LONG_SECONDS: Final = 5.0
#: A worker without a supervisor may take this long to give its work back. Seconds.
_LAST_SECONDS: Final = 5.0
#: How often a wait looks for signals. Seconds.
_SIGNALS_SECONDS: Final = 0.5
#: The supervisor's word to begin.
GO: Final = b"g"


class Link:
    """Hears the supervisor, in a thread of its own, and tells it things.

    :param ear: a descriptor to read from.
    :param mouth: a descriptor to write to.
    """

    def __init__(self, ear: int, mouth: int) -> None:
        self._ear, self._mouth = ear, mouth
        for descriptor in (ear, mouth):
            os.set_inheritable(descriptor, False)
        self._go = threading.Event()
        self._began = time.monotonic()
        self._is_loading = True
        self._is_alone = False
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._main = threading.main_thread().ident

    def start(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._run, name="roost-dev-link", daemon=True).start()

    def tell(self, message: Message) -> None:
        """Tell the supervisor something; it is there, or nothing matters any more."""
        with contextlib.suppress(OSError), self._lock:
            left = written(message)
            while left:
                left = left[os.write(self._mouth, left) :]

    def loaded(self) -> None:
        """Note that loading is over."""
        self._is_loading = False

    def wait(self) -> None:
        """Wait for the word to begin; signals are heard meanwhile."""
        # Another thread may receive one, which does not wake this.
        while not self._go.wait(_SIGNALS_SECONDS):
            pass

    def leave(self) -> None:
        """Take along what steps have started, if nobody else does."""
        if self._is_alone and os.getpid() == self._pid:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with contextlib.suppress(OSError):
                os.killpg(0, signal.SIGTERM)

    def _run(self) -> None:
        is_told = False
        while True:
            if not select.select([self._ear], [], [], BEAT_SECONDS)[0]:
                is_long = time.monotonic() - self._began > LONG_SECONDS
                if self._is_loading and is_long and not is_told:
                    is_told = True
                    self.tell(Loading(_where(sys._current_frames().get(self._main or 0))))
                self.tell(Beat())
                continue
            try:
                heard = os.read(self._ear, 64)
            except OSError:
                heard = b""
            if GO in heard:
                self._go.set()
            if not heard:
                self._end()
                return

    def _end(self) -> None:
        """End this process: the supervisor is gone."""
        self._is_alone = True
        if not self._go.is_set():
            os._exit(0)  # there is nothing to give back
        # Both of them: the first stops the worker, the second cancels its steps.
        os.kill(self._pid, signal.SIGTERM)
        os.kill(self._pid, signal.SIGINT)
        time.sleep(_LAST_SECONDS)
        # With what its steps have started.
        os.killpg(0, signal.SIGKILL)


def _where(frame: FrameType | None) -> str:
    """Return the innermost line that is not Python's import system."""
    while frame is not None and frame.f_code.co_filename.startswith("<frozen"):
        frame = frame.f_back
    return "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
