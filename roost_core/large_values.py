"""Large texts of snapshots, which a store of artifacts keeps beside them.

A worker stores such a text before the commit whose snapshot names it, in the name of its work item
and lease; :mod:`roost_core.codec.moved` has what stands in the snapshot. Readers fetch it, and no
engine notices. When the work item goes, so do its texts; those that no version names go earlier.

**Why no text goes that is needed.** A lease drops only what it, or a lease before it, has stored,
and what no version names that was kept when it looked. A later version names a text because the one
before it does, or an earlier one that is put back and so was kept as well, or because it brings it:
then its own lease has stored the text in its own name, which no earlier lease takes back, however
late it is.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.history import StoredHistory
from roost_core.backend.reports import StoredWork
from roost_core.backend.server import Server
from roost_core.codec.moved import Stored, has_values, sizes, value_ids
from roost_core.codec.snapshots import lost_snapshot
from roost_core.errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactNotFound,
    CorruptRecord,
)
from roost_core.models.snapshot import Artifact
from roost_core.models.worker import Lease

_log = logging.getLogger("roost.artifacts")

#: What no version names any more is looked for once in about this many texts that were stored, or
#: bytes of them.
_TIDY_EVERY: Final = 64
_TIDY_BYTES: Final = 64 << 20
#: The kind of file that a text is: JSON.
_EXT: Final = "json"

#: Numbers from 0 to 1, for what is done now and then.
Dice = Callable[[], float]


def _store_for(server: Server, store: ArtifactStore) -> ArtifactStore | None:
    """Return where large values go, or None if not every worker of the server reaches the store."""
    values = store.values
    return values if values is not None and store.reach >= server.reach else None


@attrs.frozen(eq=False)
class Texts:
    """Reads the large texts of one queue's snapshots. Its methods block, if there are any.

    :ivar store: the queue's store of artifacts; if there is none, ``problem`` says why.
    """

    store: ArtifactStore | None
    problem: str = ""

    def fetch(self, raw: bytes) -> Stored:
        """Return a snapshot with the texts that were moved out of it.

        :raises CorruptRecord: one is lost or damaged.
        :raises ArtifactError: they cannot be read now.
        """
        named = sizes(raw)
        return Stored.joined(raw, {one: self._text(one, size) for one, size in named.items()})

    def _text(self, text_id: str, size: int) -> bytes:
        try:
            return self._values().get(text_id)
        except ArtifactNotFound as error:
            raise CorruptRecord(f"a text of {size:,} bytes is lost: {error}") from error
        except ArtifactCorrupt as error:
            raise CorruptRecord(f"a text of {size:,} bytes is damaged: {error}") from error

    def _values(self) -> ArtifactStore:
        if self.store is None:
            raise ArtifactError(f"large texts are kept elsewhere: {self.problem}")
        if self.store.values is None:
            raise ArtifactError(f"large texts are kept elsewhere, not in {self.store.description}")
        return self.store.values

    def whole(self, raw: bytes) -> bytes:
        """Return a snapshot's bytes with each text in its place.

        What of them is lost is said by whoever decodes the result.
        """
        try:
            return self.fetch(raw).whole
        except (CorruptRecord, ArtifactError) as error:
            return lost_snapshot(error)

    def whole_work(self, work: StoredWork) -> StoredWork:
        """Return a work item with its snapshot as :meth:`whole` returns it."""
        if work.snapshot is None or not has_values(work.snapshot):
            return work
        return attrs.evolve(work, snapshot=self.whole(work.snapshot))

    def missing(self, text_id: str) -> str | None:
        """Return why a text is not there, or None."""
        try:
            values = self._values()
            is_there = values.exists(text_id)
        except ArtifactError as error:
            return str(error)
        return None if is_there else f"no artifact {text_id} in {values.description}"


@attrs.frozen(eq=False)
class LargeValues(Texts):
    """What a worker does with the large texts of one queue.

    :ivar least: how many bytes a text has that is moved; 0 for none.
    """

    least: int = attrs.field(default=0, kw_only=True)
    _dice: Dice = attrs.field(default=random.random, kw_only=True)

    @classmethod
    def of(cls, server: Server, store: ArtifactStore, least: int) -> LargeValues:
        """Return what goes for the queue of a store: nothing is moved that some would not reach."""
        return cls(store, least=least if _store_for(server, store) is not None else 0)

    def put(self, texts: Mapping[str, bytes], lease: Lease, life: int) -> None:
        """Store texts that the next version brings. Blocks.

        :param texts: by their ids.
        :raises ArtifactError: they are not durable.
        """
        values = self._values()
        for text in texts.values():
            values.put(text, work_id=lease.work_id, life=life, ext=_EXT, name=_name(lease.fence))

    def is_tidy_due(self, texts: Mapping[str, bytes]) -> bool:
        """Whether to look for what no version names any more, after these were stored."""
        chance = max(len(texts) / _TIDY_EVERY, sum(map(len, texts.values())) / _TIDY_BYTES)
        return bool(texts) and self._dice() < chance

    def tidy(self, history: StoredHistory, lease: Lease, life: int) -> None:
        """Drop what no version names any more that the lease, or one before it, has stored. Blocks.

        :param history: read after the lease's newest commit.
        """
        named: set[str] = set()
        for _, text in history.texts():
            if text is None:
                return  # It may be mended, and would need its texts.
            named |= value_ids(text)
        try:
            values = self._values()
            for one in values.of_work(lease.work_id):
                fence = _fence(one)
                if fence is not None and fence <= lease.fence and one.artifact_id not in named:
                    values.drop(one, work_id=lease.work_id, life=life)
        except ArtifactError as error:
            _log.warning("%s: cannot drop large texts: %s", lease.work_id, error)


def share(raw: bytes, history: StoredHistory, version: int, texts: Texts, work_id: str) -> None:
    """Note that a new work item names texts of another one, too. Blocks.

    :param raw: what it begins with.
    :param history: the other one's; up to ``version`` it is the new one's as well.
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
            texts._values().share(one, work_id=work_id)
        except ArtifactError:
            # Without a text of its past, just that version cannot be read.
            if value_id in needed:
                raise


def _name(fence: int) -> str:
    """Return the name of what a lease has stored."""
    return f"lease-{fence}"


def _fence(text: Artifact) -> int | None:
    head, _, number = (text.name or "").partition("-")
    return int(number) if head == "lease" and number.isdecimal() else None
