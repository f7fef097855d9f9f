"""Folders and files below one root, made durable, and never reached through a link.

Every path is walked name by name with folder descriptors and ``O_NOFOLLOW``, so
a symbolic link that somebody plants below the root leads nowhere. The root
itself is the operator's choice and may be a link.

All functions raise plain ``OSError``; the store turns it into its own errors.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
#: A temporary file that nobody holds is litter after a day, in seconds.
STALE_AFTER: Final = 86400.0

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BELOW: Final = os.O_NOFOLLOW | os.O_CLOEXEC
#: The longest pause between two tries to take a lock, in seconds.
_LOCK_PAUSE: Final = 0.05


class Tree:
    """The folders below ``root``. Making one does no I/O.

    :param makes_root: whether the root may be made, with its parents.
    """

    def __init__(self, root: Path, *, makes_root: bool = True) -> None:
        self.root = root
        self._makes_root = makes_root
        self._settled: set[tuple[str, ...]] = set()

    @contextlib.contextmanager
    def folder(self, *names: str, create: bool = False) -> Iterator[int]:
        """Open a folder that stays once it is made, and yield its descriptor.

        :param create: make what is missing, the root and its parents included.
        :raises FileNotFoundError: it is missing and must not be created.
        :raises NotADirectoryError: something else, perhaps a link, has its name.
        """
        try:
            descriptor = os.open(self.root, _FOLDER)
        except FileNotFoundError:
            if not create or not self._makes_root:
                raise
            make_folders(self.root)
            descriptor = os.open(self.root, _FOLDER)
        try:
            for depth, name in enumerate(names, start=1):
                inner = _enter(descriptor, name, create)
                try:
                    # Another process may have made the folder a moment ago and be about
                    # to sync it; what this process stores must not depend on that.
                    if create and names[:depth] not in self._settled:
                        os.fsync(descriptor)
                        self._settled.add(names[:depth])
                finally:
                    os.close(descriptor)
                    descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def make_folders(path: Path) -> None:
    """Make a folder and its missing parents, each 0700 and durable."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for one in reversed(missing):
        with contextlib.suppress(FileExistsError):
            one.mkdir(FOLDER_MODE)
        parent = os.open(one.parent, _FOLDER)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


@contextlib.contextmanager
def inner_folder(outer: int, name: str, *, create: bool = False) -> Iterator[int]:
    """Open a folder that comes and goes, inside another, and yield its descriptor.

    With ``create`` the outer folder is synced, whoever made the inner one.
    """
    descriptor = _enter(outer, name, create)
    try:
        if create:
            os.fsync(outer)
        yield descriptor
    finally:
        os.close(descriptor)


def _enter(outer: int, name: str, create: bool) -> int:
    try:
        return os.open(name, _FOLDER | _BELOW, dir_fd=outer)
    except FileNotFoundError:
        if not create:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, FOLDER_MODE, dir_fd=outer)
    os.fsync(outer)
    return os.open(name, _FOLDER | _BELOW, dir_fd=outer)


def touch(folder: int, name: str) -> None:
    """Make an empty file unless it is there, and sync the folder."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | _BELOW
    os.close(os.open(name, flags, FILE_MODE, dir_fd=folder))
    os.fsync(folder)


def remove(folder: int, name: str) -> None:
    """Remove a file if it is there, and sync the folder."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    os.fsync(folder)


def read(folder: int, name: str) -> bytes:
    """Return the content of a regular file.

    :raises FileNotFoundError: there is none.
    :raises OSError: with ``ELOOP`` for a symbolic link, ``EINVAL`` for anything
        else that is not a regular file.
    """
    # Without O_NONBLOCK a planted pipe would block the reader for ever.
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _BELOW, dir_fd=folder)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", name)
        return file.read()


def is_regular(folder: int, name: str) -> bool:
    """Return whether a regular file has this name."""
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def temporary(folder: int, data: bytes) -> Iterator[str]:
    """Write ``data`` durably to a new file and yield its name; remove it unless it was moved.

    The file is locked while its writer lives, which is how :func:`sweep` tells a
    slow writer from a dead one.
    """
    name = secrets.token_hex(16)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BELOW
    descriptor = os.open(name, flags, FILE_MODE, dir_fd=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        yield name
    finally:
        # A second error here must not hide the first.
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
        os.close(descriptor)


def publish(source: int, temp: str, target: int, name: str) -> None:
    """Move a temporary file to its name in another folder, atomically, and sync that folder.

    Whatever had the name is replaced, a link included, except a folder.
    """
    os.rename(temp, name, src_dir_fd=source, dst_dir_fd=target)
    os.fsync(target)


def sweep(folder: int, now: float) -> None:
    """Remove temporary files that are older than a day and that no live process holds.

    :param now: seconds since the epoch by the clock that file times come from.
    """
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode) or now - found.st_mtime < STALE_AFTER:
                continue
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _BELOW, dir_fd=folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=folder)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def lock(folder: int, name: str, *, exclusive: bool, timeout: float) -> Iterator[None]:
    """Hold a lock file, shared or exclusive; it ends with the process at the latest.

    :param timeout: seconds to wait for it at most; 0 tries once.
    :raises TimeoutError: another process keeps it.
    """
    descriptor = _acquire(folder, name, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH, timeout)
    try:
        yield
    finally:
        # Unlocked by hand, because a forked child would keep it by its copy of the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _acquire(folder: int, name: str, operation: int, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | _BELOW, FILE_MODE, dir_fd=folder)
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
            # Somebody may have removed the file in between: then the lock is worth nothing.
            if _is_named(descriptor, folder, name):
                return descriptor
            os.close(descriptor)
        except BlockingIOError:
            os.close(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if time.monotonic() >= deadline:
            raise TimeoutError(errno.ETIMEDOUT, "another process keeps it locked", name)
        time.sleep(pause)
        pause = min(2 * pause, _LOCK_PAUSE)


def _is_named(descriptor: int, folder: int, name: str) -> bool:
    try:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
