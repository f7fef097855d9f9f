"""Syncing the server's append-only files to disk."""

from __future__ import annotations

import fcntl
import os


def sync_folder(path: str) -> None:
    """Make the names in a folder as durable as the files are.

    :raises OSError: the folder cannot be read, or its file system cannot do this.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Syncer:
    """Syncs the append-only files to disk.

    Not only the newest file: during a rewrite the previous one counts as well.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._synced: dict[int, int] = {}
        # On macOS only this reaches the disk.
        self._full = getattr(fcntl, "F_FULLFSYNC", None)

    def sync(self) -> int:
        """Sync what has grown since the last call; return how many files.

        :raises OSError: what was written may not be on the disk.
        """
        sizes: dict[int, int] = {}
        count = 0
        try:
            entries = [e for e in os.scandir(self._folder) if e.name.endswith(".incr.aof")]
        except FileNotFoundError:
            return 0
        for entry in entries:
            try:
                found = entry.stat()
                if self._synced.get(found.st_ino) != found.st_size:
                    self._sync_file(entry.path)
                    count += 1
            except FileNotFoundError:
                continue  # a rewrite has replaced it
            sizes[found.st_ino] = found.st_size
        self._synced = sizes
        return count

    def _sync_file(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if self._full is not None:
                fcntl.fcntl(descriptor, self._full)
            else:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
