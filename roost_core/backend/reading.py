"""How a queue is read: the second part of a ledger."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from roost_core.backend.reports import ListQuery, StoredWork
from roost_core.codec.strict_json import parse
from roost_core.models.events import Event
from roost_core.models.work import State

if TYPE_CHECKING:
    from roost_core.backend.history import StoredHistory


class Reading(abc.ABC):
    """Reads about the work of one queue and its workers, without changing anything.

    Each method raises :class:`~roost_core.errors.BackendUnavailable` if there is no answer, and
    :class:`~roost_core.errors.BackendError` if the server refuses.
    """

    @abc.abstractmethod
    async def read(self, work_id: str) -> StoredWork | None:
        """Return one work item with all its bytes, read atomically, or None."""

    async def history(self, work_id: str) -> StoredHistory | None:
        """Return what is kept of a work item's versions, read at one moment, or None.

        By default that is the newest alone.
        """
        from roost_core.backend.history import StoredHistory

        work = await self.read(work_id)
        return None if work is None else StoredHistory(work, work.snapshot, work.version)

    @abc.abstractmethod
    async def counts(self) -> Mapping[State, int]:
        """Return how many work items are in each state; states without any have 0."""

    @abc.abstractmethod
    async def events(
        self,
        *,
        after: str | None = None,
        work_id: str | None = None,
        limit: int = 100,
        block_ms: int | None = None,
    ) -> Sequence[Event]:
        """Return events in order.

        The stream is shared and bounded: it may no longer have any of one work item; its
        :meth:`trail` has the rest.

        :param after: an event id; only later events are returned. None returns the newest
            ``limit``.
        :param block_ms: how long to wait for the first one, in milliseconds; None does not wait.
        """

    async def trail(self, work_id: str) -> Sequence[Event] | None:
        """Return a work item's own history, oldest first, read in one call.

        However busy other work is, it has the item's ``enqueued``, one ``leased`` for each lease,
        and each event that is neither a claim nor a commit: at most the newest 160, and fewer if
        they are long. A ``leased`` comes after the last event under that lease, and has that
        event's id. Data is cut to a few hundred bytes.

        By default it is what the stream still has.

        :returns: None if no work item has this id.
        """
        if await self.read(work_id) is None:
            return None
        return await self.events(work_id=work_id)

    async def newest_of(self, work_id: str, *, limit: int, look: int) -> Sequence[Event]:
        """Return a work item's newest events in order, found in a bounded part of the stream.

        By default it is what :meth:`events` returns, however far that has to look.

        :param limit: at most this many.
        :param look: look at no more of the queue's newest events than about this.
        """
        del look
        return await self.events(work_id=work_id, limit=limit)

    @abc.abstractmethod
    async def wait_terminal(self, work_id: str, timeout: float | None) -> StoredWork | None:
        """Wait until a work item is terminal, without polling, and return it.

        :param timeout: seconds; None waits for ever.
        :returns: the work item as last read, terminal or not; None if it does not exist.
        """

    @abc.abstractmethod
    async def workers(self) -> Sequence[tuple[bytes, int]]:
        """Return live workers: encoded ``WorkerInfo``, and when each was last seen (ms)."""

    async def worker(self, worker_id: str) -> bytes | None:
        """Return a worker's encoded ``WorkerInfo``, or None if it is not known.

        Backends with a faster way than :meth:`workers` override it.
        """
        for raw, _ in await self.workers():
            try:
                found = parse(raw)
            except ValueError:
                continue
            if isinstance(found, dict) and found.get("worker_id") == worker_id:
                return raw
        return None

    @abc.abstractmethod
    async def list(self, query: ListQuery) -> Sequence[StoredWork]:
        """Return a page of work items, with item bytes but without snapshots.

        Of a large item, its payload may be missing.
        """
