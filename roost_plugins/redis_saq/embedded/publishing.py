"""Where the embedded server can be found: the record, and a short path to its socket.

Standard library only: the supervisor imports this. Its working directory is the server
folder.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable

from roost_plugins.redis_saq.embedded.folder import (
    LOG,
    MAX_SOCKET_PATH,
    RECORD,
    SERVER_LOG,
    SHORT,
    SOCKET,
    own_folder_problem,
)

#: What older versions of Roost left here.
_FORMER = ("valkey.conf",)


class StartFailed(Exception):
    """No server can be started; the text is one line for people."""


class Publication:
    """The record by which others find the server.

    :param folder: the server folder, absolute.
    :param temp: where a folder with a short name can be made.
    :param log: takes a line for the supervisor's log.
    """

    def __init__(self, folder: str, temp: str, log: Callable[[str], None]) -> None:
        self.folder = folder
        self.temp = temp
        self._log = log
        self._published: tuple[int, ...] | None = None
        #: The folder with the short path, still known when the home is gone.
        self._short: str | None = None

    def publish(self, record: dict[str, object]) -> None:
        """Write the record, and add the socket to it.

        :raises StartFailed: there is no short path for the socket.
        :raises OSError: it cannot be written.
        """
        try:
            self._write(record)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # What is stored can still be read, once the server can be found.
            self._make_room()
            self._write(record)
        self._published = self._fingerprint()

    @property
    def is_intact(self) -> bool:
        """Whether record and short path are as they were written."""
        return self._fingerprint() == self._published

    def withdraw(self) -> None:
        """Remove the record, so that no new user comes."""
        self._remove(RECORD)

    def clear(self) -> None:
        """Remove what a killed supervisor left, or this one will not need again."""
        for name in (RECORD, f"{RECORD}.new", SOCKET, *_FORMER):
            self._remove(name)
        self._clear_short()

    def _write(self, record: dict[str, object]) -> None:
        path = f"{self.folder}/{SOCKET}"
        if len(os.fsencode(path)) > MAX_SOCKET_PATH:
            path = self._shorten(path)
        fresh = f"{RECORD}.new"
        self._remove(fresh)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(fresh, flags, 0o600), "w", encoding="ascii") as file:
            json.dump({**record, "socket": path}, file, indent=1)
        os.replace(fresh, RECORD)

    def _make_room(self) -> None:
        self._log("the disk is full: the logs are removed to make room for the record")
        for name in (f"{SERVER_LOG}.1", f"{LOG}.1"):
            self._remove(name)
        for name in (SERVER_LOG, LOG):
            os.truncate(name, 0)

    def _shorten(self, path: str) -> str:
        """Make a private folder with a short name and in it a link to the socket."""
        for parent in (self.temp, "/tmp"):  # noqa: S108 - the name below cannot be guessed
            short = f"{parent}/roost-{os.urandom(8).hex()}"
            if len(os.fsencode(short)) + 5 <= MAX_SOCKET_PATH:
                break
        else:
            raise StartFailed(f"no short path to {self.folder}: choose a shorter home folder")
        mode = os.stat(parent).st_mode
        if mode & 0o022 and not mode & stat.S_ISVTX:
            raise StartFailed(
                f"others can rename what is in {parent}: choose a home folder whose path "
                f"is shorter than {MAX_SOCKET_PATH - len(SOCKET) - 8} bytes"
            )
        self._clear_short()
        # The note comes first: whatever is killed, the next start can clean up.
        os.symlink(short, SHORT)
        os.mkdir(short, 0o700)
        self._short = short
        os.symlink(path, f"{short}/sock")
        return f"{short}/sock"

    def _clear_short(self) -> None:
        try:
            short = os.readlink(SHORT)
        except OSError:
            if self._short is None:
                return
            short = self._short
        self._short = None
        try:
            if os.path.basename(short).startswith("roost-") and not own_folder_problem(short):
                self._remove(f"{short}/sock")
                os.rmdir(short)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._log(f"left {short}: {error.strerror}")
        self._remove(SHORT)

    def _remove(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._log(f"cannot remove {path}: {error.strerror}")

    @staticmethod
    def _fingerprint() -> tuple[int, ...] | None:
        """Return a value that changes when the record or the short path to the socket does."""
        try:
            found = os.stat(RECORD)
            short = os.path.lexists(SHORT) and not os.path.exists(f"{os.readlink(SHORT)}/sock")
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, short
