"""Who refers to which artifact: one record for each pair, and notes of where to look.

For the layout, and the order in which things are written, see
:mod:`roost_plugins.fs_artifacts.store`. The store holds the artifact's lock meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
from typing import Final

import attrs

from roost_core.codec.records import decode_model, encode_artifact
from roost_core.errors import CorruptRecord, InvalidInput
from roost_core.models import ARTIFACT_ID, WORK_ID, Artifact
from roost_plugins.fs_artifacts import files

_log = logging.getLogger("roost.artifacts")

RECORDS: Final = "records"
WORKS: Final = "works"
TMP: Final = "tmp"

#: The largest record, in bytes of JSON.
MAX_RECORD_BYTES: Final = 64 << 10
#: How often a work item's folder is recreated after ``forget`` removes it.
_TRIES: Final = 100

_SUFFIX: Final = ".json"
#: Between a work and the name of what it has put, where each name has a record of its own.
_NAMED: Final = "="
_NAME: Final = re.compile(r"[a-z0-9-]{1,60}")
#: In a record: which life of the work item it belongs to; without it, every life.
_LIFE: Final = "life"


def work_folder(work_id: str, queue: str = "") -> str:
    """Return the file name that stands for a work item.

    It is the id itself; an id with upper-case letters is followed by a digest,
    so that ``A`` and ``a`` stay apart where file names ignore case, and so is one
    of another queue than the default one.

    :param queue: what stands for the queue; empty for the default one.
    :raises InvalidInput: not a work id.
    """
    if not isinstance(work_id, str) or WORK_ID.fullmatch(work_id) is None:
        raise InvalidInput(f"{work_id!r:.200} is not a valid work id")
    if queue:
        # No work id has a slash: the digest is not that of an id in the default queue.
        digest = hashlib.sha256(f"{queue}/{work_id}".encode()).hexdigest()[:16]
        return f"{work_id}+{digest}"
    if work_id == work_id.lower():
        return work_id
    return f"{work_id}+{hashlib.sha256(work_id.encode()).hexdigest()[:16]}"


def named(work: str, name: str | None) -> str:
    """Return what stands for what a work item has put under a name, apart from all else.

    :raises InvalidInput: the name does not do for a file.
    """
    if name is None or _NAME.fullmatch(name) is None:
        raise InvalidInput(f"{name!r:.80} is no name of a-z, 0-9 and -, of 60 at most")
    return f"{work}{_NAMED}{name}"


def work_of(owner: str) -> str:
    """Return the work of an owner: that itself, or what :func:`named` was given."""
    return owner.partition(_NAMED)[0]


def encoded(artifact: Artifact, life: int | None) -> bytes:
    """Return what is stored as a record.

    :raises InvalidInput: it is too large.
    """
    return encode_artifact(artifact, {} if life is None else {_LIFE: life}, MAX_RECORD_BYTES)


class Records:
    """The records and notes of one store; ``work`` is always what :func:`work_folder` returns.

    The owner of a record is a work, or what :func:`named` makes of it.

    All methods raise plain ``OSError`` as well; the store turns it into its own errors.
    """

    def __init__(self, tree: files.Tree) -> None:
        self._tree = tree

    # -- notes -----------------------------------------------------------------------------

    def note(self, work: str, artifact_id: str) -> None:
        """Note that a work item may refer to an artifact."""
        with self._tree.folder(WORKS, create=True) as works:
            for _ in range(_TRIES):
                # A forget of this work's last artifact may remove the folder at any moment.
                with (
                    contextlib.suppress(FileNotFoundError),
                    files.inner_folder(works, work, create=True) as mine,
                ):
                    files.touch(mine, artifact_id)
                    return
        raise OSError(errno.EAGAIN, "the work item is being forgotten at the same time")

    def strike(self, work: str, artifact_id: str) -> None:
        """Take a note back, if there is one."""
        with contextlib.suppress(FileNotFoundError), self._tree.folder(WORKS, work) as mine:
            files.remove(mine, artifact_id)

    def strike_work(self, work: str) -> None:
        """Remove a work item's folder for notes, if it is empty."""
        with contextlib.suppress(OSError), self._tree.folder(WORKS) as works:
            # Not empty any more if the work has put something new.
            os.rmdir(work, dir_fd=works)

    def noted(self, work: str) -> list[str]:
        """Return the artifacts that a work item may refer to, sorted."""
        try:
            with self._tree.folder(WORKS, work) as mine:
                names = os.listdir(mine)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if ARTIFACT_ID.fullmatch(name))

    # -- records ---------------------------------------------------------------------------

    def put(self, artifact_id: str, owner: str, record: bytes) -> None:
        """Publish a record atomically."""
        with (
            self._tree.folder(RECORDS, artifact_id[:2], create=True) as shard,
            files.inner_folder(shard, artifact_id, create=True) as records,
            self._tree.folder(TMP, create=True) as tmp,
            files.temporary(tmp, record) as temp,
        ):
            files.publish(tmp, temp, records, owner + _SUFFIX)

    def drop(self, artifact_id: str, owner: str) -> None:
        """Remove a record, if there is one."""
        with (
            contextlib.suppress(FileNotFoundError),
            self._tree.folder(RECORDS, artifact_id[:2], artifact_id) as records,
        ):
            files.remove(records, owner + _SUFFIX)

    def drop_artifact(self, artifact_id: str) -> None:
        """Remove the folder of an artifact's records, if it is empty."""
        with contextlib.suppress(OSError), self._tree.folder(RECORDS, artifact_id[:2]) as shard:
            os.rmdir(artifact_id, dir_fd=shard)

    def owners(self, artifact_id: str) -> list[str]:
        """Return who refers to an artifact."""
        try:
            with self._tree.folder(RECORDS, artifact_id[:2], artifact_id) as records:
                names = os.listdir(records)
        except FileNotFoundError:
            return []
        return [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]

    def is_of(
        self, artifact_id: str, owner: str, life: int | None, *, is_certain: bool = False
    ) -> bool:
        """Whether a record, or what a put without a record left, belongs to this life.

        :param is_certain: only if the record says so.
        """
        if life is None:
            return True
        try:
            recorded = self._read(artifact_id, owner).extra.get(_LIFE)
        except (FileNotFoundError, CorruptRecord):
            return not is_certain
        if is_certain:
            return recorded == life
        # What an earlier life has left goes with it.
        return not isinstance(recorded, int) or recorded <= life

    def read(self, artifact_id: str, owner: str) -> Artifact | None:
        """Return an owner's metadata of an artifact; None, and a warning, if it is damaged."""
        try:
            artifact = self._read(artifact_id, owner)
        except FileNotFoundError:
            return None  # noted by a put that has not got this far, or forgotten meanwhile
        except (OSError, CorruptRecord) as error:
            path = self._tree.root / RECORDS / artifact_id[:2] / artifact_id / f"{owner}{_SUFFIX}"
            _log.warning("skipped the artifact record %s: %s", path, error)
            return None
        extra = {key: value for key, value in artifact.extra.items() if key != _LIFE}
        return attrs.evolve(artifact, extra=extra)

    def _read(self, artifact_id: str, owner: str) -> Artifact:
        with self._tree.folder(RECORDS, artifact_id[:2], artifact_id) as records:
            artifact = decode_model(Artifact, files.read(records, owner + _SUFFIX))
        if artifact.artifact_id != artifact_id:
            raise CorruptRecord(f"it is about {artifact.artifact_id}")
        return artifact
