"""How two versions of a work item's snapshot differ."""

from __future__ import annotations

from functools import cached_property

import attrs

from roost_core.backend.history import StoredHistory
from roost_core.differences import Difference, compare, patch_between
from roost_core.errors import VersionGone
from roost_core.models.snapshot import Artifact, Snapshot
from roost_core.shown.versions import Whole, snapshot
from roost_core.values import Json, Value


@attrs.frozen(eq=False, repr=False, slots=False)
class Comparison(Value):
    """Two versions of a work item's snapshot, and how they differ.

    :ivar work_id: whose history they are in. What a fork has from before has the id of its origin.
    :ivar old: what is compared; it may be the later version of the two.
    :ivar new: what it is compared with.
    """

    work_id: str
    old: Snapshot
    new: Snapshot

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """How their data differs; paths are JSON pointers into the data."""
        return compare(dict(self.old.data), dict(self.new.data))

    @property
    def artifacts_added(self) -> tuple[Artifact, ...]:
        """The artifacts that only the new one names."""
        return _besides(self.new, self.old)

    @property
    def artifacts_removed(self) -> tuple[Artifact, ...]:
        """The artifacts that only the old one names."""
        return _besides(self.old, self.new)

    def patch(self) -> list[dict[str, Json]]:
        """Return the operations (RFC 6902) that turn the data of the one into the other's."""
        return patch_between(dict(self.old.data), dict(self.new.data))


def _besides(one: Snapshot, other: Snapshot) -> tuple[Artifact, ...]:
    known = {(each.artifact_id, each.ext, each.name) for each in other.artifacts}
    return tuple(
        each for each in one.artifacts if (each.artifact_id, each.ext, each.name) not in known
    )


def compared(
    history: StoredHistory,
    old: int | None,
    new: int | None,
    whole: Whole = lambda raw, _: raw,
) -> Comparison:
    """Compare two versions; see :meth:`roost_core.client.work.Work.diff`.

    :param whole: as for :func:`~roost_core.shown.versions.snapshot`.
    :raises VersionGone: one of them is not kept any more, or there was none.
    :raises CorruptRecord: the bytes of one, or what leads to them, do not decode.
    :raises WrittenByNewer: a newer Roost wrote them.
    """
    new = history.work.version if new is None else new
    if old is None and new == 1:
        raise VersionGone(f"{history.work.work_id} has no version before its first")
    old = new - 1 if old is None else old
    first, second = (snapshot(history, one, whole) for one in (old, new))
    return Comparison(history.work.work_id, first, second)
