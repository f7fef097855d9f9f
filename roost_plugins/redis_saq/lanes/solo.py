"""When a worker runs suspected work and nothing else, until a death can be only one item's own.

Work over which workers have died is suspected. The server leases it only to a worker that says that
it runs nothing, from any queue: one item, or several together, half as many after each death. Such
a worker claims nothing more until a step of each has been accepted. Then the work that waited
behind them goes first, for as long as they took: suspected work gets at most half of a worker's
time if there is other work. No clock, no I/O: the time is passed as ``now``, in seconds.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from roost_core.backend import Alone, ClaimBatch

#: A worker that runs one item at a time looks for suspected work with one in this many claims of a
#: backlog.
_OFTEN: Final = 4


class Solo:
    """What one worker's lanes know about running work alone. Queues are numbered from 0.

    :ivar tokens: the leases of suspected work that runs.
    :ivar drain_for: the queues for which the worker finishes its other work, because suspected work
        waits there.
    """

    def __init__(self, concurrency: int, queues: int = 1) -> None:
        self.drain_for: set[int] = set()
        self._queues = queues
        self._is_always = concurrency == 1
        #: Per queue, how many claims of a backlog ago suspected work went first.
        self._since_first: Counter[int] = Counter()
        #: Whether a claim is under way that may bring suspected work.
        self._may_come = False
        self.tokens: set[str] = set()
        #: Since when it runs.
        self._since = 0.0
        #: Until when other work goes first, and the queues that have none.
        self._others_until = 0.0
        self._without: set[int] = set()

    @property
    def is_draining(self) -> bool:
        """Whether the worker finishes its other work, because suspected work waits."""
        return bool(self.drain_for)

    def holds_back(self, *, is_busy: bool) -> bool:
        """Whether no claim may be made now."""
        if self._may_come or self.tokens:
            return True
        return is_busy and bool(self.drain_for)

    def has_others_than(self, token: str) -> bool:
        """Whether suspected work runs under another lease than this one."""
        return len(self.tokens) > (token in self.tokens)

    def claims(
        self, now: float, queue: int = 0, *, is_busy: bool, is_backlog: bool = False
    ) -> Alone:
        """Note that a claim is about to be sent; return how the work that it brings would run.

        :param is_backlog: whether the last claim from this queue left something ready.
        """
        if self._is_always:
            # Suspected work is then behind all other work, so now and then it goes first.
            self._since_first[queue] = (self._since_first[queue] + 1) % _OFTEN if is_backlog else 0
            return Alone.MAY if self._since_first[queue] == _OFTEN - 1 else Alone.ALWAYS
        if is_busy or now < self._others_until:
            return Alone.NEVER
        self.drain_for.discard(queue)
        self._may_come = True
        return Alone.MAY

    def failed(self, alone: Alone, queue: int = 0) -> None:
        """Note that a claim got no answer."""
        if alone is Alone.MAY:
            self._may_come = False
        # A queue that cannot be reached must not hold up others.
        self.drain_for.discard(queue)

    def brought(self, batch: ClaimBatch, alone: Alone, now: float, queue: int = 0) -> bool:
        """Note what a claim has brought.

        :returns: whether there is a reason to claim again at once, from any queue.
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
        """Whether this lease is on suspected work, beside which nothing else runs."""
        return token in self.tokens

    def step_accepted(self, token: str, now: float) -> bool:
        """Note that a lease's step was accepted, or that the lease has ended.

        :returns: whether other work may now be claimed that could not be before.
        """
        if token not in self.tokens:
            return False
        self.tokens.discard(token)
        if self.tokens:
            return False
        self._others_until = now + (now - self._since)
        self._without.clear()
        return True
