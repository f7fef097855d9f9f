"""When a worker runs suspected work and nothing else, until its death can only be one item's own.

Work over which workers have died is suspected. The server leases it only to a worker that
says that it runs nothing: one, or several together, half as many after each death. Such a
worker claims nothing more until a step of each has been accepted. Whoever has waited behind
them is next, for as long as it took: suspected work gets half of a worker's time at most, if
there is other work.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from roost_core.backend import Alone, ClaimBatch

_log = logging.getLogger("roost.worker")

#: Of a worker that runs one at a time, every so many claims of a backlog look for suspected work.
_OFTEN: Final = 4


class Solo:
    """What one worker's lanes know about running something alone.

    :ivar is_draining: whether the worker lets its work end, because something suspected waits.
    """

    def __init__(self, concurrency: int) -> None:
        self.is_draining = False
        self._is_always = concurrency == 1
        #: Whether more is ready than was taken, and how many claims ago suspected work went first.
        self._is_backlog = False
        self._since_first = 0
        #: A claim is under way that may bring something suspected.
        self._may_come = False
        #: The leases of what is suspected, and since when they run, by the monotonic clock.
        self._tokens: set[str] = set()
        self._since = 0.0
        #: Until when other work goes first.
        self._others_until = 0.0

    def holds_back(self, *, is_busy: bool) -> bool:
        """Whether no claim may be made now."""
        if self._may_come or self._tokens:
            return True
        return self.is_draining and is_busy

    def has_others_than(self, token: str) -> bool:
        """Whether something suspected runs under another lease than this one."""
        return len(self._tokens) > (token in self._tokens)

    def claims(self, *, is_busy: bool) -> Alone:
        """Take note that a claim goes out; return how what it brings would run."""
        if self._is_always:
            # What is suspected stands behind all other work then, so now and then it goes first.
            self._since_first = (self._since_first + 1) % _OFTEN if self._is_backlog else 0
            return Alone.MAY if self._since_first == _OFTEN - 1 else Alone.ALWAYS
        if is_busy or time.monotonic() < self._others_until:
            return Alone.NEVER
        self.is_draining = False
        self._may_come = True
        return Alone.MAY

    def brought(self, batch: ClaimBatch | None, alone: Alone) -> bool:
        """Take note of what a claim has brought; None if it failed.

        :returns: whether there is a reason to claim again at once.
        """
        if alone is Alone.MAY:
            self._may_come = False
        if batch is None:
            return False
        self._is_backlog = batch.next_wake_ms == 0
        for claim in batch.claims:
            if claim.is_solo:
                self._tokens.add(claim.lease.token)
                self._since = time.monotonic()
                _log.warning(
                    "%s: suspected, because workers died that ran it: nothing but suspected work "
                    "runs here until a step of it is accepted",
                    claim.lease.work_id,
                    extra={"action": "runs_alone", "work_id": claim.lease.work_id},
                )
        if batch.drain and not self.is_draining:
            _log.warning(
                "something suspected waits to run alone: this worker lets its work end for it",
                extra={"action": "makes_room"},
            )
        self.is_draining = self.is_draining or batch.drain
        if alone is Alone.NEVER and not batch.claims and self._others_until:
            # There is no other work to go first.
            self._others_until = 0.0
            return True
        return False

    def runs(self, token: str) -> bool:
        """Whether this lease is of something suspected, which nothing else runs beside."""
        return token in self._tokens

    def step_accepted(self, token: str) -> bool:
        """Take note that a lease's step was accepted, or that the lease has ended.

        :returns: whether other work may be claimed now that might not before.
        """
        if token not in self._tokens:
            return False
        self._tokens.discard(token)
        if self._tokens:
            return False
        now = time.monotonic()
        self._others_until = now + (now - self._since)
        return True
