"""Keeping leases: one thread renews all of a worker's, whatever the event loop does.

The server decides who holds a lease. On this side, two clocks keep the worker from
trusting one for too long: the keeper's thread renews after every third of the time to
live and reports what the server says is lost, and each hold stops trusting itself
when its time is up (``holds.py``).

The same thread notices when the event loop does not move: it logs what hangs, has
the register show it, and in the end settles what the worker holds and ends the
process (``stuck.py``).
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

import attrs

from roost_core.backend.messages import Beat, Renewed
from roost_core.backend.renewal import Renewer
from roost_core.codec.records import encode_model
from roost_core.errors import BackendError
from roost_core.models.worker import Heartbeat, Lease, WorkerInfo
from roost_core.stepping.hanging import TICK
from roost_core.stepping.holds import Hold, Watch
from roost_core.stepping.lost import LostSteps
from roost_core.stepping.rates import Rates
from roost_core.stepping.stuck import Stall
from roost_core.threads import run_in_thread

_log = logging.getLogger("roost.leases")

#: Engines' heartbeats are sent at once, but no more often than this. Seconds.
_BEAT_SPACING: Final = 1.0
#: A worker that is asked to look renews at once, but not more often than this. Seconds.
_LOOK_SPACING: Final = 0.05
#: A renewal waits for its answer no longer than about this. Seconds.
_LONGEST_RENEWAL: Final = 10.0


@attrs.define(eq=False)
class _Turn:
    """When a ledger's leases are renewed next, or its heartbeats sent if there are any.

    Times are monotonic seconds.
    """

    number: int
    renewer: Renewer
    rates: Rates = attrs.field(factory=Rates)
    failures: int = 0
    renew_at: float = 0.0
    beat_at: float = 0.0
    look_at: float = 0.0

    def due_at(self, waits: _Waits) -> float:
        if self.number in waits.looks:
            return self.look_at
        return self.beat_at if self.number in waits.beats else self.renew_at

    def urgency(self, now: float, waits: _Waits) -> tuple[bool, bool, float]:
        """Return a sort key: due turns first, and of those the ones answered last time."""
        due_at = self.due_at(waits)
        return due_at > now, self.failures > 0, due_at


@attrs.frozen(eq=False)
class _Waits:
    """The numbers of ledgers that are not to wait for their turn."""

    #: To these a heartbeat is to be sent.
    beats: set[int] = attrs.field(factory=set)
    #: Of these people want something.
    looks: set[int] = attrs.field(factory=set)

    def end(self, number: int) -> None:
        """Record that a renewal begins, which has them all."""
        self.beats.discard(number)
        self.looks.discard(number)


class LeaseKeeper:
    """Renews every hold of one worker from a thread of its own, and announces the worker.

    Each ledger that the worker serves is renewed by itself, all its leases in one command.
    """

    def __init__(
        self,
        renewers: Sequence[Renewer],
        info: WorkerInfo,
        *,
        stuck_after: float = 0,
        lost: LostSteps | None = None,
    ) -> None:
        """Prepare; call this on the event loop that the holds belong to.

        :param renewers: one for each of the worker's ledgers.
        :param stuck_after: seconds after which an event loop that does not move ends the
            process; 0 for never.
        :param lost: counts the steps that still run although they were ended.
        """
        self._turns = [_Turn(number, renewer) for number, renewer in enumerate(renewers)]
        self._info = info
        self._word = encode_model(info)
        self._ttl = info.lease_ttl_seconds
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._lost_count = 0
        self._watch = Watch() if lost is None else Watch(lost.deaf, lost.heard)
        self._holds: dict[str, Hold] = {}
        #: Guards all that loop and thread share. Taken directly where nobody is to be notified: a
        #: condition is entered and left in Python code, and each claim does so twice.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waits = _Waits()
        #: When people last wanted something of each ledger, by the monotonic clock.
        self._wanted_at = [-math.inf] * len(self._turns)
        self._closed = False
        self._stall = Stall(renewers, info, stuck_after, self._kept)
        self._thread = threading.Thread(target=self._run, name="roost-leases", daemon=True)

    def start(self) -> None:
        """Start the thread; it announces the worker at once."""
        self._thread.start()

    async def close(self) -> None:
        """Stop renewing, and wait for the thread to end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        # In a daemon thread: waiting for a dead server must not keep the process alive.
        await run_in_thread(self._thread.join, self._ttl)

    def hold(self, lease: Lease, asked_at: float, source: int = 0) -> Hold:
        """Begin to keep a lease that was requested at ``asked_at`` (monotonic seconds).

        :param source: the number of the ledger it belongs to, among the worker's.
        """
        hold = Hold(lease, asked_at, self._ttl, self._watch, source)
        with self._lock:
            self._holds[lease.token] = hold
        if asked_at <= self._wanted_at[source]:
            # Perhaps of this one: it was still on its way, and so the renewal was without it.
            self._look_at(source)
        return hold

    def let_go(self, hold: Hold) -> None:
        """Stop keeping a lease; whatever the thread still hears about it is ignored."""
        hold.close()
        with self._lock:
            self._holds.pop(hold.lease.token, None)

    def beat(self, hold: Hold, heartbeat: Heartbeat) -> None:
        """Send an engine's heartbeat soon. Safe from any thread."""
        with self._changed:
            hold.heartbeat = encode_model(heartbeat)
            self._waits.beats.add(hold.source)
            self._changed.notify()

    def rates(self, source: int) -> Rates:
        """Return what counts the steps of a ledger's work; it is sent with renewals.

        :param source: the ledger's number.
        """
        return self._turns[source].rates

    def renew_now(self, source: int) -> None:
        """Renew the leases of a ledger now, because people want something. Safe from any thread.

        :param source: the ledger's number.
        """
        self._wanted_at[source] = time.monotonic()
        self._look_at(source)

    def _look_at(self, source: int) -> None:
        with self._changed:
            self._waits.looks.add(source)
            self._changed.notify()

    def _kept(self) -> Sequence[Hold]:
        with self._changed:
            return list(self._holds.values())

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            began = time.monotonic()
            # One at a time, failed ones after all others: none waits for more than one of these.
            self._take(min(self._turns, key=lambda turn: turn.urgency(began, self._waits)))
            self._look(held_up=min(time.monotonic() - began, _LONGEST_RENEWAL))
            if self._wait():
                break
        for turn in self._turns:
            with contextlib.suppress(Exception):
                self._tell_rest(turn)
            with contextlib.suppress(Exception):
                turn.renewer.close()

    def _tell_rest(self, turn: _Turn) -> None:
        """Send what was counted since the last renewal; it keeps no lease.

        A worker that only lives for a burst has told nothing yet.
        """
        # Where the server was away just now, nobody waits for it: rates are for people.
        tally = None if turn.failures else turn.rates.take()
        if turn.renewer.takes_tally and tally is not None:
            turn.renewer.renew(self._word, (), round(self._ttl * 1000), tally=tally)

    def _take(self, turn: _Turn) -> None:
        began = time.monotonic()
        try:
            self._renew(turn, began)
            if turn.failures:
                _log.info("leases are renewed again")
            turn.failures = 0
        except BackendError as error:
            turn.failures += 1
            if turn.failures == 1:
                _log.warning("leases cannot be renewed, trying again: %s", error)
        except Exception:  # noqa: BLE001 - a thread that ended would lose every lease
            turn.failures += 1
            _log.exception("leases cannot be renewed, trying again")
        pause = self._ttl / 3 if not turn.failures else min(self._ttl / 10, 1.0)
        turn.renew_at = began + pause
        turn.beat_at = began + min(_BEAT_SPACING, pause)
        turn.look_at = began + (pause if turn.failures else min(_LOOK_SPACING, pause))

    def _wait(self) -> bool:
        """Wait for the next renewal or a heartbeat to send; return whether the keeper is closed."""
        while True:
            with self._changed:
                until = min(turn.due_at(self._waits) for turn in self._turns)
                left = until - time.monotonic()
                if left <= 0 or self._closed:
                    return self._closed
                self._changed.wait(min(left, TICK))
            self._look()

    def _look(self, held_up: float = 0.0) -> None:
        """Check whether the event loop moves; the register should soon show it if it does not."""
        try:
            has_changed = self._stall.look(held_up)
            lost = 0 if self._lost is None else self._lost.look()
        except Exception:  # noqa: BLE001 - as above
            _log.exception("cannot check whether the event loop moves")
            return
        if has_changed or lost != self._lost_count:
            self._lost_count = lost
            word = attrs.evolve(self._info, stuck=self._stall.stuck, lost=lost)
            self._word = encode_model(word)
            with self._changed:
                self._waits.beats.update(turn.number for turn in self._turns)

    def _renew(self, turn: _Turn, now: float) -> None:
        with self._changed:
            self._waits.end(turn.number)
            holds = [
                hold
                for hold in self._holds.values()
                if hold.source == turn.number and self._is_to_be_kept(hold, now)
            ]
            beats = [Beat(h.lease.work_id, h.lease.token, h.heartbeat) for h in holds]
            for hold in holds:
                hold.heartbeat = None
        # Taken in any case: they must not grow. Sent once: a lost answer must not count twice.
        tally = turn.rates.take()
        more = {"tally": tally} if turn.renewer.takes_tally and tally is not None else {}
        try:
            renewed = turn.renewer.renew(self._word, beats, round(self._ttl * 1000), **more)
        except BaseException:
            with self._changed:
                for hold, beat in zip(holds, beats, strict=True):
                    hold.heartbeat = hold.heartbeat or beat.heartbeat  # for the next try
            raise
        self._report(holds, renewed, now)

    def _is_to_be_kept(self, hold: Hold, now: float) -> bool:
        if hold.lost is not None or hold.lease.token in self._stall.given_back:
            return False
        # A step this far beyond its time hangs, or hangs the whole loop: let others have its work.
        # Between two steps, another step hangs; the work is given back when this process ends.
        return now < hold.step_deadline + self._ttl or (
            self._stall.will_end and not hold.is_in_step
        )

    def _report(self, holds: Sequence[Hold], renewed: Renewed, asked_at: float) -> None:
        lost, wanted = set(renewed.lost), set(renewed.wanted)

        def tell() -> None:
            for hold in holds:
                token = hold.lease.token
                if token not in lost:
                    hold.extend(asked_at)
                    if token in wanted and token in self._holds:
                        hold.mark_wanted()
                elif token in self._holds:
                    hold.mark_lost("somebody else owns the work now")

        with contextlib.suppress(RuntimeError):  # the loop has ended, and so have the holds
            self._loop.call_soon_threadsafe(tell)
        for hold in holds:
            if hold.lease.token in wanted:
                # Now, because the loop may hang: the lease then ends as if the step had heard it.
                hold.step_deadline = min(hold.step_deadline, asked_at)
