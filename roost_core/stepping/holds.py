"""Leases as their holders see them, and one timer that watches all of a worker's.

A hold stops trusting itself when its time is up by this process's monotonic clock,
counted from before the request was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final, Protocol

from roost_core.backend.messages import Failure
from roost_core.models.standing import ErrorRecord
from roost_core.models.worker import Lease
from roost_core.stepping.outcome import Ending

#: Between two steps, an event loop that has not moved for this long hangs. Seconds.
BETWEEN_STEPS: Final = 60.0
#: A step that still runs this long after it was ended is deaf to it. Seconds.
DEAF_AFTER: Final = 5.0


class Scope(Protocol):
    """What ends a step; :class:`asyncio.Timeout` is one."""

    def reschedule(self, when: float | None, /) -> None:
        """End the step at ``when``, by the loop's clock; it is always now."""


class Hold:
    """A lease as its holder sees it.

    It belongs to the event loop; the keeper's thread only reads it, takes its ``heartbeat``, and
    brings its ``step_deadline`` forward if people want its work ended.

    :ivar lease: the lease.
    :ivar source: the number of the ledger it belongs to, among the worker's.
    :ivar ending: why no further step begins under it, or None; whatever a step brings then is
        dropped. Of several reasons the first counts.
    :ivar lost: why it is no longer trusted, or None.
    :ivar trusted_until: by the monotonic clock, in seconds.
    :ivar step_deadline: when the step in flight must have ended, or the next one begun,
        by the monotonic clock; the thread stops renewing a hold that is far beyond it.
    :ivar blame: turns an error into a failed attempt, or None while nothing can be blamed.
    """

    def __init__(
        self,
        lease: Lease,
        asked_at: float,
        ttl: float,
        watch: Watch | None = None,
        source: int = 0,
    ) -> None:
        """Begin to hold a lease that was requested at ``asked_at``; ``watch`` may be shared."""
        self.lease = lease
        self.source = source
        self.ending: Ending | None = None
        self.lost: str | None = None
        self.trusted_until = asked_at + ttl
        self.step_deadline = time.monotonic() + BETWEEN_STEPS
        self.heartbeat: bytes | None = None
        self.blame: Callable[[ErrorRecord], Failure] | None = None
        #: When the newest step began, by the monotonic clock, and how long it took, in seconds.
        self.step_began = self.step_took = 0.0
        self._ttl = ttl
        self._scope: Scope | None = None
        #: When the step in flight was ended, by the monotonic clock, and whether it is deaf.
        self._ended_at: float | None = None
        self._is_deaf = False
        # From now on: a hang in an observer, between two steps, belongs to this work, too.
        current_hold.set(self)
        self._watch = watch or Watch()
        self._watch.add(self, self.trusted_until)

    def extend(self, asked_at: float) -> None:
        """Trust the lease for longer: a request sent at ``asked_at`` has extended it."""
        self.trusted_until = max(self.trusted_until, asked_at + self._ttl)

    def is_worth_extending(self, now: float) -> bool:
        """Whether a third of its time is over; before that, the keeper's last renewal is enough."""
        return now > self.trusted_until - self._ttl * 2 / 3

    def begin_step(self, scope: Scope, seconds: float) -> None:
        """Let ``scope`` end the step that begins: after ``seconds``, or once the lease is lost."""
        self._scope = scope
        self.step_began = now = time.monotonic()
        self.step_deadline = now + seconds
        self._watch.look_at(self.step_deadline)

    def end_step(self) -> None:
        """Record that the step has ended."""
        self._scope = None
        now = time.monotonic()
        self.step_took = now - self.step_began
        self.step_deadline = now + BETWEEN_STEPS
        if self._ended_at is not None:
            self._ended_at = None
            if self._is_deaf:
                self._is_deaf = False
                self._watch.on_heard(self)

    @property
    def is_in_step(self) -> bool:
        """Whether a step is in flight."""
        return self._scope is not None

    def mark_lost(self, reason: str) -> None:
        """Stop trusting the lease, and end the step in flight."""
        if self.lost is not None:
            return
        self.lost = reason
        self.ending = self.ending or Ending.LOST
        self._end_scope()

    def mark_wanted(self) -> None:
        """Record that people want the work ended, and end the step in flight.

        The lease is kept until that has let go, or for as long as after its own time is over.
        """
        if self.ending is not None:
            return
        self.ending = Ending.WANTED
        self.step_deadline = min(self.step_deadline, time.monotonic())
        self._end_scope()

    def close(self) -> None:
        """Stop watching: the lease is given back."""
        if current_hold.get() is self:
            current_hold.set(None)
        self.blame = None  # it refers to the hold: avoid a cycle
        self._watch.drop(self)

    def look(self, now: float) -> float:
        """End what has run out: the trust in the lease, or the time of the step.

        :returns: when to check again, by the monotonic clock.
        """
        next_look = self.trusted_until
        if now >= self.trusted_until:
            self.mark_lost("it could not be renewed in time")
            next_look = math.inf
        if self._scope is None:
            return next_look
        if self._ended_at is None and self.ending is None:
            if now < self.step_deadline:
                return min(next_look, self.step_deadline)
            self._end_scope()
        return min(next_look, self._look_for_its_end(now))

    def _look_for_its_end(self, now: float) -> float:
        """Check whether the step has heard that it was ended; return when to check again."""
        if self._ended_at is None or self._is_deaf:
            return math.inf
        if now < self._ended_at + DEAF_AFTER:
            return self._ended_at + DEAF_AFTER
        self._is_deaf = True
        self._watch.on_deaf(self)
        return math.inf

    def _end_scope(self) -> None:
        if self._scope is not None:
            if self._ended_at is None:
                self._ended_at = time.monotonic()
                self._watch.look_at(self._ended_at + DEAF_AFTER)
            # A scope that has expired refuses; then the step is being ended anyway.
            with contextlib.suppress(RuntimeError):
                self._scope.reschedule(asyncio.get_running_loop().time())


