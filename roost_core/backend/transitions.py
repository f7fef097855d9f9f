"""How work items change state: the first part of a ledger."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from roost_core.backend.reports import Purged
from roost_core.models.worker import Lease

if TYPE_CHECKING:
    # Whoever calls these has them; most commands only read.
    from roost_core.backend.messages import (
        Ack,
        ClaimBatch,
        ClaimRequest,
        Commit,
        Enqueued,
        Failure,
        NewWork,
    )


class Transitions(abc.ABC):
    """Changes the state of one queue's work. Each call is atomic, and durable when it returns.

    Each method raises :class:`~roost_core.errors.BackendUnavailable` if there is no answer, and
    :class:`~roost_core.errors.BackendError` if the server refuses.

    :cvar takes_changes: whether a commit may bring a change alone, in place of the snapshot.
    """

    takes_changes: ClassVar[bool] = False

    @abc.abstractmethod
    async def enqueue(self, works: Sequence[NewWork]) -> list[Enqueued]:
        """Store work items, pipelined; each one is stored entirely or not at all."""

    @abc.abstractmethod
    async def claim(self, request: ClaimRequest) -> ClaimBatch:
        """Take leases: recover expired ones, promote what is due, take the first that are ready."""

    @abc.abstractmethod
    async def commit(self, lease: Lease, commit: Commit) -> Ack:
        """Accept a step.

        :raises LeaseLost: the token is not current.
        :raises VersionConflict: the stored version is not the expected one.
        :raises CorruptRecord: the stored record does not decode.
        :raises BackendError: this backend does not offer ``commit.next``, or takes no changes.
        """

    @abc.abstractmethod
    async def fail(self, lease: Lease, failure: Failure) -> Ack:
        """Give up an attempt: retry later, or dead-letter if it was the last.

        :raises LeaseLost: the token is not current.
        :raises CorruptRecord: the stored record does not decode.
        """

    @abc.abstractmethod
    async def interrupt(
        self, lease: Lease, commit_id: str, reason: str, delay_ms: int | None
    ) -> Ack:
        """Give the work back without blame, to its old place in the queue.

        :param delay_ms: how long it sleeps; with None it is ready at once.
        :raises LeaseLost: the token is not current.
        :raises CorruptRecord: the stored record does not decode.
        """

    async def leave(self, lease: Lease, commit_id: str, layout: int) -> Ack:
        """Give back work that a newer Roost wrote: only a worker that knows it may take it.

        By default it only sleeps for a minute, so that workers that do not know it see it no more
        often than that.

        :param layout: the number of the layout that a worker must know to read it.
        :raises LeaseLost: the token is not current.
        :raises CorruptRecord: the stored record does not decode.
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
        """Remove up to ``limit`` work items that have been terminal for longer than the retention.

        What is gone stays on record until it is reported as forgotten, so that neither a lost
        answer nor a worker that dies in between leaves its artifacts behind for ever.

        :param dead_letter_retention_ms: None keeps dead letters for ever.
        :param forgotten: what was returned earlier, and no longer has artifacts or workspaces.
        :returns: up to ``limit`` that are gone but not forgotten yet, including those of earlier
            calls and other workers; those not returned for the longest time come first.
        """
