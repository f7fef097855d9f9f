"""One queue that a worker's lanes work for."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from roost_core.backend import ClaimBatch, ClaimRequest, ServePlan
from roost_core.errors import BackendError
from roost_plugins.redis_saq.lanes.policy import ClaimPolicy
from roost_plugins.redis_saq.lanes.queue_view import QueueView
from roost_plugins.redis_saq.ledger.lane_watch import After, LaneWatch
from roost_plugins.redis_saq.ledger.ledger import RedisLedger
from roost_plugins.redis_saq.ledger.tickets import Ticket, Tickets

_log = logging.getLogger("roost.worker")


class ServedQueue(LaneWatch):
    """A ledger, what the policy knows about it, and the tickets of its claims.

    :ivar ledger: the queue's record.
    :ivar view: what the policy knows about the queue.
    """

    def __init__(
        self,
        ledger: RedisLedger,
        view: QueueView,
        policy: ClaimPolicy,
        plan: ServePlan,
        look: Callable[[], None],
        claim_now: Callable[[], None],
    ) -> None:
        """Begin.

        :param look: called when there may be a reason to claim.
        :param claim_now: called when a claim would leave with the calls that free its lanes.
        """
        self.ledger = ledger
        self.view = view
        self._policy = policy
        self._plan = plan
        self._look = look
        self._claim_now = claim_now
        self._suspects = policy.solo.tokens
        self._tickets = Tickets()
        self.engines = " ".join(plan.engines)

    @property
    def unanswered(self) -> tuple[Ticket, ...]:
        """Claims that may have leased work unknown to this worker."""
        return self._tickets.unanswered

    @property
    def wake_channel(self) -> str:
        """The channel that tells this worker that there is work."""
        return self.ledger.keys.wake_channel(self._plan.worker_id)

    def claim(self, request: ClaimRequest, *, was_idle: bool) -> Coroutine[Any, Any, ClaimBatch]:
        """Send a claim now under a ticket, naming the claims whose answers were lost.

        :returns: waits for the answer; raises BackendUnavailable if there is none, and
            BackendError if the server refused.
        :raises BackendError: it cannot be sent.
        """
        ticket, named = self._tickets.take(), self._tickets.unanswered
        try:
            sent = self.ledger.claim(request, was_idle=was_idle, ticket=ticket, unanswered=named)
        except BaseException:
            self._tickets.lost(ticket)
            raise
        return self._claimed(sent, ticket, named)

    async def _claimed(
        self, sent: Awaitable[ClaimBatch], ticket: Ticket, named: tuple[Ticket, ...]
    ) -> ClaimBatch:
        try:
            batch = await sent
        except BaseException:
            self._tickets.lost(ticket)
            raise
        self._tickets.answered(ticket, named)
        return batch

    def lease_ends(self, token: str) -> After:
        """Note that a call is about to end a lease; return what its lane does next."""
        is_stopping = self._plan.stopping.is_set()
        after = self._policy.lease_ends(self.view, token, time.monotonic(), is_stopping=is_stopping)
        if after is not After.STANDS_BY:
            self._look()
        return after

    def claim_follows(self) -> None:
        """Claim now if there are lanes enough, in one write with the calls that free them."""
        self._claim_now()

    def step_accepted(self, token: str) -> None:
        """Note that a step was accepted whose lease continues."""
        # Every step passes through here.
        if token in self._suspects and self._policy.step_accepted(token, time.monotonic()):
            self._look()

    def lease_ended(self, token: str, claim_in_ms: int | None) -> None:
        """Note that a lease was given back by a script that said when to claim next."""
        if self._policy.lease_ended(self.view, token, claim_in_ms, time.monotonic()):
            self._look()

    def report(self, what: str, error: Exception, failures: int) -> None:
        """Log the first failure in a row; any that is not the server's, with its traceback."""
        if len(self._plan.ledgers) > 1:
            what = f"queue {self.ledger.queue}: {what}"
        if not isinstance(error, BackendError):
            _log.error("%s, trying again", what, exc_info=error)
        elif failures == 1:
            _log.warning("%s, trying again: %s", what, error)
