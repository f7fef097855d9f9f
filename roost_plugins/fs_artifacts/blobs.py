"""The blobs of a store: bytes in files that are named by their SHA-256.

All methods raise plain ``OSError``; the store turns it into its own errors, and holds the blob's
lock where something is written or removed.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

from roost_plugins.fs_artifacts import files
from roost_plugins.fs_artifacts.records import TMP

_log = logging.getLogger("roost.artifacts")

BLOBS: Final = "blobs"


def reason(error: OSError) -> str:
    """Return what an error says, with the file that it is about."""
    text = error.strerror or type(error).__name__
    return f"{text} ({error.filename})" if error.filename else text


class Blobs:
    """The blobs of one store."""

    def __init__(self, tree: files.Tree) -> None:
        self._tree = tree

    def path(self, artifact_id: str) -> Path:
        """Return where a blob is."""
        return self._tree.root / BLOBS / artifact_id[:2] / artifact_id

    def put(self, artifact_id: str, data: bytes) -> None:
        """Publish a blob atomically, unless it is there; a damaged one is replaced."""
        with self._tree.folder(BLOBS, artifact_id[:2], create=True) as blobs:
            if _holds(blobs, artifact_id, data):
                # Its writer may be about to sync the folder; do not depend on that.
                os.fsync(blobs)
                return
            with (
                self._tree.folder(TMP, create=True) as tmp,
                files.temporary(tmp, data) as temp,
            ):
                files.publish(tmp, temp, blobs, artifact_id)

    def read(self, artifact_id: str) -> bytes:
        """Return a blob's bytes, as they are.

        :raises FileNotFoundError: there is none.
        """
        with self._tree.folder(BLOBS, artifact_id[:2]) as blobs:
            return files.read(blobs, artifact_id)

    def is_there(self, artifact_id: str) -> bool:
        """Return whether there is a regular file.

        :raises FileNotFoundError: there is not even a folder for it.
        """
        with self._tree.folder(BLOBS, artifact_id[:2]) as blobs:
            return files.is_regular(blobs, artifact_id)

    def drop(self, artifact_id: str) -> None:
        """Remove a blob, if it is there."""
        with (
            contextlib.suppress(FileNotFoundError),
            self._tree.folder(BLOBS, artifact_id[:2]) as blobs,
        ):
            files.remove(blobs, artifact_id)


def _holds(blobs: int, artifact_id: str, data: bytes) -> bool:
    """Return whether the stored blob is these bytes; a damaged one is not trusted."""
    try:
        found = os.stat(artifact_id, dir_fd=blobs, follow_symlinks=False)
        if found.st_size == len(data) and files.read(blobs, artifact_id) == data:
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        why = reason(error)
    else:
        why = f"{found.st_size} other bytes"
    _log.warning("stored artifact %s is damaged (%s): written again", artifact_id, why)
    return False
