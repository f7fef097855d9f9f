"""The server folder of a home: what is in it, who may use it, who is in charge of it.

Standard library only: the supervisor imports this too.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time

SCHEMA = 1
SOCKET = "roost.sock"
RECORD = "server.json"
#: Held while the supervisor or the server lives: its holder may start a server.
LOCK = "lock"
#: Held while the supervisor lives. A server without a supervisor is shutting down.
SUPERVISED = "supervised"
SERVER_LOG = "valkey.log"
LOG = "supervisor.log"
#: Names the folder that holds a short path to the socket; a link, so that it is one write.
SHORT = "short"
#: The longest socket path in bytes: Linux allows 107, macOS 103.
MAX_SOCKET_PATH = 100
READY, BUSY, FAILED = b"ready", b"busy", b"failed "

#: Written by whoever made the folder: see the module ``ownership``.
MARK = "made-by"
#: Server commands that Roost does not use and that reach beyond its data: other hosts, files, code.
#: They are removed, even for what the server reads from the append-only file, which it obeys
#: without checking permissions.
REMOVED = (
    *("MODULE", "FUNCTION", "FCALL", "FCALL_RO", "DEBUG", "PFDEBUG", "PFSELFTEST"),
    *("REPLICAOF", "SLAVEOF", "FAILOVER", "SYNC", "PSYNC", "REPLCONF", "CLUSTER", "MIGRATE"),
    *("SAVE", "BGSAVE", "RESTORE", "RESTORE-ASKING", "MONITOR"),
)
#: Those needed to look after the server. They get new names at each start, which nothing stored
#: earlier can know; ``server.json`` has the first.
RENAMED = ("CONFIG", "ACL")

#: Given to the server at each start over a pipe, so nothing is written to a disk that may be full.
#: Paths are relative to the server folder, which is the working directory: no path is too long for
#: the server, and none needs quoting here.
CONFIG = f"""\
port 0
unixsocket {SOCKET}
unixsocketperm 700
daemonize no
dir ./
logfile {SERVER_LOG}
loglevel notice
hide-user-data-from-log yes
set-proc-title no
save ""
appendonly yes
appenddirname appendonlydir
appendfsync %s
no-appendfsync-on-rewrite no
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb
aof-use-rdb-preamble yes
aof-load-truncated yes
sanitize-dump-payload yes
maxmemory 0
maxmemory-policy noeviction
io-threads 1
enable-debug-command no
enable-module-command no
enable-protected-configs no
"""


#: What the server must still report about itself once it has read its data.
SOUND = {
    "port": "0",
    "tls-port": "0",
    "unixsocketperm": "700",
    "replicaof": "",
    "requirepass": "",
    "aclfile": "",
    "save": "",
    "appendonly": "yes",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "enable-debug-command": "no",
    "enable-module-command": "no",
    "enable-protected-configs": "no",
}


def own_folder_problem(path: str) -> str | None:
    """Return why a folder is not this user's alone, or None if it is."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        return "it is not a folder"
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}, not to user {os.geteuid()}"
    if found.st_mode & 0o077:
        return f"others can reach it (mode {stat.S_IMODE(found.st_mode):o})"
    return None


def read_own(path: str, most: int) -> bytes | None:
    """Return up to ``most`` bytes of a file that only its owner, this user, can write.

    :returns: None if there is no such file; one behind a link does not count.
    :raises PermissionError: somebody else could have written it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(f"others can write {path}")
        return file.read(most)


def is_full(path: str) -> bool:
    """Return whether the disk of a folder has no room for even a few small files."""
    try:
        found = os.statvfs(path)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < 64 << 10


def try_lock(descriptor: int) -> bool:
    """Take a lock for good, if it is free.

    Processes that only test the lock share it for an instant; they do not count.
    """
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(0.002)


def is_free(folder: str, name: str = LOCK) -> bool:
    """Return whether a lock is free, without taking it."""
    try:
        descriptor = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # Explicit, because a process forked meanwhile has a copy of the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
