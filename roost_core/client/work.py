"""A handle on one work item."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import attrs

from roost_core.backend.trail import reason_of_sleep
from roost_core.client import events
from roost_core.client.connection import Connection
from roost_core.client.versions import Versions
from roost_core.client.waiting import until_terminal
from roost_core.codec.moved import described
from roost_core.codec.times import from_milliseconds
from roost_core.models.checks import WORK_ID, check_limit, matching
from roost_core.models.events import Event
from roost_core.models.snapshot import Artifact, Snapshot
from roost_core.models.standing import WorkRow, WorkStatus
from roost_core.models.work import State
from roost_core.shown import views

if TYPE_CHECKING:
    # Most commands do without.
    from roost_core.client.control import VerbResult
    from roost_core.client.inspecting import Inspection
    from roost_core.models.control import Actor
    from roost_core.shown.why import Why


@attrs.frozen
class Work(Versions):
    """A handle on one work item of a queue: :meth:`roost_core.client.roost.Roost.work` makes it.

    Making one sends no request: the methods tell whether the work item exists. It is usable while
    the connection is open: each method raises
    :class:`~roost_core.errors.RoostError` if it is not, and
    :class:`~roost_core.errors.BackendError` if the server refuses for good.

    The verbs (``cancel``, ``pause``, ``resume``, ``retry``, ``bury``, ``drop``) take a ``reason``
    of at most 200 characters, and an ``actor``: a name or an :class:`~roost_core.models.Actor`, by
    default the setting of that name or else user and host. A verb without an answer is repeated for
    a few seconds, and counts only once. What it returns tells whether it is done, was so before, or
    is requested: then it takes effect when the running step ends.

    :ivar id: the work item's id.
    """

    _roost: Connection = attrs.field(repr=False)
    id: str = attrs.field(validator=matching(WORK_ID, "work id"))

    async def status(self, *, version: int | None = None) -> WorkStatus:
        """Return everything known about the work item, read at one moment.

        Where its worker hangs, or why it sleeps, is looked up after that. If the newest snapshot
        cannot be read, ``problem`` says why, and the rest is there.

        :param version: give an earlier version of the snapshot, as :meth:`snapshot_at` does; the
            rest is as it stands now.
        :raises InvalidInput: the version is no whole number.
        :raises WorkNotFound: no work item has this id.
        :raises VersionGone: that version is not kept any more, or there was none.
        :raises CorruptRecord: the work item's stored bytes do not decode, or that version's.
        :raises WrittenByNewer: a newer Roost wrote them.
        :raises BackendUnavailable: no answer.
        """
        ledger = self._roost.ledger
        if version is None:
            found = views.status(await self._whole())
        else:
            found = await self._status_at(version)
        if found.meta.state is State.SLEEPING:
            trail = await ledger.trail(self.id)
            reason = reason_of_sleep(trail or (), found.meta.version)
            return attrs.evolve(found, meta=attrs.evolve(found.meta, reason=reason))
        if found.meta.lease is None:
            return found
        # Its own record cannot tell whether a worker still works on it.
        raw = await ledger.worker(found.meta.lease.worker_id)
        return attrs.evolve(found, stuck=None if raw is None else views.stuck(raw))

    async def why(self) -> Why:
        """Return why the work item does not run, or how it does, and what would change that.

        It takes as long in a large queue as in a small one. Its bytes need not be readable.

        :raises WorkNotFound: no work item has this id.
        :raises BackendUnavailable: no answer.
        """
        from roost_core.shown.why import explain

        ledger = self._roost.ledger
        facts = self._found(await ledger.facts(self.id))
        trail = None if facts.work.state.is_terminal else await ledger.trail(self.id)
        now_ms = (
            await self._roost.controlling.server.now_ms() if facts.now_ms is None else facts.now_ms
        )
        known = self._roost.plugins.options_for(facts.work.engine)
        return explain(facts, from_milliseconds(now_ms), trail or (), known=known)

    async def inspect(self) -> Inspection:
        """Return all that is known of the work item but its snapshot, and its life so far.

        It is what a page shows: a few requests at once, however large the queue, the snapshot and
        the history are. Its bytes need not be readable.

        :raises WorkNotFound: no work item has this id.
        :raises BackendUnavailable: no answer.
        """
        from roost_core.client.inspecting import inspect

        return self._found(await inspect(self._roost.ledger, self.id))

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
        return views.snapshot(await self._whole())

    async def artifacts(self) -> Sequence[Artifact]:
        """Return the artifacts that the last snapshot names.

        Their bytes come from :meth:`roost_core.client.roost.Roost.artifact`.

        :raises WorkNotFound: no work item has this id.
        :raises CorruptRecord: its stored bytes do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        :raises BackendUnavailable: no answer.
        """
        stored = await self._stored()
        if stored.snapshot is not None:
            # They are named beside the texts that are kept elsewhere.
            stored = attrs.evolve(stored, snapshot=described(stored.snapshot))
        found = views.snapshot(stored)
        return () if found is None else found.artifacts

    async def wait(self, timeout: float | None = None) -> WorkStatus:
        """Wait until the work item is terminal, without polling.

        It waits up to 30 s for an unreachable server.

        :param timeout: seconds; None waits for ever.
        :returns: its status then, as :meth:`status` returns it: check ``meta.state.is_terminal`` if
            you set a timeout.
        :raises WorkNotFound: no work item has this id.
        :raises CorruptRecord: the work item's stored bytes do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        :raises BackendUnavailable: the server is unreachable for longer.
        """
        stored = await until_terminal(self._roost.ledger, self.id, timeout)
        return views.status(await self._roost.whole_work(self._found(stored)))

    async def events(self, *, after: str | None = None, limit: int = 100) -> Sequence[Event]:
        """Return the work item's events in order: the newest ``limit``, or those after an id.

        There are always some: what the queue's stream has already dropped comes from the item's own
        trail, with one ``leased`` for each lease.

        :raises InvalidInput: the limit is no whole number, or negative.
        :raises WorkNotFound: no work item has this id, and no event is about it.
        :raises BackendUnavailable: no answer.
        """
        check_limit(limit)
        return self._found(await events.of_work(self._roost.ledger, self.id, after, limit))

    def follow(self, *, after: str | None = None) -> AsyncGenerator[Event, None]:
        """Yield the work item's events as they happen, for ever.

        Close it with ``aclose`` or by cancelling. It waits up to 30 s for an unreachable server.

        :param after: an event id to continue from; None starts with the next event.
        :raises BackendUnavailable: the server is unreachable for longer.
        """
        return events.follow(self._roost.ledger, self.id, after)

    # -- verbs -----------------------------------------------------------------------------

    async def cancel(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> VerbResult:
        """End the work: it is cancelled. A step that runs is told, and what it brings is dropped.

        :raises WorkNotFound: no work item has this id.
        :raises VerbUnfit: it has ended, or is being buried.
        :raises InvalidInput: the reason or the actor cannot be accepted.
        :raises CorruptRecord: its record does not decode; it can only be dropped.
        :raises WrittenByNewer: a newer Roost wrote it, and can do it.
        :raises BackendUnavailable: no answer; whether it was done is not known.
        """
        return await self._use("cancel", reason, actor)

    async def pause(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> VerbResult:
        """Let the work rest until it is resumed. A step that runs ends first, and is accepted.

        Its deadline stays as it is.

        :raises WorkNotFound: no work item has this id.
        :raises VerbUnfit: it has ended, or is being cancelled or buried.
        :raises InvalidInput: the reason or the actor cannot be accepted.
        :raises CorruptRecord: its record does not decode; it can only be dropped.
        :raises WrittenByNewer: a newer Roost wrote it, and can do it.
        :raises BackendUnavailable: no answer; whether it was done is not known.
        """
        return await self._use("pause", reason, actor)

    async def resume(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> VerbResult:
        """Let paused work continue from where it was, or take back a pause after a running step.

        :raises WorkNotFound: no work item has this id.
        :raises VerbUnfit: it has ended, or is being cancelled or buried.
        :raises InvalidInput: the reason or the actor cannot be accepted.
        :raises CorruptRecord: its record does not decode; it can only be dropped.
        :raises WrittenByNewer: a newer Roost wrote it, and can do it.
        :raises BackendUnavailable: no answer; whether it was done is not known.
        """
        return await self._use("resume", reason, actor)

    async def retry(
        self,
        *,
        delay_seconds: float = 0,
        max_attempts: int | None = None,
        deadline_at: datetime | None = None,
        deadline_seconds: float | None = None,
        max_steps: int | None = None,
        reason: str | None = None,
        actor: Actor | str | None = None,
    ) -> VerbResult:
        """Put a dead letter or cancelled work back: from its last snapshot, with fresh counters.

        :param delay_seconds: after this delay, ten years at most.
        :param max_attempts: how often a step is tried from now on; as before if not given.
        :param deadline_at: a new deadline, an aware time. One that has passed must be replaced.
        :param deadline_seconds: the same from now on, by the server's clock.
        :param max_steps: how many steps may follow each other without a delay; 0 for any number.
        :raises WorkNotFound: no work item has this id.
        :raises VerbUnfit: it is neither, or its deadline has passed and no new one is given.
        :raises InvalidInput: a value cannot be accepted; the text says which.
        :raises CorruptRecord: its record does not decode; it can only be dropped.
        :raises WrittenByNewer: a newer Roost wrote it, and can do it.
        :raises BackendUnavailable: no answer; whether it was done is not known.
        """
        control = self._roost.controlling
        order = await control.retrying(
            control.actor(actor, reason),
            delay_seconds=delay_seconds,
            max_attempts=max_attempts,
            deadline_at=deadline_at,
            deadline_seconds=deadline_seconds,
            max_steps=max_steps,
        )
        return await control.carry_out(self.id, order)

    async def bury(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> VerbResult:
        """Make a dead letter of the work. A step that runs is told, and what it brings is dropped.

        :raises WorkNotFound: no work item has this id.
        :raises VerbUnfit: it is done or cancelled, or is being cancelled.
        :raises InvalidInput: the reason or the actor cannot be accepted.
        :raises CorruptRecord: its record does not decode; it can only be dropped.
        :raises WrittenByNewer: a newer Roost wrote it, and can do it.
        :raises BackendUnavailable: no answer; whether it was done is not known.
        """
        return await self._use("bury", reason, actor)

    async def drop(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> VerbResult:
        """Remove work that has ended for good, with its artifacts and its workspace.

        :raises WorkNotFound: no work item has this id.
        :raises VerbUnfit: it has not ended.
        :raises InvalidInput: the reason or the actor cannot be accepted.
        :raises PluginError: no plugin offers an artifact store, or one fails; nothing was removed.
        :raises WrittenByNewer: a newer Roost wrote it, and can do it.
        :raises BackendUnavailable: no answer; whether it was done is not known.
        """
        return await self._use("drop", reason, actor)

    async def _use(self, verb: str, reason: str | None, actor: Actor | str | None) -> VerbResult:
        from roost_core.client.control import new_order
        from roost_core.models.control import Verb

        control = self._roost.controlling
        order = new_order(Verb(verb), control.actor(actor, reason))
        return await control.carry_out(self.id, order)
