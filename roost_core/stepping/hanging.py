"""Whether the event loop moves, and where it hangs if it does not. Checked from a thread.

About once a second the thread schedules a note on the loop that it moves. How long it has not is
counted in the thread's own waking time: a process that was stopped as a whole (SIGSTOP, a paused
machine) comes back with a clock that has jumped, and nothing hung meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import tokenize  # noqa: F401 - linecache's, for stacks: a thread must not import anything
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final

import attrs

from roost_core.plugins import around_step, calls, engines, observers
from roost_core.stepping import eager
from roost_core.stepping.holds import Hold, current_hold

#: How often the thread checks. Seconds.
TICK: Final = 1.0
#: A check later than this after the previous one was itself held up. Seconds.
_LATE: Final = 2 * TICK
#: Frames of these lead to a step and carry no information.
_OWN: Final = (
    str(Path(__file__).parents[1]) + os.sep,
    str(Path(asyncio.__file__).parent) + os.sep,
)
#: Whatever led to a frame of these, such as the backend's lanes, led to a plugin's hook.
_DOORS: Final = frozenset(module.__file__ for module in (around_step, calls, engines, observers))
_HANDLE_RUN: Final = asyncio.Handle._run.__code__
#: Frames of these have a ``self`` with the context in which everything below runs.
_IN_CONTEXT: Final = (_HANDLE_RUN, *eager.IN_CONTEXT)
#: The longest stack that is kept, in characters: it goes into an error record.
_LONGEST_STACK: Final = 8000


@attrs.frozen
class Sight:
    """Where a thread is.

    :ivar hold: whose step it is, or None.
    :ivar place: file, line and function.
    :ivar stack: as in a traceback, without Roost's own leading frames.
    """

    hold: Hold | None
    place: str
    stack: str


class Pulse:
    """Knows how long an event loop has not moved. Make it on the loop, check from a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._has_moved = True
        self._looked_at = time.monotonic()
        #: Seconds since the loop was last seen to move.
        self.still = 0.0

    def look(self, held_up: float = 0.0) -> float:
        """Check whether the loop has moved since the last check.

        :param held_up: seconds for which the caller knows it could not check.
        :returns: how many seconds it has not moved; 0 if it has.
        """
        now = time.monotonic()
        passed, self._looked_at = now - self._looked_at, now
        if self._has_moved:
            self.still, self._has_moved = 0.0, False
            try:
                self._loop.call_soon_threadsafe(self._move)
            except RuntimeError:  # the loop has ended, and hangs nowhere
                self._has_moved = True
        else:
            self.still += min(passed, _LATE + held_up)
        return self.still

    def _move(self) -> None:
        self._has_moved = True

    def sight(self) -> Sight:
        """Return where the loop's thread is."""
        return sight(self._loop_thread, self._loop)


def sight(thread: int, loop: asyncio.AbstractEventLoop | None = None) -> Sight:
    """Return where a thread is.

    :param thread: its id; ``loop`` is the event loop that it runs, if it does.
    """
    frame = sys._current_frames().get(thread)
    if frame is None:
        return Sight(None, "nowhere", "")
    frames = _theirs(traceback.extract_stack(frame))
    inner = frames[-1]
    place = f"{inner.filename}:{inner.lineno} in {inner.name}"
    return Sight(_hold_of(frame, loop), place, "".join(traceback.format_list(frames)).rstrip())


def _theirs(frames: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """Leave out Roost's own frames on the way to a plugin's code."""
    first = 0
    for number, one in enumerate(frames):
        is_run = one.name == _HANDLE_RUN.co_name and one.filename == _HANDLE_RUN.co_filename
        if is_run or one.filename in _DOORS:
            first = number + 1
    for number in range(first, len(frames)):
        if not any(own in frames[number].filename for own in _OWN):
            return frames[number:]
    return list(frames[first:] or frames)


def _hold_of(frame: FrameType | None, loop: asyncio.AbstractEventLoop | None) -> Hold | None:
    """Find whose step a frame belongs to, by the context that the step's tasks inherit."""
    while frame is not None:
        if frame.f_code in _IN_CONTEXT:
            # Private, but the only place where a callback's context is visible from outside.
            context = getattr(frame.f_locals.get("self"), "_context", None)
            return _hold_in(context)
        frame = frame.f_back
    # A loop not written in Python has no such frames; its tasks show it since 3.12.
    task: Any = None if loop is None else asyncio.current_task(loop)
    return _hold_in(task.get_context() if hasattr(task, "get_context") else None)


def _hold_in(context: Mapping[Any, Any] | None) -> Hold | None:
    found: Hold | None = None if context is None else context.get(current_hold)
    return found


def shortened(stack: str) -> str:
    """Return a stack that fits into an error record: its end is the most useful part."""
    return stack if len(stack) <= _LONGEST_STACK else "...\n" + stack[-_LONGEST_STACK:]
