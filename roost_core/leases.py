"""Keeping leases: one thread renews all of a worker's, whatever the event loop does.

The server decides who holds a lease. On this side two clocks guard against
believing in one for too long: the keeper's thread renews every third of the
time to live and reports what the server says is lost, and each hold stops
trusting itself when its time is over by this process's monotonic clock, counted
from before the request went out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections.abc import Sequence
from typing import Final

from roost_core import codec
from roost_core.backend import Beat, Renewer
from roost_core.errors import BackendError
from roost_core.models import Heartbeat, Lease, WorkerInfo
from roost_core.threads import run_in_thread

_log = logging.getLogger("roost.leases")

#: Heartbeats of engines are sent at once, but not more often than this. Seconds.
_BEAT_SPACING: Final = 1.0
#: Between two steps an event loop that has not moved for so long hangs. Seconds.
_BETWEEN_STEPS: Final = 60.0


class Hold:
    """A lease as its holder sees it. All but the attributes named for the thread is the loop's.

    :ivar lease: the lease.
    :ivar lost: why it is not trusted any more, or None.
    :ivar trusted_until: by the monotonic clock, in seconds.
    :ivar step_deadline: when the step in flight must have ended, or the next one begun,
        by the monotonic clock; the thread does not renew for one that is far beyond it.
    """

    def __init__(
        self, lease: Lease, asked_at: float, ttl: float, watch: Watch | None = None
    ) -> None:
        """Begin to hold a lease that was asked for at ``asked_at``; ``watch`` may be shared."""
        self.lease = lease
        self.lost: str | None = None
        self.trusted_until = asked_at + ttl
        self.step_deadline = time.monotonic() + _BETWEEN_STEPS
        self.heartbeat: bytes | None = None
        self._ttl = ttl
        self._scope: asyncio.Timeout | None = None
        self._loop = asyncio.get_running_loop()
        self._watch = watch or Watch()
        self._watch.add(self, self.trusted_until)

    def extend(self, asked_at: float) -> None:
        """Trust the lease anew: a request that went out at ``asked_at`` has extended it."""
        self.trusted_until = max(self.trusted_until, asked_at + self._ttl)

    def is_worth_extending(self, now: float) -> bool:
        """Whether a third of its time is over: sooner, the keeper's last renewal is enough."""
        return now > self.trusted_until - self._ttl * 2 / 3

    def begin_step(self, scope: asyncio.Timeout, seconds: float) -> None:
        """Let ``scope`` end the step that begins: after ``seconds``, or if the lease is lost."""
        self._scope = scope
        self.step_deadline = time.monotonic() + seconds
        self._watch.look_at(self.step_deadline)

    def end_step(self) -> None:
        """Take note that the step has ended."""
        self._scope = None
        self.step_deadline = time.monotonic() + _BETWEEN_STEPS

    def mark_lost(self, reason: str) -> None:
        """Stop trusting the lease, and end the step in flight."""
        if self.lost is not None:
            return
        self.lost = reason
        self._end_scope()

    def close(self) -> None:
        """Watch no more: the lease is given back."""
        self._watch.drop(self)

    def look(self, now: float) -> float:
        """End what is over, the trust in the lease or the time of the step.

        :returns: when to look again, by the monotonic clock.
        """
        if now >= self.trusted_until:
            self.mark_lost("it could not be renewed in time")
            return math.inf
        if self._scope is None:
            return self.trusted_until
        if now >= self.step_deadline:
            self._end_scope()
            return self.trusted_until
        return min(self.trusted_until, self.step_deadline)

    def _end_scope(self) -> None:
        if self._scope is not None:
            # An already expired scope refuses; then the step is being ended anyway.
            with contextlib.suppress(RuntimeError):
                self._scope.reschedule(self._loop.time())


