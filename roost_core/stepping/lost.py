"""Steps that still run although they were ended: coroutines deaf to cancellation, and threads.

A step that has timed out, or whose lease is lost, is ended: its coroutine is cancelled,
and nobody waits for its thread any more. If it runs on anyway, it occupies a lane or a
thread. That is logged, shown in the register and made up for, up to a bound; beyond that
the worker takes no more work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from roost_core import threads
from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Ack
from roost_core.backend.serving import LostLanes
from roost_core.errors import RoostError
from roost_core.models.standing import ErrorRecord
from roost_core.stepping.hanging import sight
from roost_core.stepping.holds import DEAF_AFTER, Hold, current_hold
from roost_core.stepping.outcome import ENDED_BY_PEOPLE, ENDED_ID, Ending

_log = logging.getLogger("roost.worker")

#: How long to try to end the lease of a deaf step. Seconds.
_FAIL_SECONDS: Final = 30.0


class LostSteps:
    """Counts what one worker has lost. Everything but :meth:`look` is for the event loop."""

    def __init__(self, ledgers: Sequence[Ledger], concurrency: int, ttl: float) -> None:
        """Begin with nothing lost; call this on the event loop of the worker's steps."""
        self._ledgers = ledgers
        self._ttl = ttl
        self._loop = asyncio.get_running_loop()
        self._threads = threads.pool_of(self._loop)
        #: What the server's lanes are told.
        self.lanes = LostLanes(concurrency, self._threads.count_left)
        self._told: set[threads.Left] = set()
        self._was_full = False
        self._shown = 0
        self._failing: dict[Hold, asyncio.Task[None]] = {}

    def deaf(self, hold: Hold) -> None:
        """Record that a step still runs although it was cancelled."""
        self.lanes.lanes += 1
        _log.warning(
            "%s: its step was ended %.0f s ago but still runs, deaf to cancellation; %s",
            hold.lease.work_id,
            DEAF_AFTER,
            "another lane takes its place"
            if self.lanes.lanes <= self.lanes.bound
            else "no lane is left to take its place",
            extra={"action": "lane_lost", "work_id": hold.lease.work_id},
        )
        self._failing[hold] = self._loop.create_task(self._fail(hold))
        self._note_change()

    def heard(self, hold: Hold) -> None:
        """Record that such a step has ended after all."""
        self.lanes.lanes -= 1
        self.lanes.ended.discard(hold.lease.token)
        failing = self._failing.pop(hold, None)
        if failing is not None:
            failing.cancel()
        _log.warning(
            "%s: its step has ended after all; its lane is back",
            hold.lease.work_id,
            extra={"action": "lane_back", "work_id": hold.lease.work_id},
        )
        self._note_change()

    async def _fail(self, hold: Hold) -> None:
        """End the lease of a step that is a TTL beyond its time; others may have the work."""
        if hold.lost is None:
            await asyncio.sleep(max(0.0, hold.step_deadline + self._ttl - time.monotonic()))
        await self._end_lease(hold)
        # The server may lease it to others: what this worker takes now does not run beside it.
        self.lanes.ended.add(hold.lease.token)
        self._note_change()

    async def _end_lease(self, hold: Hold) -> None:
        if hold.lost is not None or hold.blame is None:
            return
        ledger, lease = self._ledgers[hold.source], hold.lease
        end: Callable[[], Awaitable[Ack]]
        if hold.ending is Ending.WANTED:
            end = partial(ledger.interrupt, lease, ENDED_ID, ENDED_BY_PEOPLE, None)
        else:
            record = ErrorRecord(
                kind="timeout",
                message="the step took too long, and did not end when it was cancelled",
                error_type="StepTimeout",
                worker_id=lease.worker_id,
            )
            end = partial(ledger.fail, lease, hold.blame(record))
        hold.mark_lost("its step does not end")
        try:
            async with asyncio.timeout(_FAIL_SECONDS):
                await end()
        except (RoostError, TimeoutError) as error:
            _log.warning("%s: its lease cannot be given up: %s", lease.work_id, error)

    def _note_change(self) -> None:
        if self.lanes.is_full and not self._was_full:
            _log.error(
                "%d steps still run although they were ended, more than this worker can make up "
                "for: it takes no more work until some of them end",
                self.lanes.count,
                extra={"action": "lanes_lost"},
            )
        self._was_full = self.lanes.is_full
        self.lanes.changed.set()

    # -- the keeper's thread ---------------------------------------------------------------

    def look(self) -> int:
        """Log threads that still run; return how many lanes and threads are lost."""
        left = self._threads.left_running()
        now = time.monotonic()
        for one in left:
            if one not in self._told and now - one.since >= DEAF_AFTER:
                self._told.add(one)
                self._tell(one)
        self._told.intersection_update(left)
        count = self.lanes.lanes + len(left)
        if count != self._shown:
            self._shown = count
            try:
                self._loop.call_soon_threadsafe(self._note_change)
            except RuntimeError:  # the loop has ended, and so has the worker
                return count
        return count

    def _tell(self, left: threads.Left) -> None:
        hold = left.context.get(current_hold)
        work_id = None if hold is None else hold.lease.work_id
        seen = sight(left.thread)
        _log.warning(
            "%s: given up %.0f s ago, but its thread still runs, at %s\n%s",
            work_id or left.name,
            DEAF_AFTER,
            seen.place,
            seen.stack,
            extra={"action": "thread_lost", "work_id": work_id},
        )
