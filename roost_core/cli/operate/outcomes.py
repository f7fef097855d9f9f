"""What a worker tells of its steps: a line each, up to a rate; above that, a line each second.

It costs a step a few additions: lines are made of the first few in a second only.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Final

from roost_core.models.snapshot import Snapshot
from roost_core.models.work import State, WorkItem
from roost_core.shown.spans import took

#: In a second, this many outcomes have lines of their own.
MOST_LINES: Final = 20
#: For how long outcomes are counted, in seconds.
PERIOD: Final = 1.0

#: What else may become of a step, in the log's own words, and how it is counted.
_FAILED: Final = frozenset({"attempt_failed", "steps_used_up"})
_ENDED: Final = frozenset({"lease_lost", "cancelled", "buried"})

_log = logging.getLogger("roost.worker")


class Outcomes(logging.Filter):
    """Hears of accepted steps, and sees what the log says of all others.

    :ivar done: how much work has been done here.
    :ivar failed: how many attempts have failed here.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.done = self.failed = 0
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._room = MOST_LINES
        self._is_armed = False
        self._seen = self._seen_done = self._seen_failed = self._seen_ended = 0

    def accepted(self, item: WorkItem, snapshot: Snapshot, state: State, seconds: float) -> None:
        """Count a step, and log it if not too many are logged already."""
        self._seen += 1
        if state is State.DONE:
            self._seen_done += 1
            self.done += 1
        if not self._is_armed:
            self._arm()
        if self._room > 0:
            self._room -= 1
            _say(item, snapshot, state, seconds)

    def filter(self, record: logging.LogRecord) -> bool:
        """Count what a record tells of a step; false if too many have been logged."""
        action = getattr(record, "action", None)
        if action in _FAILED:
            self._seen_failed += 1
            self.failed += 1
        elif action in _ENDED:
            self._seen_ended += 1
        else:
            return True
        if not self._is_armed:
            self._arm()
        self._room -= 1
        return self._room >= 0

    def tell(self) -> None:
        """Log what had no lines of its own, and begin to count anew."""
        self._is_armed = False
        steps, done, failed, ended = (
            self._seen,
            self._seen_done,
            self._seen_failed,
            self._seen_ended,
        )
        self._seen = self._seen_done = self._seen_failed = self._seen_ended = 0
        total = steps + failed + ended
        if total > MOST_LINES:
            # From here on only in sums, until there is less to tell.
            self._room = 0
            _say_sum(steps, done, failed, ended)
        else:
            if self._room <= 0 and total:
                _say_sum(steps, done, failed, ended)
            self._room = MOST_LINES
        if total:
            self._arm()

    def _arm(self) -> None:
        self._is_armed = True
        if threading.get_ident() == self._loop_thread:
            self._later()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._later)

    def _later(self) -> None:
        self._loop.call_later(PERIOD, self.tell)


def _say(item: WorkItem, snapshot: Snapshot, state: State, seconds: float) -> None:
    is_done = state is State.DONE
    _log.info(
        '%s %s v%d "%s" %s%s',
        item.work_id,
        item.engine,
        snapshot.version,
        snapshot.step,
        took(seconds * 1000),
        f", done in {snapshot.version} steps" if is_done else "",
        extra={
            "action": "done" if is_done else "step_accepted",
            "work_id": item.work_id,
            "engine": item.engine,
            "version": snapshot.version,
            "step": snapshot.step,
            "state": state.value,
            "took_ms": round(seconds * 1000, 3),
        },
    )


def _say_sum(steps: int, done: int, failed: int, ended: int) -> None:
    parts = [f"{steps} steps"]
    parts += [f"{done} done"] if done else []
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{ended} ended early"] if ended else []
    _log.info(
        "in the last second: %s",
        " · ".join(parts),
        extra={
            "action": "steps_summed",
            "steps": steps,
            "done": done,
            "failed": failed,
            "ended_early": ended,
        },
    )
