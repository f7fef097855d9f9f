"""The process that owns one home's embedded server.

:mod:`roost_plugins.redis_saq.embedded.server` starts it through
:mod:`roost_plugins.redis_saq.embedded.launch`. It and what it imports need only the standard
library, and it runs without ``site``, so that it starts in a few hundredths of a second and stays
small for as long as the server lives (about 10 MB resident, half of it shared with every other
Python).

The process in charge is decided by one ``flock`` on ``server/lock``, not by process ids, which the
system reuses. The supervisor takes it and the server inherits it, so it is free exactly when
neither is left, and no two servers can ever write the same append-only file. The kernel sends the
server SIGTERM when the supervisor dies (on Linux), so kill -9 of the supervisor ends in a clean
shutdown of the server; conversely, the supervisor notices its child's death and exits. A second
lock, ``server/supervised``, belongs only to the supervisor: whoever finds it free tells the
orphaned server to shut down, and waits for the first lock to start a new one.

**Why the server runs with** ``appendfsync no`` **when the setting says everysec.** With the
server's own ``everysec`` a ``write`` to the append-only file waits for up to two seconds while an
earlier fsync is still in progress, and clients get their answers meanwhile: kill -9 of the server
then loses what it acknowledged. Seen with valkey 9.1.2 and an fsync slowed to 1.5 s: of 444
acknowledged increments, the file held one. With ``no`` the server writes before it answers, always
(in the same trial, all of them were in the file), and this process calls fsync once a second
instead. A power loss may therefore cost about a second, and kill -9 nothing. One gap remains in the
server itself: a client that lets replies of more than a socket buffer (about 200 KB) pile up unread
while it sends further writes on the same connection may get an answer microseconds before the
write. No client of Roost works like that.

The server keeps no RDB file (``save ""``): the append-only file is the only truth, and
its rewrites, which begin with an RDB image, bound both its size and the time to load.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from roost_plugins.redis_saq.embedded.append_log import Syncer, sync_folder
from roost_plugins.redis_saq.embedded.folder import (
    BUSY,
    CONFIG,
    FAILED,
    LOCK,
    LOG,
    READY,
    RECORD,
    REMOVED,
    RENAMED,
    SCHEMA,
    SERVER_LOG,
    SOCKET,
    SUPERVISED,
    try_lock,
)
from roost_plugins.redis_saq.embedded.inspection import problem
from roost_plugins.redis_saq.embedded.publishing import Publication, StartFailed
from roost_plugins.redis_saq.embedded.server_process import ServerProcess
from roost_plugins.redis_saq.embedded.start_failure import why_it_ended
from roost_plugins.redis_saq.embedded.wire import Refused, Wire

#: A log larger than this at start becomes ``<name>.1``. Bytes.
MAX_LOG = 1 << 20
#: The longest time to load the append-only file. Seconds.
START_LIMIT = 600.0


class _Stopped(Exception):
    """A signal ended the start, of this process or of the server, before it was ready."""


def _log(text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    with suppress(OSError):  # A full disk must not end the server, which can still be read.
        print(f"{stamp} [{os.getpid()}] {text}", file=sys.stderr, flush=True)  # noqa: T201 - the log


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _rotate(path: str) -> None:
    if os.path.islink(path):
        os.unlink(path)  # The server would write to where it leads.
    if os.path.exists(path) and os.path.getsize(path) > MAX_LOG:
        os.replace(path, f"{path}.1")


class Supervisor:
    """Starts the server, watches it, and takes it down when nobody needs it.

    :param folder: the server folder, absolute; also the working directory.
    :param binary: the server's program.
    :param fsync: ``everysec`` or ``always``.
    :param idle_seconds: how long nobody may be connected before the server stops.
    :param temp: where a folder with a short name can be made.
    """

    def __init__(
        self, folder: str, binary: str, fsync: str, idle_seconds: float, temp: str
    ) -> None:
        self.folder = folder
        self.binary = binary
        self.fsync = fsync
        self.idle_seconds = idle_seconds
        self.publication = Publication(folder, temp, _log)
        #: What the renamed commands are called, until the next start.
        self.names = {name: f"{name}-{os.urandom(16).hex()}" for name in RENAMED}
        self.server = ServerProcess(folder, binary, _log)
        self.stopping = False
        self.tick = min(1.0, max(0.05, idle_seconds / 4))
        self._wake, self._woken = socket.socketpair()
        self._place = self._identity(folder)
        self._complaint = ""

    def run(self, answer: Callable[[bytes], None]) -> None:
        """Serve until nobody needs it.

        :param answer: called once with the outcome of the start.
        """
        self._own_signals()
        try:
            self.publication.clear()
            _rotate(SERVER_LOG)
            self.server.begin(self._config())
            version = self._await_server()
            self._sync_folders()
            self._publish(version)
            answer(READY)
            self._watch(version)
        except _Stopped:
            _log("stopped while starting")
        except (StartFailed, OSError) as error:
            _log(str(error))
            answer(FAILED + str(error).encode("utf-8", "replace"))
        finally:
            # First the record, so that nobody new is sent to a server that is shutting down.
            self.publication.withdraw()
            self.server.end(self._sleep)
            self.publication.clear()

    # -- starting --------------------------------------------------------------------------

    def _own_signals(self) -> None:
        for end in (self._wake, self._woken):
            end.setblocking(False)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _on_stop(self, *_: object) -> None:
        self.stopping = True

    def _config(self) -> str:
        lines = [CONFIG % ("always" if self.fsync == "always" else "no")]
        lines += [f'rename-command {name} ""\n' for name in REMOVED]
        lines += [f"rename-command {name} {ours}\n" for name, ours in self.names.items()]
        return "".join(lines)

    def _await_server(self) -> str:
        """Wait until the append-only file is loaded, and check the result.

        :returns: the server's version.
        """
        deadline = time.monotonic() + START_LIMIT
        pause = 0.002
        while time.monotonic() < deadline:
            if self.stopping:
                raise _Stopped
            if self.server.has_ended():
                if self.server.ended_by in (signal.SIGKILL, signal.SIGTERM):
                    raise _Stopped  # not the server's fault: the caller tries again
                raise StartFailed(why_it_ended(self.folder, self.binary))
            try:
                with Wire(SOCKET, 10.0) as wire:
                    info = wire.info("persistence", "server")
                    if info.get("loading") == "0":
                        self._inspect(wire)
                        return info.get("valkey_version", "")
            except (OSError, Refused):
                pass  # not there yet, or still loading
            self._sleep(pause)
            pause = min(0.05, pause * 1.5)
        raise StartFailed(
            f"the embedded server did not load its data within {START_LIMIT:g} s "
            f"(see {self.folder}/{SERVER_LOG})"
        )

    def _inspect(self, wire: Wire) -> None:
        different = problem(wire, self.names)
        if different is not None:
            raise StartFailed(
                f"the data in {self.folder} changes the server ({different}), and Roost stores "
                "nothing that does: remove it if it is not yours"
            )

    @staticmethod
    def _sync_folders() -> None:
        for made in (".", ".."):
            try:
                sync_folder(made)
            except OSError as error:
                _log(f"cannot sync the folder {os.path.abspath(made)}: {error.strerror}")

    def _publish(self, version: str) -> None:
        """Write the record that others find the server by."""
        self.publication.publish(
            {
                "schema": SCHEMA,
                "supervisor_pid": os.getpid(),
                "server_pid": self.server.pid,
                "server_version": version,
                "fsync": self.fsync,
                "idle_seconds": self.idle_seconds,
                "config_command": self.names["CONFIG"],
            }
        )

    @staticmethod
    def _identity(path: str) -> tuple[int, int] | None:
        try:
            found = os.stat(path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    # -- watching --------------------------------------------------------------------------

    def _watch(self, version: str) -> None:
        """Return when the server has ended, has lost its folder, or is no longer needed."""
        syncer = Syncer("appendonlydir")
        wire: Wire | None = None
        connections = ""
        used = time.monotonic()
        while not self.stopping:
            self._sleep(self.tick)
            if self.server.has_ended():
                _log("the server has ended")
                return
            if self._identity(self.folder) != self._place or self._identity(SOCKET) is None:
                _log("the server's folder or socket is gone")
                return
            self._mend_record(version)
            try:
                if wire is None:
                    wire, connections = Wire(SOCKET, 10.0), ""
                self._sync(syncer, wire)
                info = wire.info("clients", "persistence", "stats")
            except (OSError, Refused) as error:
                # Busy with a long script, or about to end: neither is a sign of idleness.
                self._complain(f"no answer from the server: {error}")
                if wire is not None:
                    wire.close()
                wire, used = None, time.monotonic()
                continue
            total = info["total_connections_received"]
            # What the disk did not accept is only in the server's memory: it stays until the disk
            # does.
            is_written = info["aof_last_write_status"] == "ok"
            if int(info["connected_clients"]) > 1 or total != connections or not is_written:
                connections, used = total, time.monotonic()
            elif time.monotonic() - used >= self.idle_seconds:
                _log("nobody needs the server")
                break
        if wire is not None:
            wire.close()

    def _mend_record(self, version: str) -> None:
        """Write the record again if a cleaner of temporary files, or a person, was here."""
        if self.publication.is_intact:
            return
        try:
            self._publish(version)
        except OSError as error:
            self._complain(f"cannot write {RECORD}: {error.strerror}")

    def _complain(self, text: str) -> None:
        """Log a lasting condition once."""
        if text != self._complaint:
            _log(text)
            self._complaint = text

    def _sync(self, syncer: Syncer, wire: Wire) -> None:
        try:
            syncer.sync()
        except OSError as error:
            # A server that syncs for itself exits when it cannot: it acknowledges nothing that
            # would not survive.
            self._complain(f"cannot sync the append-only file: {error.strerror}")
            wire.call(self.names["CONFIG"], "SET", "appendfsync", "always")

    def _sleep(self, seconds: float) -> None:
        """Wait, but at most until a signal."""
        if select.select([self._wake], [], [], seconds)[0]:
            self._wake.recv(4096)


def main(arguments: list[str]) -> int:
    """Become the supervisor of a server folder, unless there is one.

    Standard output gets one answer: ``ready``, ``busy``, or ``failed`` and why. The started process
    ends at once; its child, which nobody has to wait for, does the work.
    """
    folder, binary, fsync, idle_seconds, temp = arguments
    os.umask(0o077)
    try:
        os.chdir(folder)
        lock = _open(LOCK, os.O_RDWR)
        alone = _open(SUPERVISED, os.O_RDWR)
        _rotate(LOG)
        log = _open(LOG, os.O_WRONLY | os.O_APPEND)
    except OSError as error:
        os.write(1, FAILED + f"cannot write in {folder}: {error.strerror}".encode())
        return 0
    if not try_lock(lock):
        os.write(1, BUSY)
        return 0
    if os.fork():
        # The child holds the lock as well: closing this copy does not release it.
        return 0
    os.dup2(log, 2)
    os.set_inheritable(lock, True)  # by the server
    if not try_lock(alone):
        raise RuntimeError(f"two supervisors in {folder}")
    told = [os.dup(1)]
    os.dup2(0, 1)  # standard input is the null device

    def answer(line: bytes) -> None:
        if told:
            try:
                os.write(told[0], line)
            except BrokenPipeError:
                _log("whoever asked for the server has gone")
            os.close(told.pop())

    Supervisor(folder, binary, fsync, float(idle_seconds), temp).run(answer)
    return 0
