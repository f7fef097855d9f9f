"""Artifacts as files, by their SHA-256.

Below the root, folders 0700 and files 0600::

    blobs/ab/<artifact id>                  the bytes
    records/ab/<artifact id>/<work>.json    who refers to them: one work's metadata
    works/<work>/<artifact id>              empty: where to look for a work's records
    locks/ab                                one lock per first byte of the id
    tmp/<random>                            files being written
    values/                                 the same again, for large texts of snapshots, where
                                            a record is <work>=<name>.json

**Order.** ``put`` notes the artifact under ``works``, then publishes the blob,
then the record; each is durable before the next begins. So a record always has
its blob, whatever is interrupted, and all that an interrupted ``put`` can leave
is found again under ``works`` by ``forget``. Readers see a blob or a record
only after the rename that completes it.

**Locks.** A ``put`` holds its artifact's lock shared from before it looks for
the blob until its record is there; dropping a blob takes the lock exclusively.
So a blob cannot go while somebody is about to refer to it, and writers never
wait for each other.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from roost_core.backend import ArtifactStore, Finding, Reach
from roost_core.errors import (
    ArtifactCorrupt,
    ArtifactDiskFull,
    ArtifactError,
    ArtifactNotFound,
    InvalidInput,
)
from roost_core.models import ARTIFACT_ID, Artifact
from roost_plugins.fs_artifacts import files
from roost_plugins.fs_artifacts.blobs import BLOBS, Blobs, reason
from roost_plugins.fs_artifacts.diagnosis import diagnose
from roost_plugins.fs_artifacts.records import (
    RECORDS,
    TMP,
    WORKS,
    Records,
    encoded,
    named,
    work_folder,
    work_of,
)

_log = logging.getLogger("roost.artifacts")

LOCKS: Final = "locks"
VALUES: Final = "values"
_FOLDERS: Final = (BLOBS, RECORDS, WORKS, LOCKS, TMP)
#: The namespace and queue whose records have the plain names: the defaults of the settings.
_PLAIN: Final = ("default", "default")

#: Seconds to wait for a lock. Only a stopped process, or a very large blob, takes that long.
LOCK_TIMEOUT: Final = 60.0
#: Seconds to wait for it to drop what can as well be dropped another time.
_DROP_TIMEOUT: Final = 0.1


def _check_id(artifact_id: str) -> str:
    if not isinstance(artifact_id, str) or ARTIFACT_ID.fullmatch(artifact_id) is None:
        raise InvalidInput(
            f"{artifact_id!r:.200} is not an artifact id: it is 64 hexadecimal digits, lower case"
        )
    return artifact_id


class FilesystemStore(ArtifactStore):
    """The store below one folder; for any number of threads and processes of one machine.

    :param queue: what stands for the queue whose work items it is for; empty for the default one.
    :param is_shared: whether every worker of the queue has the folder, wherever it runs.
    :param is_for_values: whether it is the one for large texts: each name that a work item puts an
        artifact under has a record of its own, and the folder must be there when it is read.
    """

    def __init__(
        self, root: Path, queue: str = "", *, is_shared: bool = False, is_for_values: bool = False
    ) -> None:
        self._queue = queue
        self._is_shared = is_shared
        self._is_for_values = is_for_values
        # Absolute, because a process may change its folder later.
        root = Path(os.path.abspath(root))
        #: What must be there, because it is not this machine's alone.
        self._outer = (root.parent if is_for_values else root) if is_shared else None
        self._tree = files.Tree(root, makes_root=not is_shared or is_for_values)
        self._blobs = Blobs(self._tree)
        self._records = Records(self._tree)
        self._is_swept = False

    def of_queue(self, namespace: str, queue: str) -> FilesystemStore:
        """Return the store for a queue's work items: blobs are shared, records are not."""
        name = "" if (namespace, queue) == _PLAIN else f"{namespace}/{queue}"
        if name == self._queue:
            return self
        return FilesystemStore(
            self._tree.root, name, is_shared=self._is_shared, is_for_values=self._is_for_values
        )

    @property
    def reach(self) -> Reach:
        """A folder is one machine's, unless the settings say that others have it, too."""
        return Reach.NETWORK if self._is_shared else Reach.MACHINE

    @cached_property
    def values(self) -> FilesystemStore:
        """The store in a folder of this one."""
        return FilesystemStore(
            self._tree.root / VALUES, self._queue, is_shared=self._is_shared, is_for_values=True
        )

    @property
    def description(self) -> str:
        """The root folder."""
        return str(self._tree.root)

    # -- writing ---------------------------------------------------------------------------

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

        Putting again what is there costs a read and a new record; a stored blob
        that turns out to be damaged is replaced. If the very last sync fails, blob
        and record are whole and visible, but perhaps not durable: put them again.

        :raises InvalidInput: the work id, ``ext`` or ``name`` is malformed, or ``data`` not bytes.
        :raises ArtifactError: they could not be made durable; nothing half-written is visible.
        """
        self._see_outer()
        if not isinstance(data, bytes):
            raise InvalidInput(f"an artifact must be bytes, not {type(data).__name__}")
        work = work_folder(work_id, self._queue)
        owner = self._owner(work, name)
        artifact_id = hashlib.sha256(data).hexdigest()
        artifact = Artifact(artifact_id=artifact_id, size_bytes=len(data), ext=ext, name=name)
        record = encoded(artifact, life)
        try:
            if not self._is_swept:
                self._sweep()
            with self._locked(artifact_id, exclusive=False):
                self._records.note(work, artifact_id)
                self._blobs.put(artifact_id, data)
                self._records.put(artifact_id, owner, record)
        except OSError as error:
            self._tidy(artifact_id, work)
            text = f"cannot store artifact {artifact_id} in {self.description}: {reason(error)}"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ArtifactDiskFull(f"{text}; make room there") from error
            raise ArtifactError(text) from error
        return artifact

    def _owner(self, work: str, name: str | None) -> str:
        return named(work, name) if self._is_for_values else work

    def _owners(self, artifact_id: str, work: str) -> list[str]:
        """Return what of a work item refers to an artifact."""
        if not self._is_for_values:
            return [work]
        try:
            return [one for one in self._records.owners(artifact_id) if work_of(one) == work]
        except OSError as error:
            raise self._unreadable(error) from error

    @contextlib.contextmanager
    def _locked(
        self, artifact_id: str, *, exclusive: bool, timeout: float = LOCK_TIMEOUT
    ) -> Iterator[None]:
        with (
            self._tree.folder(LOCKS, create=True) as locks,
            files.lock(locks, artifact_id[:2], exclusive=exclusive, timeout=timeout),
        ):
            yield

    def _tidy(self, artifact_id: str, work: str) -> None:
        """After a failed put: leave no unreferenced blob, if that is easy."""
        try:
            with self._locked(artifact_id, exclusive=True, timeout=0):
                self._collect(artifact_id, work)
        except OSError as error:
            # What is left is whole, and forget finds it.
            _log.debug("could not tidy up artifact %s: %s", artifact_id, reason(error))

    # -- forgetting ------------------------------------------------------------------------

    def forget(self, work_id: str, life: int | None = None) -> None:
        """Drop a work item's records, and the blobs that nobody refers to any more.

        May be repeated; the next call retries what this one could not drop. Records of a later life
        of the work item stay.

        :param life: when it was created, in milliseconds; None is all its lives.
        :raises InvalidInput: not a work id.
        :raises ArtifactError: something could not be dropped; everything else was.
        """
        self._see_outer()
        work = work_folder(work_id, self._queue)
        noted = self._noted(work)
        failed = self._drop_all(work, noted, life)
        if self._queue and life is not None:
            # Versions without records for each queue gave all of them the plain names.
            plain = work_folder(work_id)
            others = [one for one in self._noted(plain) if one not in noted]
            failed = self._drop_all(plain, others, life, is_certain=True) or failed
        self._sweep()
        if failed is not None:
            raise ArtifactError(
                f"cannot drop all artifacts of {work_id} from {self.description}: {reason(failed)}"
            ) from failed

    def drop(self, artifact: Artifact, *, work_id: str, life: int | None = None) -> None:
        """Drop a work item's record of an artifact, and the blob if nobody else refers to it.

        :param life: as in :meth:`forget`.
        :raises InvalidInput: not a work id.
        :raises ArtifactError: it could not be dropped.
        """
        work, artifact_id = work_folder(work_id, self._queue), artifact.artifact_id
        owner = self._owner(work, artifact.name)
        try:
            with self._locked(artifact_id, exclusive=True, timeout=_DROP_TIMEOUT):
                is_mine = self._records.is_of(artifact_id, owner, life)
                if is_mine and self._records.read(artifact_id, owner) == artifact:
                    self._records.drop(artifact_id, owner)
                    self._collect(artifact_id, work)
        except OSError as error:
            raise ArtifactError(
                f"cannot drop {artifact_id} from {self.description}: {reason(error)}"
            ) from error

    def _drop_all(
        self, work: str, noted: Sequence[str], life: int | None, *, is_certain: bool = False
    ) -> OSError | None:
        """Drop a work item's records of artifacts; return what kept one of them."""
        failed: OSError | None = None
        for artifact_id in noted:
            try:
                with self._locked(artifact_id, exclusive=True):
                    is_left = False
                    for owner in self._owners(artifact_id, work):
                        if self._records.is_of(artifact_id, owner, life, is_certain=is_certain):
                            self._records.drop(artifact_id, owner)
                        else:
                            is_left = True
                    if not is_left:
                        self._collect(artifact_id, work)
            except OSError as error:
                failed = error
        self._records.strike_work(work)
        return failed

    def _collect(self, artifact_id: str, work: str) -> None:
        """Drop what has no record: an unreferenced blob, a note without a record of this work.

        The lock is held exclusively: no put of the same bytes is under way.
        """
        owners = self._records.owners(artifact_id)
        if not owners:
            self._blobs.drop(artifact_id)
            self._records.drop_artifact(artifact_id)
        if work not in map(work_of, owners):
            self._records.strike(work, artifact_id)

    def _sweep(self) -> None:
        """Remove temporary files that a crash left behind a day ago or earlier."""
        self._is_swept = True
        try:
            with self._tree.folder(TMP) as tmp:
                # File times are this machine's, so its clock is the one to compare with.
                files.sweep(tmp, time.time())
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("cannot clean %s/%s: %s", self.description, TMP, reason(error))

    # -- reading ---------------------------------------------------------------------------

    def get(self, artifact_id: str) -> bytes:
        """Return the bytes, verified.

        :raises InvalidInput: not an artifact id.
        :raises ArtifactNotFound: no such artifact.
        :raises ArtifactCorrupt: the bytes do not hash to their name.
        :raises ArtifactError: they cannot be read.
        """
        _check_id(artifact_id)
        try:
            data = self._blobs.read(artifact_id)
        except FileNotFoundError as error:
            self._see_root()
            raise ArtifactNotFound(f"no artifact {artifact_id} in {self.description}") from error
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EINVAL, errno.EISDIR):
                raise self._corrupt(artifact_id, "is not a regular file") from error
            raise ArtifactError(
                f"cannot read artifact {artifact_id} in {self.description}: {reason(error)}"
            ) from error
        if hashlib.sha256(data).hexdigest() != artifact_id:
            raise self._corrupt(artifact_id, f"holds {len(data)} other bytes")
        return data

    def _see_root(self) -> None:
        """Complain if the folder is not there at all, although it was."""
        self._see_outer()
        if self._is_for_values and not self._tree.root.is_dir():
            raise self._absent(self._tree.root)

    def _see_outer(self) -> None:
        """Complain if the folder that others have, too, is not there: nobody makes another one."""
        if self._outer is not None and not self._outer.is_dir():
            raise self._absent(self._outer)

    def _absent(self, root: Path) -> ArtifactError:
        return ArtifactError(
            f"there is no folder {root}: is its volume mounted, and is ROOST_ARTIFACT_ROOT the "
            "same for all?"
        )

    def _corrupt(self, artifact_id: str, what: str) -> ArtifactCorrupt:
        return ArtifactCorrupt(
            f"artifact {artifact_id} is damaged: {self._blobs.path(artifact_id)} {what}; "
            "restore that file from a backup, or store the same bytes again"
        )

    def exists(self, artifact_id: str) -> bool:
        """Return whether the artifact is there; its content is not read.

        :raises InvalidInput: not an artifact id.
        :raises ArtifactError: the folder cannot be read.
        """
        _check_id(artifact_id)
        try:
            return self._blobs.is_there(artifact_id)
        except FileNotFoundError:
            self._see_root()
            return False
        except OSError as error:
            raise self._unreadable(error) from error

    def describe(self, artifact_id: str) -> Sequence[tuple[str, Artifact]]:
        """Return who refers to an artifact: pairs of work id and that work's metadata.

        Sorted by work id; empty if nobody does. A damaged record is logged and left out.

        :raises InvalidInput: not an artifact id.
        :raises ArtifactError: the folder cannot be read.
        """
        _check_id(artifact_id)
        try:
            works = self._records.owners(artifact_id)
        except OSError as error:
            raise self._unreadable(error) from error
        pairs = []
        for work in works:
            artifact = self._records.read(artifact_id, work)
            if artifact is not None:
                pairs.append((work_of(work).partition("+")[0], artifact))
        return sorted(pairs, key=lambda pair: pair[0])

    def of_work(self, work_id: str) -> Sequence[Artifact]:
        """Return the metadata of everything a work item produced, sorted by artifact id.

        A damaged record is logged and left out.

        :raises InvalidInput: not a work id.
        :raises ArtifactError: the folder cannot be read.
        """
        work = work_folder(work_id, self._queue)
        found = [
            self._records.read(artifact_id, owner)
            for artifact_id in self._noted(work)
            for owner in self._owners(artifact_id, work)
        ]
        return [artifact for artifact in found if artifact is not None]

    def _noted(self, work: str) -> list[str]:
        try:
            return self._records.noted(work)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> ArtifactError:
        return ArtifactError(f"cannot read {self.description}: {reason(error)}")

    def diagnose(self) -> Sequence[Finding]:
        """Check for what would lose data: a folder that cannot be written, wrong modes."""
        found = diagnose(self._tree, _FOLDERS, is_shared=self._outer is not None)
        if self._is_for_values or not os.path.lexists(self._tree.root / VALUES):
            return found
        # Of the folder in it, only what is wrong.
        inner = diagnose(files.Tree(self._tree.root / VALUES), _FOLDERS)
        return [*found, *(one for one in inner if one.level in ("problem", "warning"))]
