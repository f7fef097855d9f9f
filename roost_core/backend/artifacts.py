"""What an artifact store offers."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from roost_core.backend.reports import Finding
from roost_core.backend.server import Reach
from roost_core.models.snapshot import Artifact


class ArtifactStore(abc.ABC):
    """Bytes stored under their SHA-256. Synchronous: callers on an event loop use a thread."""

    def of_queue(self, namespace: str, queue: str) -> ArtifactStore:  # noqa: ARG002 - for stores that tell queues apart
        """Return the store as the work items of a queue use it: their ids are the queue's own.

        A store that does not tell queues apart returns itself: then work items with the same id in
        two queues are one to it.
        """
        return self

    @property
    def reach(self) -> Reach:
        """From how far away workers reach it."""
        return Reach.PROCESS

    @property
    def values(self) -> ArtifactStore | None:
        """The store for large texts of snapshots, or None if it keeps none.

        It is one of its own, so that what is in it is no work's artifact. What a work item puts
        there under different names is noted for each, even of the same bytes, until :meth:`drop`.
        """
        return None

    @abc.abstractmethod
    def put(
        self,
        data: bytes,
        *,
        work_id: str,
        life: int | None = None,
        ext: str = "bin",
        name: str | None = None,
    ) -> Artifact:
        """Store bytes durably and note that the work item refers to them.

        The same bytes stored again, from any number of processes, are one blob.

        :param life: the work item's, as in :class:`Purged`; None belongs to every life.
        :raises InvalidInput: the work id, ``ext`` or ``name`` is malformed, or ``data`` not bytes.
        :raises ArtifactDiskFull: there is no room.
        :raises ArtifactError: they could not be made durable; nothing half-written is visible.
        """

    def share(self, artifact: Artifact, *, work_id: str, life: int | None = None) -> None:
        """Note that another work item refers to an artifact, too: it is kept as long as either is.

        By default its bytes are put again, for the other.

        :param work_id: the other, and ``life`` its life, as in :meth:`put`; if it is not there yet,
            a time before it is.
        :raises ArtifactNotFound: no such artifact.
        :raises ArtifactCorrupt: its bytes do not hash to its name.
        :raises ArtifactError: it cannot be noted.
        """
        self.put(
            self.get(artifact.artifact_id),
            work_id=work_id,
            life=life,
            ext=artifact.ext,
            name=artifact.name,
        )

    def drop(self, artifact: Artifact, *, work_id: str, life: int | None = None) -> None:
        """Take back that a work item refers to an artifact under a name.

        Its bytes go if nothing refers to them any more. Only stores that are another one's
        :attr:`values` need it.

        :param life: as in :meth:`forget`.
        :raises InvalidInput: not a work id.
        :raises ArtifactError: it could not be dropped.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def get(self, artifact_id: str) -> bytes:
        """Return the bytes, verified.

        :raises InvalidInput: not an artifact id.
        :raises ArtifactNotFound: no such artifact.
        :raises ArtifactCorrupt: the bytes do not hash to their name.
        :raises ArtifactError: they cannot be read.
        """

    @abc.abstractmethod
    def exists(self, artifact_id: str) -> bool:
        """Return whether the artifact exists, without reading its content.

        :raises InvalidInput: not an artifact id.
        :raises ArtifactError: the store cannot be read.
        """

    @abc.abstractmethod
    def describe(self, artifact_id: str) -> Sequence[tuple[str, Artifact]]:
        """Return what refers to an artifact: pairs of work id and that work's metadata.

        :raises InvalidInput: not an artifact id.
        :raises ArtifactError: the store cannot be read.
        """

    @abc.abstractmethod
    def of_work(self, work_id: str) -> Sequence[Artifact]:
        """Return the metadata of everything a work item produced, sorted by artifact id.

        :raises InvalidInput: not a work id.
        :raises ArtifactError: the store cannot be read.
        """

    @abc.abstractmethod
    def forget(self, work_id: str, life: int | None = None) -> None:
        """Drop a purged work item's metadata, and blobs that nothing refers to any more.

        May be repeated, and may come late: what was put in a later life of the id stays.

        :param life: as in :class:`Purged`; None means all of them.
        :raises InvalidInput: not a work id.
        :raises ArtifactError: something could not be dropped; everything else was.
        """

    @abc.abstractmethod
    def diagnose(self) -> Sequence[Finding]:
        """Check for what would lose data: an unwritable folder, wrong permissions."""

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """Where the artifacts are, for people."""
