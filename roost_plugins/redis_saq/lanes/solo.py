"""When a worker runs suspected work and nothing else, until its death can only be one item's own.

Work over which workers have died is suspected. The server leases it only to a worker that
says that it runs nothing, of any queue: one, or several together, half as many after each death.
Such a worker claims nothing more until a step of each has been accepted. Whoever has waited
behind them is next, for as long as it took: suspected work gets half of a worker's time at most,
if there is other work. No clock, no I/O: the time comes as ``now``, in seconds.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from roost_core.backend import Alone, ClaimBatch

#: Of a worker that runs one at a time, every so many claims of a backlog look for suspected work.
_OFTEN: Final = 4


class Solo:
    """What one worker's lanes know about running something alone. Queues are numbered from 0.

    :ivar tokens: the leases of what is suspected and runs.
    :ivar drain_for: the queues for whose sake the worker lets its work end, because something
        suspected waits there.
    """

    def __init__(self, concurrency: int, queues: int = 1) -> None:
        self.drain_for: set[int] = set()
        self._queues = queues
        self._is_always = concurrency == 1
        #: Per queue, how many claims of a backlog ago suspected work went first.
        self._since_first: Counter[int] = Counter()
        #: A claim is under way that may bring something suspected.
        self._may_come = False
        self.tokens: set[str] = set()
        #: Since when those run.
        self._since = 0.0
        #: Until when other work goes first, and the queues that have none.
        self._others_until = 0.0
        self._without: set[int] = set()

    @property
    def is_draining(self) -> bool:
        """Whether the worker lets its work end, because something suspected waits."""
        return bool(self.drain_for)

    def holds_back(self, *, is_busy: bool) -> bool:
        """Whether no claim may be made now."""
        if self._may_come or self.tokens:
            return True
        return is_busy and bool(self.drain_for)

    def has_others_than(self, token: str) -> bool:
        """Whether something suspected runs under another lease than this one."""
        return len(self.tokens) > (token in self.tokens)

    def claims(
        self, now: float, queue: int = 0, *, is_busy: bool, is_backlog: bool = False
    ) -> Alone:
        """Take note that a claim goes out; return how what it brings would run.

        :param is_backlog: whether the last claim of this queue has left something ready.
        """
        if self._is_always:
            # What is suspected stands behind all other work then, so now and then it goes first.
            self._since_first[queue] = (self._since_first[queue] + 1) % _OFTEN if is_backlog else 0
            return Alone.MAY if self._since_first[queue] == _OFTEN - 1 else Alone.ALWAYS
        if is_busy or now < self._others_until:
            return Alone.NEVER
        self.drain_for.discard(queue)
        self._may_come = True
        return Alone.MAY

    def failed(self, alone: Alone, queue: int = 0) -> None:
        """Take note that a claim got no answer."""
        if alone is Alone.MAY:
            self._may_come = False
        # Whoever cannot be asked holds nobody up.
        self.drain_for.discard(queue)

    def brought(self, batch: ClaimBatch, alone: Alone, now: float, queue: int = 0) -> bool:
        """Take note of what a claim has brought.

        :returns: whether there is a reason to claim again at once, of any queue.
        """
        if alone is Alone.MAY:
            self._may_come = False
        for claim in batch.claims:
            if claim.is_solo:
                self.tokens.add(claim.lease.token)
                self._since = now
        if batch.drain:
            self.drain_for.add(queue)
        if batch.claims:
            self._without.discard(queue)
        elif alone is Alone.NEVER and self._others_until:
            self._without.add(queue)
            if len(self._without) == self._queues:
                # There is no other work to go first.
                self._others_until = 0.0
                return True
        return False

    def runs(self, token: str) -> bool:
        """Whether this lease is of something suspected, which nothing else runs beside."""
        return token in self.tokens

    def step_accepted(self, token: str, now: float) -> bool:
        """Take note that a lease's step was accepted, or that the lease has ended.

        :returns: whether other work may be claimed now that might not before.
        """
        if token not in self.tokens:
            return False
        self.tokens.discard(token)
        if self.tokens:
            return False
        self._others_until = now + (now - self._since)
        self._without.clear()
        return True
