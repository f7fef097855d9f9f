"""Snapshots that were read: a large one is decoded once, and then shown branch by branch."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

import attrs

from roost_core import Artifact, Roost, Snapshot
from roost_core.backend import StoredHistory, StoredWork
from roost_core.errors import CorruptRecord, WorkNotFound
from roost_core.shown import views
from roost_core.shown.versions import snapshot as snapshot_at
from roost_plugins.console.here import Here
from roost_plugins.console.histories import texts_of
from roost_plugins.console.kit.tree import Node, tree

#: What is kept at a time: this many snapshots of together this many bytes of JSON. Decoded, they
#: take several times as much.
_MOST: Final = 8
_MOST_BYTES: Final = 16 << 20


@attrs.frozen
class ReadState:
    """A work item's snapshot as it was read.

    :ivar snapshot: None if there is none, or if it does not decode; then ``problem`` says why.
    :ivar size: in bytes of JSON.
    """

    work_id: str
    life: int
    snapshot: Snapshot | None
    size: int
    problem: str | None = None

    @property
    def version(self) -> int:
        """Its version."""
        return 0 if self.snapshot is None else self.snapshot.version

    def artifact(self, artifact_id: str) -> Artifact | None:
        """Return what it says of an artifact, if it names that."""
        named = () if self.snapshot is None else self.snapshot.artifacts
        return next((one for one in named if one.artifact_id == artifact_id), None)

    @property
    def node(self) -> Node:
        """The tree of its data, as far as it is drawn from the start."""
        return tree({} if self.snapshot is None else self.snapshot.data)


_Key = tuple[str, int, int]


class Snapshots:
    """Those that were read last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, ReadState] = OrderedDict()

    def get(self, work_id: str, life: int, version: int) -> ReadState | None:
        """Return one of them."""
        with self._lock:
            found = self._known.get((work_id, life, version))
            if found is not None:
                self._known.move_to_end((work_id, life, version))
        return found

    def that_names(self, work_id: str, artifact_id: str) -> ReadState | None:
        """Return the newest of them that belongs to a work item and names an artifact."""
        with self._lock:
            known = [one for one in reversed(self._known.values()) if one.work_id == work_id]
        return next((one for one in known if one.artifact(artifact_id) is not None), None)

    def put(self, state: ReadState) -> ReadState:
        """Keep one, and forget what is too much."""
        with self._lock:
            self._known[state.work_id, state.life, state.version] = state
            while len(self._known) > 1 and self._is_full():
                self._known.popitem(last=False)
        return state

    def of_version(self, here: Here, history: StoredHistory, version: int) -> ReadState:
        """Return an earlier version of a work item's snapshot.

        :raises VersionGone: the version is not kept, or there was none.
        :raises CorruptRecord: it does not decode, or what leads to it is damaged.
        """
        work_id, life = history.work.work_id, history.work.created_ms
        known = self.get(work_id, life, version)
        if known is not None:
            return known
        raw = texts_of(here).whole(history.snapshot(version), work_id)
        found = snapshot_at(history, version, lambda _, __: raw)
        return self.put(ReadState(work_id, life, found, len(raw)))

    def _is_full(self) -> bool:
        size = sum(one.size for one in self._known.values())
        return len(self._known) > _MOST or size > _MOST_BYTES

    def read(self, here: Here, work_id: str) -> ReadState:
        """Read a work item's snapshot. It is decoded here, not in the connection's loop.

        :raises WorkNotFound: there is no such work item.
        :raises BackendUnavailable: no answer.
        """

        async def stored(roost: Roost) -> StoredWork:
            found = await roost.ledger.read(work_id)
            if found is None:
                raise WorkNotFound(f"no work item {work_id!r}: it has been dropped")
            return await roost.whole_work(found)

        found = here.ask(stored)
        size = len(found.snapshot or b"")
        try:
            snapshot, problem = views.snapshot(found), None
        except CorruptRecord as error:
            snapshot, problem = None, str(error)
        return self.put(ReadState(work_id, found.created_ms, snapshot, size, problem))