class Watch:
    """Looks at holds when something of theirs may be over: one timer for all of a worker's.

    Most leases are given back, and most steps end, long before: a timer for each would be set
    and cancelled in vain thousands of times a second.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._holds: set[Hold] = set()
        self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def add(self, hold: Hold, at: float) -> None:
        """Watch a hold, and look at ``at`` (monotonic seconds) at the latest."""
        self._holds.add(hold)
        self.look_at(at)

    def drop(self, hold: Hold) -> None:
        """Watch a hold no more."""
        self._holds.discard(hold)
        if not self._holds and self._timer is not None:
            self._timer.cancel()
            self._at, self._timer = math.inf, None

    def look_at(self, at: float) -> None:
        """Look at all of them at ``at`` (monotonic seconds), if not sooner."""
        if at < self._at:
            if self._timer is not None:
                self._timer.cancel()
            self._at = at
            self._timer = self._loop.call_later(at - time.monotonic(), self._look)

    def _look(self) -> None:
        self._at, self._timer = math.inf, None
        now = time.monotonic()
        self.look_at(min((hold.look(now) for hold in list(self._holds)), default=math.inf))


class LeaseKeeper:
    """Renews every hold of one worker from a thread of its own, and announces the worker."""

    def __init__(self, renewer: Renewer, info: WorkerInfo) -> None:
        self._renewer = renewer
        self._info = codec.encode_model(info)
        self._ttl = info.lease_ttl_seconds
        self._loop = asyncio.get_running_loop()
        self._watch = Watch()
        self._holds: dict[str, Hold] = {}
        self._changed = threading.Condition()
        self._beat_waits = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="roost-leases", daemon=True)

    def start(self) -> None:
        """Start the thread; it announces the worker at once."""
        self._thread.start()

    async def close(self) -> None:
        """Stop renewing, and wait for the thread to end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        # In a daemon thread: one that waits for a dead server must not hold the process.
        await run_in_thread(self._thread.join, self._ttl)

    def hold(self, lease: Lease, asked_at: float) -> Hold:
        """Begin to keep a lease that was asked for at ``asked_at`` (monotonic seconds)."""
        hold = Hold(lease, asked_at, self._ttl, self._watch)
        with self._changed:
            self._holds[lease.token] = hold
        return hold

    def let_go(self, hold: Hold) -> None:
        """Stop keeping a lease; what the thread still hears of it is of no interest."""
        hold.close()
        with self._changed:
            self._holds.pop(hold.lease.token, None)

    def beat(self, hold: Hold, heartbeat: Heartbeat) -> None:
        """Send an engine's heartbeat soon. Safe from any thread."""
        with self._changed:
            hold.heartbeat = codec.encode_model(heartbeat)
            self._beat_waits = True
            self._changed.notify()

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            try:
                self._renew(began)
                failures = 0
            except BackendError as error:
                failures += 1
                if failures == 1:
                    _log.warning("leases cannot be renewed, trying again: %s", error)
            except Exception:  # noqa: BLE001 - a thread that ended would lose every lease
                failures += 1
                _log.exception("leases cannot be renewed, trying again")
            pause = self._ttl / 3 if not failures else min(self._ttl / 10, 1.0)
            if self._wait(began + pause, began + min(_BEAT_SPACING, pause)):
                break
        with contextlib.suppress(Exception):
            self._renewer.close()

    def _wait(self, renew_at: float, beat_at: float) -> bool:
        """Wait for the next renewal, or for a heartbeat to send; return whether it is over."""
        with self._changed:
            while not self._closed:
                until = beat_at if self._beat_waits else renew_at
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return self._closed

    def _renew(self, now: float) -> None:
        with self._changed:
            self._beat_waits = False
            holds = [
                hold
                for hold in self._holds.values()
                # A step so far beyond its time hangs, or hangs the whole loop: let others have it.
                if hold.lost is None and now < hold.step_deadline + self._ttl
            ]
            beats = [Beat(h.lease.work_id, h.lease.token, h.heartbeat) for h in holds]
            for hold in holds:
                hold.heartbeat = None
        try:
            lost = set(self._renewer.renew(self._info, beats, round(self._ttl * 1000)))
        except BaseException:
            with self._changed:
                for hold, beat in zip(holds, beats, strict=True):
                    hold.heartbeat = hold.heartbeat or beat.heartbeat  # for the next try
            raise
        self._report(holds, lost, now)

    def _report(self, holds: Sequence[Hold], lost: set[str], asked_at: float) -> None:
        def tell() -> None:
            for hold in holds:
                if hold.lease.token not in lost:
                    hold.extend(asked_at)
                elif hold.lease.token in self._holds:
                    hold.mark_lost("somebody else owns the work now")

        with contextlib.suppress(RuntimeError):  # The loop has ended: so have the holds.
            self._loop.call_soon_threadsafe(tell)
