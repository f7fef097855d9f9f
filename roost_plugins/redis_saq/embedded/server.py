"""Find the embedded server of a home folder, or start it.

Everything about the server is in ``<home>/server``, a folder of mode 0700:

=====================  ==============================================================
``lock``               held by the supervisor and the server as long as either lives
``supervised``         held by the supervisor as long as it lives
``server.json``        where the running server answers, and which processes it is
``roost.sock``         the server's socket, mode 0700
``short``              a link to the folder with a short path to the socket, if the
                       home's own path is too long for a socket
``appendonlydir/``     the append-only file: the data
``made-by``            whose Roost made the folder (:mod:`~.ownership`)
``damaged-…``          what was damaged, as it was before the repair
``valkey.log``, ``supervisor.log``    what happened, and one older file of each
=====================  ==============================================================

A user of the server is anything connected to it. After ``idle_seconds`` without a user, server and
supervisor end. A process that finds no server starts one; if several do at the same moment, the
lock lets one through and the others use its server. Everything can be killed at any moment: the
lock is released with its holders, the next start clears leftovers, and the data is in the
append-only file (see :mod:`roost_plugins.redis_saq.embedded.supervisor`).

``fsync`` and ``idle_seconds`` are those of whoever starts the server, with one exception: a request
for ``always`` takes effect at once, on a running server too. It then stays so until the server
ends, because it is the stronger promise of the two.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from roost_core.errors import BackendUnavailable, SettingsError
from roost_core.settings import state_folder
from roost_plugins.redis_saq.embedded import folder as server_folder
from roost_plugins.redis_saq.embedded import ownership
from roost_plugins.redis_saq.embedded.finding import (
    ELSEWHERE,
    folder_of,
    name_of_config,
    read_record,
    socket_path,
)
from roost_plugins.redis_saq.embedded.log_repair import BeyondRepair, Damage, cut_off, find_damage
from roost_plugins.redis_saq.embedded.starting import server_binary, start
from roost_plugins.redis_saq.embedded.wire import Refused, Wire

#: How often a process that waits for another's start checks again. Seconds.
_LOOK_AGAIN = 0.01
#: How long a server that is busy with one long command may take to answer. Seconds.
_ANSWER_TIMEOUT = 5.0
#: How many supervisors may vanish without an answer before that counts as a failure.
_SILENT_LIMIT = 5


def ensure(
    home: Path,
    *,
    fsync: str,
    idle_seconds: float,
    trusted: bool = False,
    start_timeout: float = 20.0,
) -> Path:
    """Return the unix socket of this home's server, which has just answered. Blocks.

    A server that runs is found in well under a millisecond; starting one takes some
    hundredths of a second, and longer if there is much data to load.

    :param home: the home folder; made if missing. A relative path or a link leads to
        the same server as the real path.
    :param fsync: ``everysec`` or ``always``.
    :param idle_seconds: how long after its last user the server stops.
    :param trusted: whether to start a server on data that this user's Roost did not make.
    :param start_timeout: how many seconds to wait for a server.
    :raises SettingsError: the home folder cannot be used or trusted.
    :raises BackendUnavailable: there is no server for this platform, it does not start,
        or it does not answer in time. The text says what to do.
    """
    folder = folder_of(home)
    deadline = time.monotonic() + start_timeout
    silent = 0
    while (left := deadline - time.monotonic()) > 0:
        found = _answering(folder, fsync, min(left, _ANSWER_TIMEOUT))
        if found is not None:
            return found
        if not server_folder.is_free(folder):
            # Somebody is starting a server, or one is on its way out.
            time.sleep(_LOOK_AGAIN)
            continue
        _make_folder(folder)
        _claim(folder, trusted)
        answer = start(folder, fsync, idle_seconds, left)
        if answer.startswith(server_folder.FAILED):
            text = answer.removeprefix(server_folder.FAILED).decode("utf-8", "replace")
            raise BackendUnavailable(text)
        silent += not answer
        if silent == _SILENT_LIMIT:
            raise BackendUnavailable(
                f"the embedded server's supervisor ends without an error: see {folder}/"
                f"{server_folder.LOG}, or set ROOST_REDIS_URL to a server of your own"
            )
    raise BackendUnavailable(
        f"the embedded server in {folder} did not answer within {start_timeout:g} s: "
        f"see {server_folder.SERVER_LOG} there and try again"
    )


def stop(home: Path, *, timeout: float = 30.0) -> None:
    """Shut this home's server down cleanly and wait until it is gone. Blocks.

    Nothing happens if none runs.

    :raises BackendUnavailable: it is still there after ``timeout`` seconds.
    """
    folder = folder_of(home)
    deadline = time.monotonic() + timeout
    while not server_folder.is_free(folder):
        record = read_record(folder)
        path = socket_path(folder, record) if record else None
        if path is not None:
            try:
                with Wire(path, 1.0) as wire:
                    wire.call("SHUTDOWN")
            except (OSError, Refused):
                pass  # gone, ending, or not answering: the lock shows which
        if time.monotonic() > deadline:
            pids = (
                [record[name] for name in ("supervisor_pid", "server_pid")] if record else "unknown"
            )
            raise BackendUnavailable(
                f"the embedded server in {folder} did not stop within {timeout:g} s "
                f"(process ids: {pids})"
            )
        time.sleep(_LOOK_AGAIN)


def repair_log(home: Path) -> tuple[Damage, str] | None:
    """Cut off what is damaged at the end of this home's append-only file. Blocks.

    :returns: what was cut off, and the path of a copy of the original file; None if it is intact.
    :raises SettingsError: the folder cannot be trusted.
    :raises BackendUnavailable: a server runs there, or the file cannot be repaired; nothing was
        changed.
    """
    folder = folder_of(home)
    try:
        lock = os.open(f"{folder}/{server_folder.LOCK}", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"cannot use {folder}: {error.strerror}: {ELSEWHERE}") from error
    try:
        if not server_folder.try_lock(lock):
            raise BackendUnavailable(
                f"the embedded server in {folder} is running, so its data is intact; "
                "nothing was changed"
            )
        damage = find_damage(folder, server_binary())
        return None if damage is None else (damage, cut_off(folder, damage))
    except BeyondRepair as error:
        raise BackendUnavailable(
            f"{folder} cannot be repaired: {error}; restore a backup"
        ) from error
    except OSError as error:
        raise BackendUnavailable(f"cannot repair {folder}: {error.strerror}") from error
    finally:
        os.close(lock)


def describe(home: Path) -> dict[str, Any] | None:
    """Return what is known about this home's server, or None if none answers. Starts nothing.

    The keys: ``socket``, ``supervisor_pid``, ``server_pid``, ``server_version``,
    ``fsync`` (as it is now), ``idle_seconds``, ``clients`` (this call's connection and
    the supervisor's among them), ``memory_bytes``, ``log``.
    """
    folder = folder_of(home)
    record = read_record(folder)
    path = socket_path(folder, record) if record else None
    if record is None or path is None:
        return None
    try:
        with Wire(path, _ANSWER_TIMEOUT) as wire:
            info = wire.info("clients", "memory", "persistence", "server")
            fsync = wire.ask(name_of_config(record), "GET", "appendfsync")[1]
    except (OSError, Refused):
        return None
    known = ("supervisor_pid", "server_pid", "server_version", "idle_seconds")
    return {
        "socket": path,
        **{name: record[name] for name in known},
        # The supervisor syncs once a second where the server does not.
        "fsync": "everysec" if fsync == "no" else fsync,
        "clients": int(info["connected_clients"]),
        "memory_bytes": int(info["used_memory"]),
        "log": f"{folder}/{server_folder.SERVER_LOG}",
    }


def config_command(home: Path) -> str:
    """Return this home's server's name for the command ``CONFIG``."""
    return name_of_config(read_record(folder_of(home)) or {})


# -- what is there ---------------------------------------------------------------------------


def _answering(folder: str, fsync: str, timeout: float) -> Path | None:
    record = read_record(folder)
    path = socket_path(folder, record) if record else None
    if record is None or path is None:
        return None
    try:
        with Wire(path, timeout) as wire:
            if not _is_alive(wire):
                return None
            if server_folder.is_free(folder, server_folder.SUPERVISED):
                # The supervisor was killed. If the system does not end the server with it, this
                # does; if it does, nobody is sent to a dying server.
                wire.call("SHUTDOWN")
                return None
            if fsync == "always" != record["fsync"]:
                wire.call(name_of_config(record), "SET", "appendfsync", "always")
    except (OSError, Refused):
        return None
    return Path(path)


def _is_alive(wire: Wire) -> bool:
    """Return whether the server serves, even if it refuses writes, which makes PING fail."""
    try:
        return wire.call("PING") == "PONG"
    except Refused as refused:
        return str(refused).startswith("MISCONF")


# -- starting --------------------------------------------------------------------------------


def _make_folder(folder: str) -> None:
    home = os.path.dirname(folder)
    try:
        os.makedirs(os.path.dirname(home), exist_ok=True)
        for path in (home, folder):
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                if not os.path.isdir(path):
                    raise
    except FileExistsError as error:
        raise SettingsError(f"{error.filename} is not a folder: {ELSEWHERE}") from error
    except OSError as error:
        raise SettingsError(f"cannot make {folder}: {error.strerror}: {ELSEWHERE}") from error


def _claim(folder: str, trusted: bool) -> None:
    state = state_folder()
    try:
        ownership.claim(folder, None if state is None else str(state), trusted=trusted)
    except OSError as error:
        raise SettingsError(f"cannot use {folder}: {error.strerror}: {ELSEWHERE}") from error
