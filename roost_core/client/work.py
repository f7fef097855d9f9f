"""A handle on one work item."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

import attrs

from roost_core.backend.ledger import Ledger
from roost_core.backend.reports import StoredWork
from roost_core.backend.trail import reason_of_sleep
from roost_core.client import events
from roost_core.client.waiting import until_terminal
from roost_core.errors import WorkNotFound
from roost_core.models.checks import WORK_ID, matching
from roost_core.models.events import Event
from roost_core.models.snapshot import Artifact, Snapshot
from roost_core.models.standing import WorkRow, WorkStatus
from roost_core.models.work import State
from roost_core.shown import views


class Connected(Protocol):
    """What a handle needs of the connection that it comes from."""

    @property
    def ledger(self) -> Ledger:
        """The record of the queue.

        :raises RoostError: not connected.
        """


@attrs.frozen
class Work:
    """A handle on one work item of a queue: :meth:`roost_core.client.roost.Roost.work` makes it.

    Making one asks nobody: whether there is such a work item is told by what is asked of it. It
    is good for as long as the connection is open: each method raises
    :class:`~roost_core.errors.RoostError` if it is not, and
    :class:`~roost_core.errors.BackendError` if the server refuses for good.

    :ivar id: the work item's id.
    """

    _roost: Connected = attrs.field(repr=False)
    id: str = attrs.field(validator=matching(WORK_ID, "work id"))

    async def status(self) -> WorkStatus:
        """Return all that is known of the work item, read at one moment.

        What its worker hangs in, or why it sleeps, is looked up after that.

        :raises WorkNotFound: no work item has this id.
        :raises CorruptRecord: its stored bytes do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        :raises BackendUnavailable: no answer.
        """
        ledger = self._roost.ledger
        found = views.status(await self._stored())
        if found.meta.state is State.SLEEPING:
            trail = await ledger.trail(self.id)
            reason = reason_of_sleep(trail or (), found.meta.version)
            return attrs.evolve(found, meta=attrs.evolve(found.meta, reason=reason))
        if found.meta.lease is None:
            return found
        # Whether anybody still works on it is more than its own record can tell.
        raw = await ledger.worker(found.meta.lease.worker_id)
        return attrs.evolve(found, stuck=None if raw is None else views.stuck(raw))

    async def row(self) -> WorkRow:
        """Return how the work item stands, as in a listing: its bytes need not be readable.

        :raises WorkNotFound: no work item has this id.
        :raises BackendUnavailable: no answer.
        """
        return views.row(await self._stored())

    async def snapshot(self) -> Snapshot | None:
        """Return the last accepted snapshot, or None if no step was accepted yet.

        Of work that is done it is the result.

        :raises WorkNotFound: no work item has this id.
        :raises CorruptRecord: its stored bytes do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        :raises BackendUnavailable: no answer.
        """
        return views.snapshot(await self._stored())

    async def artifacts(self) -> Sequence[Artifact]:
        """Return the artifacts that the last snapshot names.

        Their bytes come from :meth:`roost_core.client.roost.Roost.artifact`.

        :raises WorkNotFound: no work item has this id.
        :raises CorruptRecord: its stored bytes do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        :raises BackendUnavailable: no answer.
        """
        found = await self.snapshot()
        return () if found is None else found.artifacts

    async def wait(self, timeout: float | None = None) -> WorkStatus:
        """Wait until the work item is terminal, without polling.

        A server that is away is waited for, up to 30 s.

        :param timeout: seconds; None waits for ever.
        :returns: how it stands then: look at ``meta.state.is_terminal`` if you set a timeout.
        :raises WorkNotFound: no work item has this id.
        :raises CorruptRecord: its stored bytes do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        :raises BackendUnavailable: the server is away for longer.
        """
        stored = await until_terminal(self._roost.ledger, self.id, timeout)
        return views.status(_found(stored, self.id))

    async def events(self, *, after: str | None = None, limit: int = 100) -> Sequence[Event]:
        """Return the work item's events in order: the newest ``limit``, or those after an id.

        There are always some: what the queue's stream does not have any more comes from what
        the item keeps of its past, with one ``leased`` for each lease.

        :raises WorkNotFound: no work item has this id, and no event tells of it.
        :raises BackendUnavailable: no answer.
        """
        found = await events.of_work(self._roost.ledger, self.id, after, limit)
        if found is None:
            raise not_found(self.id)
        return found

    def follow(self, *, after: str | None = None) -> AsyncGenerator[Event, None]:
        """Yield the work item's events as they happen, for ever.

        Close it with ``aclose`` or by cancelling. A server that is away is waited for, up to 30 s.

        :param after: an event id to go on from; None starts with what comes next.
        :raises BackendUnavailable: the server is away for longer.
        """
        return events.follow(self._roost.ledger, self.id, after)

    async def _stored(self) -> StoredWork:
        return _found(await self._roost.ledger.read(self.id), self.id)


def not_found(work_id: str) -> WorkNotFound:
    """Return the error for an id that no work item of the queue has."""
    return WorkNotFound(f"no work item {work_id!r} in this queue: `roost list` shows what is there")


def _found(stored: StoredWork | None, work_id: str) -> StoredWork:
    if stored is None:
        raise not_found(work_id)
    return stored
