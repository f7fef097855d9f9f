"""Where in a plugin an error came from, and whether Ctrl-C was a person's.

A plugin's error is of little use without its place: the file and line of the plugin's own code, not
of Roost, Python's import system or a library around it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

_CORE: Final = str(Path(__file__).parents[1]) + os.sep
#: Modules between Roost and a plugin, which are not to blame.
_BETWEEN: Final = ("importlib", "pluggy")


def place(error: BaseException, location: str) -> str:
    """Return ``" (FILE:LINE)"`` of the plugin's own code that the error came through, or nothing.

    :param location: ``pkg.module[:attr]``, or the path of a file.
    """
    if isinstance(error, SyntaxError) and error.lineno and os.path.isfile(error.filename or ""):
        # The file that does not compile has no frame yet.
        return f" ({error.filename}:{error.lineno})"
    frames = [
        (frame.f_code.co_filename, line, str(frame.f_globals.get("__name__", "")))
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    foreign = [one for one in frames if _is_foreign(one[0], one[2])]
    package = location.partition(":")[0].partition(".")[0]
    own = [
        one for one in foreign if one[0] == location or one[2].partition(".")[0] == package
    ] or foreign[:1]
    if not own:
        return ""
    file, line, _ = own[-1]
    return f" ({file}:{line})"


def _is_foreign(file: str, module: str) -> bool:
    is_between = module.partition(".")[0] in _BETWEEN or file.startswith("<frozen importlib")
    return not is_between and not file.startswith(_CORE)


@contextlib.contextmanager
def telling_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether a ``KeyboardInterrupt`` in here can be a person's.

    One that a plugin raises by itself is that plugin's error, not a request to stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # signals arrive in the main thread only
        return
    former = signal.getsignal(signal.SIGINT)
    if not callable(former):
        yield lambda: False  # ignored, or the end of the process
        return
    pressed = False

    def remember(number: int, frame: Any) -> None:
        nonlocal pressed
        pressed = True
        former(number, frame)

    signal.signal(signal.SIGINT, remember)
    try:
        yield lambda: pressed
    finally:
        # A plugin may have put a handler of its own there.
        if signal.getsignal(signal.SIGINT) is remember:
            signal.signal(signal.SIGINT, former)
