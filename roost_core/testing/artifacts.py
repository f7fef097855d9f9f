"""An artifact store that lives in this process."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence

from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.reports import Finding
from roost_core.errors import ArtifactNotFound, InvalidInput
from roost_core.models.checks import ARTIFACT_ID, WORK_ID
from roost_core.models.snapshot import Artifact

#: Which artifact, and under which name, where that makes a difference.
_Key = tuple[str, str | None]


class MemoryArtifactStore(ArtifactStore):
    """Artifacts in two dictionaries: blobs by id, and metadata by work item.

    :param by_name: whether what a work item puts under different names is noted for each.
    """

    def __init__(self, *, by_name: bool = False) -> None:
        self._by_name = by_name
        self._lock = threading.Lock()
        self._blobs: dict[str, bytes] = {}
        #: By work item, then by artifact and name.
        self._notes: dict[str, dict[_Key, Artifact]] = {}
        #: Per work item and note: in which life of the work item it was put.
        self._lives: dict[tuple[str, _Key], int | None] = {}
        self._values: MemoryArtifactStore | None = None

    @property
    def values(self) -> MemoryArtifactStore:
        """A second store, made at first use."""
        if self._values is None:
            self._values = MemoryArtifactStore(by_name=True)
        return self._values

    def put(
        self,
        data: bytes,
        *,
        work_id: str,
        life: int | None = None,
        ext: str = "bin",
        name: str | None = None,
    ) -> Artifact:
        """Keep the bytes and note that the work item refers to them."""
        if WORK_ID.fullmatch(work_id) is None:
            raise InvalidInput(f"{work_id!r} is not a valid work id")
        artifact = Artifact(
            artifact_id=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            ext=ext,
            name=name,
        )
        with self._lock:
            self._blobs[artifact.artifact_id] = bytes(data)
            key = self._key(artifact)
            self._notes.setdefault(work_id, {})[key] = artifact
            self._lives[work_id, key] = life
        return artifact

    def _key(self, artifact: Artifact) -> _Key:
        return artifact.artifact_id, artifact.name if self._by_name else None

    def drop(self, artifact: Artifact, *, work_id: str, life: int | None = None) -> None:
        """Take back that a work item refers to the artifact under its name."""
        key = self._key(artifact)
        with self._lock:
            if key in self._notes.get(work_id, {}) and self._is_of(work_id, key, life):
                self._drop(work_id, {key})

    def get(self, artifact_id: str) -> bytes:
        """Return the bytes."""
        if not self.exists(artifact_id):
            raise ArtifactNotFound(f"there is no artifact {artifact_id}")
        return self._blobs[artifact_id]

    def exists(self, artifact_id: str) -> bool:
        """Return whether the artifact is there."""
        if ARTIFACT_ID.fullmatch(artifact_id) is None:
            raise InvalidInput(f"{artifact_id!r} is not an artifact id")
        return artifact_id in self._blobs

    def describe(self, artifact_id: str) -> Sequence[tuple[str, Artifact]]:
        """Return the work items that refer to the artifact."""
        self.exists(artifact_id)
        with self._lock:
            return [
                (work_id, one)
                for work_id, notes in sorted(self._notes.items())
                for one in notes.values()
                if one.artifact_id == artifact_id
            ]

    def of_work(self, work_id: str) -> Sequence[Artifact]:
        """Return what a work item produced."""
        with self._lock:
            notes = self._notes.get(work_id, {})
            return sorted(notes.values(), key=lambda one: one.artifact_id)

    def forget(self, work_id: str, life: int | None = None) -> None:
        """Drop the notes of one life of a work item, and blobs that are no longer referenced."""
        with self._lock:
            notes = self._notes.get(work_id, {})
            self._drop(work_id, {one for one in notes if self._is_of(work_id, one, life)})

    def _drop(self, work_id: str, dropped: set[_Key]) -> None:
        notes = self._notes.get(work_id, {})
        for key in dropped:
            del notes[key], self._lives[work_id, key]
        if not notes:
            self._notes.pop(work_id, None)
        kept = {artifact_id for notes in self._notes.values() for artifact_id, _ in notes}
        for artifact_id in {one for one, _ in dropped} - kept:
            del self._blobs[artifact_id]

    def _is_of(self, work_id: str, key: _Key, life: int | None) -> bool:
        recorded = self._lives[work_id, key]
        return life is None or recorded is None or recorded <= life

    def diagnose(self) -> Sequence[Finding]:
        """Report that nothing is kept."""
        return [Finding("problem", "artifacts", "they live in memory and end with the process")]

    @property
    def description(self) -> str:
        """Say that it is in memory."""
        return "in memory, gone with this process"
