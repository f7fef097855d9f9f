"""Large texts of snapshots, which a store of artifacts keeps beside them: read, and shared.

:mod:`roost_core.codec.moved` has what stands in the snapshot, :mod:`roost_core.stepping.texts` when
a worker stores and drops them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.history import StoredHistory
from roost_core.backend.reports import StoredWork
from roost_core.backend.server import Server
from roost_core.codec.moved import Stored, has_values, sizes
from roost_core.codec.snapshots import lost_snapshot
from roost_core.errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactNotFound,
    CorruptRecord,
)
from roost_core.models.snapshot import Artifact

#: The kind of file that a text is: JSON.
_EXT: Final = "json"


def least_for(server: Server, store: ArtifactStore, least: int) -> int:
    """Return how many bytes a text has that is moved: 0, for none, if some would not reach it.

    :param store: of artifacts.
    :param least: what is wanted.
    """
    return least if store.values is not None and store.reach >= server.reach else 0


@attrs.frozen(eq=False)
class Texts:
    """Reads the large texts of one queue's snapshots. Its methods block, if there are any.

    :ivar store: the queue's store of artifacts; if there is none, ``problem`` says why.
    """

    store: ArtifactStore | None
    problem: str = ""

    @property
    def values(self) -> ArtifactStore:
        """The store of the texts.

        :raises ArtifactError: there is none.
        """
        if self.store is None:
            raise ArtifactError(f"large texts are kept elsewhere: {self.problem}")
        if self.store.values is None:
            raise ArtifactError(f"large texts are kept elsewhere, not in {self.store.description}")
        return self.store.values

    def fetch(self, raw: bytes, work_id: str) -> Stored:
        """Return a snapshot with the texts that were moved out of it.

        :param work_id: whose it is.
        :raises CorruptRecord: one is lost or damaged.
        :raises ArtifactError: they cannot be read now.
        """
        named = sizes(raw)
        found = {one: self._text(one, size, work_id) for one, size in named.items()}
        return Stored.joined(raw, found)

    def _text(self, text_id: str, size: int, work_id: str) -> bytes:
        try:
            return self.values.get(text_id)
        except ArtifactNotFound as error:
            # Where nothing is known of the work, that is not what others have stored it in.
            if not self.values.of_work(work_id):
                raise ArtifactError(
                    f"{self.values.description} has nothing of {work_id}: do all workers have "
                    "the same folder there, and is its volume mounted?"
                ) from error
            raise CorruptRecord(f"a text of {size:,} bytes is lost: {error}") from error
        except ArtifactCorrupt as error:
            raise CorruptRecord(f"a text of {size:,} bytes is damaged: {error}") from error

    def whole(self, raw: bytes, work_id: str) -> bytes:
        """Return a snapshot's bytes with each text in its place.

        What of them is lost is said by whoever decodes the result.
        """
        try:
            return self.fetch(raw, work_id).whole
        except CorruptRecord as error:
            return lost_snapshot(error)
        except ArtifactError as error:
            return lost_snapshot(error, "large texts of the snapshot cannot be read")

    def whole_work(self, work: StoredWork) -> StoredWork:
        """Return a work item with its snapshot as :meth:`whole` returns it."""
        if work.snapshot is None or not has_values(work.snapshot):
            return work
        return attrs.evolve(work, snapshot=self.whole(work.snapshot, work.work_id))

    def missing(self, text_id: str) -> str | None:
        """Return why a text is not there, or None."""
        try:
            is_there = self.values.exists(text_id)
        except ArtifactError as error:
            return str(error)
        return None if is_there else f"no artifact {text_id} in {self.values.description}"


def put(
    texts: Mapping[str, bytes], values: ArtifactStore, work_id: str, life: int, fence: int
) -> None:
    """Store texts in the name of a lease. Blocks.

    :param texts: by their ids.
    :raises ArtifactError: they are not durable.
    """
    for text in texts.values():
        values.put(text, work_id=work_id, life=life, ext=_EXT, name=_name(fence))


def share(
    raw: bytes, history: StoredHistory, version: int, texts: Texts, work_id: str, life: int
) -> None:
    """Note that a new work item names texts of another one, too. Blocks.

    :param raw: what it begins with.
    :param history: the other one's; up to ``version`` it is the new one's as well.
    :param life: the present, in milliseconds by the server's clock: its life begins after it.
    :raises ArtifactError: a text that it begins with is lost, or cannot be noted.
    """
    needed = sizes(raw)
    named = dict(needed)
    for number, text in history.texts():
        if number <= version and text is not None:
            named |= sizes(text)
    for value_id, size in named.items():
        one = Artifact(artifact_id=value_id, size_bytes=size, ext=_EXT, name=_name(0))
        try:
            texts.values.share(one, work_id=work_id, life=life)
        except ArtifactError:
            # Without a text of its past, just that version cannot be read.
            if value_id in needed:
                raise


def _name(fence: int) -> str:
    return f"lease-{fence}"


def fence_of(text: Artifact) -> int | None:
    """Return the fence of the lease that has stored a text; None if none has."""
    head, _, number = (text.name or "").partition("-")
    return int(number) if head == "lease" and number.isdecimal() else None
