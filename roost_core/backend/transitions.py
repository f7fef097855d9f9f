"""How a work item moves: the first part of a ledger."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from roost_core.backend.messages import (
    Ack,
    ClaimBatch,
    ClaimRequest,
    Commit,
    Enqueued,
    Failure,
    NewWork,
)
from roost_core.backend.reports import Purged
from roost_core.models.worker import Lease


class Transitions(abc.ABC):
    """What moves the work of one queue. Each call is atomic, and durable when it returns.

    Each raises :class:`~roost_core.errors.BackendUnavailable` if there is no answer, and
    :class:`~roost_core.errors.BackendError` if the server refuses.
    """

    @abc.abstractmethod
    async def enqueue(self, works: Sequence[NewWork]) -> list[Enqueued]:
        """Store work items, pipelined; each by itself is all or nothing."""

    @abc.abstractmethod
    async def claim(self, request: ClaimRequest) -> ClaimBatch:
        """Take leases: recover expired ones, promote what is due, take the first ones ready."""

    @abc.abstractmethod
    async def commit(self, lease: Lease, commit: Commit) -> Ack:
        """Accept a step.

        :raises LeaseLost: the token is not current.
        :raises VersionConflict: the stored version is not the expected one.
        """

    @abc.abstractmethod
    async def fail(self, lease: Lease, failure: Failure) -> Ack:
        """Give up an attempt: retry later, or dead-letter if it was the last.

        :raises LeaseLost: the token is not current.
        """

    @abc.abstractmethod
    async def interrupt(
        self, lease: Lease, commit_id: str, reason: str, delay_ms: int | None
    ) -> Ack:
        """Give the work back without blame, to its old place in the queue.

        :param delay_ms: None to be ready at once, else sleep so long.
        :raises LeaseLost: the token is not current.
        """

    async def leave(self, lease: Lease, commit_id: str, layout: int) -> Ack:
        """Give work back that a newer Roost has written: only a worker that knows it may take it.

        By default it only sleeps for a minute, so that workers which do not know it meet it no
        oftener than that.

        :param layout: the number of the layout that reading it takes.
        :raises LeaseLost: the token is not current.
        """
        reason = f"a newer Roost wrote it: layout {layout}"
        return await self.interrupt(lease, commit_id, reason, 60_000)

    @abc.abstractmethod
    async def purge(
        self,
        retention_ms: int,
        dead_letter_retention_ms: int | None,
        limit: int,
        forgotten: Sequence[Purged] = (),
    ) -> Sequence[Purged]:
        """Remove up to ``limit`` work items that are terminal for longer than the retention.

        What is gone stays on record until it is said to be forgotten, so that no lost answer and
        no worker that dies in between leaves its artifacts behind for ever.

        :param dead_letter_retention_ms: None keeps dead letters for ever.
        :param forgotten: what was returned before, and has no artifacts or workspaces any more.
        :returns: up to ``limit`` that are gone and not forgotten yet, also of earlier calls and
            of other workers; those first that were not returned for the longest time.
        """
