"""A handle on one work item."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, TypeVar

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

_T = TypeVar("_T")


class Connected(Protocol):
    """What a handle needs of its connection."""

    @property
    def ledger(self) -> Ledger:
        """The ledger of the queue.

        :raises RoostError: not connected.
        """


@attrs.frozen
class Work:
    """A handle on one work item of a queue: :meth:`roost_core.client.roost.Roost.work` makes it.

    Making one sends no request: the methods tell whether the work item exists. It is usable while
    the connection is open: each method raises
    :class:`~roost_core.errors.RoostError` if it is not, and
    :class:`~roost_core.errors.BackendError` if the server refuses for good.

    :ivar id: the work item's id.
    """

    _roost: Connected = attrs.field(repr=False)
    id: str = attrs.field(validator=matching(WORK_ID, "work id"))

    async def status(self) -> WorkStatus:
        """Return everything known about the work item, read at one moment.

        Where its worker hangs, or why it sleeps, is looked up after that.

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
        # Its own record cannot tell whether a worker still works on it.
        raw = await ledger.worker(found.meta.lease.worker_id)
        return attrs.evolve(found, stuck=None if raw is None else views.stuck(raw))

    async def row(self) -> WorkRow:
        """Return the work item's standing, as in a listing: its bytes need not be readable.

        :raises WorkNotFound: no work item has this id.
        :raises BackendUnavailable: no answer.
        """
        return views.row(await self._stored())

    async def snapshot(self) -> Snapshot | None:
        """Return the last accepted snapshot, or None if no step was accepted yet.

        For work that is done, it is the result.

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

        It waits up to 30 s for an unreachable server.

        :param timeout: seconds; None waits for ever.
        :returns: its status then: check ``meta.state.is_terminal`` if you set a timeout.
        :raises WorkNotFound: no work item has this id.
        :raises CorruptRecord: its stored bytes do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        :raises BackendUnavailable: the server is unreachable for longer.
        """
        stored = await until_terminal(self._roost.ledger, self.id, timeout)
        return views.status(self._found(stored))

    async def events(self, *, after: str | None = None, limit: int = 100) -> Sequence[Event]:
        """Return the work item's events in order: the newest ``limit``, or those after an id.

        There are always some: what the queue's stream has already dropped comes from the item's own
        trail, with one ``leased`` for each lease.

        :raises WorkNotFound: no work item has this id, and no event is about it.
        :raises BackendUnavailable: no answer.
        """
        return self._found(await events.of_work(self._roost.ledger, self.id, after, limit))

    def follow(self, *, after: str | None = None) -> AsyncGenerator[Event, None]:
        """Yield the work item's events as they happen, for ever.

        Close it with ``aclose`` or by cancelling. It waits up to 30 s for an unreachable server.

        :param after: an event id to continue from; None starts with the next event.
        :raises BackendUnavailable: the server is unreachable for longer.
        """
        return events.follow(self._roost.ledger, self.id, after)

    async def _stored(self) -> StoredWork:
        return self._found(await self._roost.ledger.read(self.id))

    def _found(self, found: _T | None) -> _T:
        if found is None:
            raise not_found(self.id, self._roost.ledger.queue)
        return found


def not_found(work_id: str, queue: str) -> WorkNotFound:
    """Return the error for an id that no work item of the queue has."""
    return WorkNotFound(
        f"no work item {work_id!r} in the queue {queue!r}: `roost list` shows what is there, "
        "and --queue names another queue"
    )
