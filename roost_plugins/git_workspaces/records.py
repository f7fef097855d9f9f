"""The record of each workspace: a lock, and how far its creation has got."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from roost_core.codec.strict_json import parse
from roost_core.errors import WorkspaceError
from roost_plugins.git_workspaces.git import GIT_TIMEOUT

#: How long to wait, in seconds, for another process that makes the same workspace.
LOCK_TIMEOUT: Final = 2 * GIT_TIMEOUT
#: What a record's ``state`` may be.
MAKING: Final = "making"
READY: Final = "ready"

_FOLDER: Final = ".state"


@attrs.frozen
class Records:
    """The records of the workspaces below ``root``, by name: ``<root>/.state/<name>.json``.

    A record has ``state``, ``kind`` (``worktree`` or ``clone``), ``repository`` (its git folder)
    and, for work whose life is known, ``life``.
    """

    root: Path

    def exists(self, name: str) -> bool:
        """Return whether there is a record, sound or not."""
        return self._file(name, "json").exists()

    def read(self, name: str) -> dict[str, str]:
        """Return the record, empty if there is none.

        :raises WorkspaceError: it is damaged.
        :raises OSError: it cannot be read.
        """
        try:
            content = parse(self._file(name, "json").read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            content = None
        if not isinstance(content, dict):
            file = self._file(name, "json")
            raise WorkspaceError(f"{file} is damaged: delete it and {self.root / name}")
        return content

    def write(self, name: str, record: dict[str, str]) -> None:
        """Replace the record atomically.

        :raises OSError: it cannot be written.
        """
        temp = self._file(name, secrets.token_hex(8))
        try:
            temp.write_text(json.dumps(record), "utf-8")
            temp.replace(self._file(name, "json"))
        finally:
            temp.unlink(missing_ok=True)

    def drop(self, name: str) -> None:
        """Delete the record, and the lock, which the caller holds.

        :raises OSError: one of them cannot be deleted.
        """
        self._file(name, "json").unlink(missing_ok=True)
        self._file(name, "lock").unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[int]:
        """Hold the workspace's lock and yield its descriptor; the folders are made for it.

        git inherits it: if this process is killed, the lock lasts until its git command ends, and
        nobody clears the folder meanwhile.

        :raises TimeoutError: another process holds it for too long.
        :raises OSError: a folder or the lock cannot be made.
        """
        self._make_root()
        descriptor = _acquire(self._file(name, "lock"), LOCK_TIMEOUT)
        try:
            yield descriptor
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _file(self, name: str, kind: str) -> Path:
        return self.root / _FOLDER / f"{name}.{kind}"

    def _make_root(self) -> None:
        for folder in (*reversed(self.root.parents), self.root, self.root / _FOLDER):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
        # The root may be in the source's own working tree, which should stay clean.
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", "utf-8")


def is_of(record: dict[str, str], life: int | None) -> bool:
    """Whether a workspace belongs to this life of the work id; without a life, to any."""
    return life is None or record.get("life") in (None, str(life))


def _acquire(path: Path, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A remove may have deleted the file in between: then the lock is worth nothing.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    return descriptor
            os.close(descriptor)
        except BlockingIOError:
            os.close(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if time.monotonic() >= deadline:
            raise TimeoutError(errno.ETIMEDOUT, "another process keeps it locked")
        time.sleep(0.02)
