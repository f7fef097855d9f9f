"""What happens to a worker whose event loop does not move.

After a few seconds the log says what hangs, and where. After one lease time to live
the register shows the worker as stuck. After ``ROOST_STUCK_AFTER`` the work item that
hangs gets a failed attempt, everything else that the worker holds is given back without
blame, and the process ends, so that a service manager restarts it. The keeper's thread
does all of this, over its own connection.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from roost_core.backend.renewal import Renewer
from roost_core.errors import BackendError, LeaseLost
from roost_core.models.standing import ErrorRecord
from roost_core.models.worker import Stuck, WorkerInfo
from roost_core.stepping.hanging import Pulse, Sight, shortened
from roost_core.stepping.holds import Hold

_log = logging.getLogger("roost.leases")

#: The exit code of a worker that hung and ended itself.
EXIT_STUCK: Final = 75
#: An event loop that has not moved for this long is reported in the log. Seconds.
TELL_AFTER: Final = 5.0
#: How long a process tries to settle its work before it ends. Seconds.
_END_SECONDS: Final = 5.0
#: How long it waits for its last message to be logged. Seconds.
_SAY_SECONDS: Final = 1.0


class Stall:
    """Watches one worker's event loop; only the keeper's thread uses it.

    :ivar stuck: what the register should show, or None.
    :ivar given_back: tokens of leases that were given up on behalf of the loop.
    """

    def __init__(
        self,
        renewers: Sequence[Renewer],
        info: WorkerInfo,
        stuck_after: float,
        kept: Callable[[], Sequence[Hold]],
        end: Callable[[int], object] = os._exit,
    ) -> None:
        """Begin to watch.

        :param renewers: one for each of the worker's ledgers.
        :param stuck_after: seconds after which a loop that does not move ends the process;
            0 for never.
        :param kept: returns what the worker holds.
        :param end: ends the process.
        """
        self._renewers = renewers
        self._info = info
        self._ttl = info.lease_ttl_seconds
        self._stuck_after = stuck_after
        self._kept = kept
        self._end = end
        self._pulse = Pulse()
        self._sight: Sight | None = None
        self._longest = 0.0
        self._is_told = False
        self.stuck: Stuck | None = None
        self.given_back: set[str] = set()

    @property
    def will_end(self) -> bool:
        """Whether the loop hangs, and the process will end if that continues."""
        return self._sight is not None and self._stuck_after > 0

    def look(self, held_up: float = 0.0) -> bool:
        """Check the loop.

        :param held_up: seconds for which the thread knows it could not check.
        :returns: whether ``stuck`` has changed.
        """
        still = self._pulse.look(held_up)
        if still == 0:
            return self._moves()
        self._longest = still
        if still < min(TELL_AFTER, self._ttl):
            return False
        if self._sight is None:
            self._sight = self._pulse.sight()
        if not self._is_told and still >= TELL_AFTER:
            self._is_told = True
            self._tell(self._sight, still)
        has_changed = False
        if self.stuck is None and still >= self._ttl:
            self.stuck = Stuck(
                since=datetime.now(UTC) - timedelta(seconds=still),
                where=self._sight.place,
                work_id=_work_id(self._sight),
            )
            has_changed = True
        if self._stuck_after and still >= self._stuck_after:
            self._end_process(still)
        else:
            self._give_up_overdue(self._sight)
        return has_changed

    def _moves(self) -> bool:
        if self._is_told:
            text = "the event loop moves again, after %.0f s"
            _say(logging.WARNING, text, self._longest, action="loop_moves")
        if self.given_back:
            self.given_back.intersection_update(one.lease.token for one in self._kept())
        was_stuck = self.stuck is not None
        self._sight, self._is_told, self.stuck = None, False, None
        return was_stuck

    def _tell(self, sight: Sight, still: float) -> None:
        work_id = _work_id(sight)
        _say(
            logging.WARNING,
            "the event loop has not moved for %.0f s: %s hangs at %s; "
            "no other work of this worker continues\n%s",
            still,
            f"the step of {work_id}" if work_id else "something outside of any step",
            sight.place,
            sight.stack,
            action="loop_hangs",
            work_id=work_id,
        )

    # -- settling what it holds ------------------------------------------------------------

    def _give_up_overdue(self, sight: Sight) -> None:
        """Let others have work that is a TTL beyond its step's time, and say whose fault it is."""
        now = time.monotonic()
        overdue = [
            hold
            for hold in self._kept()
            if hold.is_in_step and now >= hold.step_deadline + self._ttl
        ]
        self._give_up_all(overdue, sight)

    def _end_process(self, still: float) -> None:
        # What hangs now may not be what hung at first.
        sight = self._sight = self._pulse.sight()
        work_id = _work_id(sight)
        # In a thread, because nothing that it waits for may keep the process alive.
        order = threading.Thread(target=self._put_in_order, args=(sight,), daemon=True)
        order.start()
        order.join(_END_SECONDS)
        _say(
            logging.CRITICAL,
            "this worker ends: its event loop has not moved for %.0f s (%s hangs at %s)",
            still,
            f"the step of {work_id}" if work_id else "something outside of any step",
            sight.place,
            action="worker_stuck",
            work_id=work_id,
            is_last=True,
        ).join(_SAY_SECONDS)
        self._end(EXIT_STUCK)

    def _put_in_order(self, sight: Sight) -> None:
        # The one to blame first: if there is time for only one, that should be it.
        self._give_up_all(sorted(self._kept(), key=lambda one: one is not sight.hold), sight)

    def _give_up_all(self, holds: Iterable[Hold], sight: Sight) -> None:
        """End leases on behalf of the loop; skip the rest of a ledger that does not answer."""
        silent: set[int] = set()
        for hold in holds:
            if hold.source not in silent and not self._give_up(hold, sight):
                silent.add(hold.source)

    def _give_up(self, hold: Hold, sight: Sight) -> bool:
        """End a lease on behalf of the loop; return whether the server answered."""
        lease = hold.lease
        if hold.lost is not None or lease.token in self.given_back:
            return True
        try:
            # Read once: if the loop moves after all, it may clear this.
            blame = hold.blame
            renewer = self._renewers[hold.source]
            if hold is sight.hold and blame is not None:
                renewer.fail(lease, blame(self._error(sight)))
            else:
                reason = f"its worker hung in {_work_id(sight) or sight.place}"
                renewer.interrupt(lease, "hung", reason, None)
        except LeaseLost:
            pass
        except BackendError as error:
            _log.debug("%s cannot be given back: %s", lease.work_id, error)
            return False
        self.given_back.add(lease.token)
        return True

    def _error(self, sight: Sight) -> ErrorRecord:
        return ErrorRecord(
            kind="hung",
            message=f"the step blocked its worker's event loop for {self._longest:.0f} s, "
            f"at {sight.place}",
            traceback=shortened(sight.stack),
            worker_id=self._info.worker_id,
        )


def _work_id(sight: Sight) -> str | None:
    return None if sight.hold is None else sight.hold.lease.work_id


def _say(
    level: int,
    text: str,
    *args: object,
    action: str = "",
    work_id: str | None = None,
    is_last: bool = False,
) -> threading.Thread:
    """Log from a separate thread: the loop may hang in logging, holding the handler's lock."""

    def say() -> None:
        _log.log(level, text, *args, extra={"action": action, "work_id": work_id})
        if is_last:
            for handler in logging.getLogger().handlers:
                handler.flush()

    saying = threading.Thread(target=say, daemon=True)
    saying.start()
    return saying
