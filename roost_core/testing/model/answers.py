"""What the model remembers of leases that have ended, so that a repeat gets the first answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from roost_core.backend.messages import (
    Ack,
)
from roost_core.errors import LeaseLost
from roost_core.models.worker import Lease
from roost_core.testing.model.wishes import Wishes
from roost_core.testing.model.work import Work

#: For how many leases that have ended a work item remembers the answer.
MAX_REMEMBERED: Final = 3


class Answers(Wishes):
    """Remembers the last answer under each lease."""

    def _answered(self, lease: Lease, commit_id: str, transition: Callable[[Work], Ack]) -> Ack:
        """Run a transition under a current lease, once: a repeat gets the first answer."""
        work = self.works.get(lease.work_id)
        if work is None:
            raise LeaseLost(f"there is no work item {lease.work_id}")
        recorded = work.answers.get(lease.token)
        if recorded is not None and recorded[0] == commit_id:
            return recorded[1]
        if work.token != lease.token:
            raise LeaseLost(f"the lease on {lease.work_id} is not the current one")
        ack = transition(work)
        work.answers.pop(lease.token, None)
        work.answers[lease.token] = (commit_id, ack)
        self._forget_answers(work)
        return ack

    @staticmethod
    def _forget_answers(work: Work) -> None:
        most = MAX_REMEMBERED + (work.token in work.answers)
        while len(work.answers) > most:
            del work.answers[next(iter(work.answers))]

    @staticmethod
    def _ack(work: Work, now: int) -> Ack:
        return Ack(work.state, work.version, work.attempts, now, work.due_ms)
