"""What a handle on a work item does with the versions of its snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from roost_core.backend.reports import StoredWork
from roost_core.client.connection import Connection
from roost_core.client.missing import not_found
from roost_core.errors import InvalidInput
from roost_core.models.checks import check_limit, check_whole
from roost_core.models.snapshot import Snapshot
from roost_core.models.standing import WorkStatus
from roost_core.shown import views

if TYPE_CHECKING:
    # Most commands do without.
    from roost_core.client.comparing import Comparison
    from roost_core.client.replaying import Edit, Replay, Replayed, Seen
    from roost_core.models.control import Actor
    from roost_core.models.history import Version

_T = TypeVar("_T")


class Versions:
    """The part of :class:`~roost_core.client.work.Work` that is about earlier versions."""

    __slots__ = ()

    _roost: Connection
    id: str

    async def history(self, limit: int | None = None) -> Sequence[Version]:
        """Return the versions of the snapshot that are remembered, newest first.

        Numbers may be missing between them, and a version may not be readable: its ``problem`` says
        why. There is none if no step was accepted yet.

        :param limit: how many at most; by default all.
        :raises InvalidInput: the limit is no whole number, or negative.
        :raises WorkNotFound: no work item has this id.
        :raises BackendUnavailable: no answer.
        """
        from roost_core.shown.versions import versions

        if limit is not None:
            check_limit(limit)
        history = self._found(await self._roost.ledger.history(self.id))
        return await self._roost.reading(lambda texts: versions(history, limit, texts.missing))

    async def snapshot_at(self, version: int) -> Snapshot:
        """Return an earlier version of the snapshot, with the time when it was accepted.

        :param version: its number, as :meth:`history` has it.
        :raises InvalidInput: that is no whole number.
        :raises WorkNotFound: no work item has this id.
        :raises VersionGone: that version is not kept any more, or there was none.
        :raises CorruptRecord: its stored bytes, or what leads to them, do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        :raises BackendUnavailable: no answer.
        """
        from roost_core.shown.versions import snapshot

        check_whole(version, "version")
        history = self._found(await self._roost.ledger.history(self.id))
        return await self._roost.reading(lambda texts: snapshot(history, version, texts.whole))

    async def diff(self, old: int | None = None, new: int | None = None) -> Comparison:
        """Return how two versions of the snapshot differ.

        :param old: a version's number; by default the one before ``new``.
        :param new: another's, before or after it; by default the newest.
        :raises InvalidInput: one of them is no whole number.
        :raises WorkNotFound: no work item has this id.
        :raises VersionGone: one of them is not kept any more, or there was none.
        :raises CorruptRecord: the bytes of one, or what leads to them, do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        :raises BackendUnavailable: no answer.
        """
        from roost_core.client.comparing import compared

        for name, version in (("old", old), ("new", new)):
            if version is not None:
                check_whole(version, name)
        history = self._found(await self._roost.ledger.history(self.id))
        return await self._roost.reading(lambda texts: compared(history, old, new, texts.whole))

    async def plan_replay(self, version: int, *, edit: Edit | None = None) -> Replay:
        """Return what running the work again from an earlier version would come to.

        Nothing happens until :meth:`replay` is called with it. It has the steps that ran since:
        what they did outside may happen again.

        :param edit: changes the data of that version: given it, returns the new data.
        :raises WorkNotFound: no work item has this id.
        :raises VersionGone: the version is not kept.
        :raises CorruptRecord: what leads to it is damaged.
        :raises WrittenByNewer: a newer Roost wrote it.
        :raises InvalidInput: the version is no whole number, or the edit does not leave an object,
            or not JSON.
        :raises BackendUnavailable: no answer.
        """
        from roost_core.client.replaying import plan

        check_whole(version, "version")
        return await plan(self._roost, self.id, version, edit)

    async def replay(
        self,
        version: int | Replay,
        *,
        edit: Edit | None = None,
        in_place: bool = False,
        work_id: str | None = None,
        deadline_at: datetime | None = None,
        deadline_seconds: float | None = None,
        reason: str | None = None,
        actor: Actor | str | None = None,
        request_id: str | None = None,
        seen: Seen | None = None,
    ) -> Replayed:
        """Run the work again from an earlier version: as new work, or in its own place.

        New work is a fork: it inherits all but the id, the idempotency key, what was counted, and a
        deadline that has passed; its history begins with this one's, and each knows of the other.
        In place, the earlier version becomes a new one, and the work is ready; paused work stays
        paused.

        :param version: its number, or what :meth:`plan_replay` has returned.
        :param edit: as in :meth:`plan_replay`.
        :param work_id: the id of the new work; made if not given.
        :param deadline_at: in place, a new deadline; one that has passed must be replaced.
        :param deadline_seconds: the same from now on, by the server's clock.
        :param request_id: of a request that may have been sent before: it counts once.
        :param seen: in place, how the work stood when somebody decided it, as a plan's ``seen``; by
            default as it was planned. What has changed since is left alone.
        :raises WorkNotFound: no work item has this id.
        :raises WorkIdTaken: another work item has the id for the new one.
        :raises VersionGone: the version is not kept.
        :raises VerbUnfit: in place, but it runs, has changed since it was planned, or its deadline
            has passed.
        :raises CorruptRecord: what leads to the version is damaged.
        :raises WrittenByNewer: a newer Roost wrote it.
        :raises InvalidInput: a value cannot be accepted; the text says which.
        :raises ArtifactError: an artifact of the version cannot be shared with new work.
        :raises BackendUnavailable: no answer; whether it was done is not known.
        """
        from roost_core.client import replaying

        if isinstance(version, replaying.Replay) and edit is not None:
            raise InvalidInput("an edit belongs to the plan, or to the version, not to both")
        if in_place and work_id is not None:
            raise InvalidInput("in place, it keeps its own id")
        who = self._roost.controlling.actor(actor, reason)
        planned = (
            version
            if isinstance(version, replaying.Replay)
            else await self.plan_replay(version, edit=edit)
        )
        if not in_place:
            return await replaying.fork(self._roost, planned, who, work_id, request_id=request_id)
        new = await self._roost.controlling.deadline_ms(deadline_at, deadline_seconds)
        return await replaying.rewind(self._roost, planned, who, new, seen, request_id=request_id)

    async def _status_at(self, version: int) -> WorkStatus:
        from roost_core.shown.versions import snapshot

        check_whole(version, "version")
        history = self._found(await self._roost.ledger.history(self.id))
        work = history.work
        return WorkStatus(
            views.meta(work),
            views.item(work),
            await self._roost.reading(lambda texts: snapshot(history, version, texts.whole)),
            forks=views.forks(work),
        )

    async def _stored(self) -> StoredWork:
        return self._found(await self._roost.ledger.read(self.id))

    async def _whole(self) -> StoredWork:
        return await self._roost.whole_work(await self._stored())

    def _found(self, found: _T | None) -> _T:
        if found is None:
            raise not_found(self.id, self._roost.ledger.queue)
        return found