class Watch:
    """Checks holds when something of theirs may have run out: one timer for all of a worker's.

    Most leases are given back, and most steps end, long before that: timers for each would be
    set and cancelled for nothing, thousands of times a second.
    """

    def __init__(
        self,
        on_deaf: Callable[[Hold], None] = lambda _: None,
        on_heard: Callable[[Hold], None] = lambda _: None,
    ) -> None:
        """Begin with nothing to watch.

        :param on_deaf: called with a hold whose step still runs although it was ended.
        :param on_heard: called with the hold when such a step has ended after all.
        """
        self.on_deaf = on_deaf
        self.on_heard = on_heard
        self._loop = asyncio.get_running_loop()
        self._holds: set[Hold] = set()
        self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def add(self, hold: Hold, at: float) -> None:
        """Watch a hold, and check it at ``at`` (monotonic seconds) at the latest."""
        self._holds.add(hold)
        self.look_at(at)

    def drop(self, hold: Hold) -> None:
        """Stop watching a hold."""
        self._holds.discard(hold)
        if not self._holds and self._timer is not None:
            self._timer.cancel()
            self._at, self._timer = math.inf, None

    def look_at(self, at: float) -> None:
        """Check all of them at ``at`` (monotonic seconds), if not sooner."""
        if at < self._at:
            if self._timer is not None:
                self._timer.cancel()
            self._at = at
            self._timer = self._loop.call_later(at - time.monotonic(), self._look)

    def _look(self) -> None:
        self._at, self._timer = math.inf, None
        now = time.monotonic()
        self.look_at(min((hold.look(now) for hold in list(self._holds)), default=math.inf))


#: The hold whose step runs, also in the tasks and callbacks that the step starts.
current_hold: ContextVar[Hold | None] = ContextVar("roost_current_hold", default=None)
