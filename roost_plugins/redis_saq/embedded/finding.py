"""Where a home's embedded server is: its folder, its record, the path to its socket.

Nothing here starts or ends a server; files that others could have written are not trusted.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from roost_core.codec.strict_json import parse
from roost_core.errors import SettingsError
from roost_plugins.redis_saq.embedded import folder as server_folder

#: What a person can do if the home folder is unusable.
ELSEWHERE = "choose another home folder with ROOST_HOME, or a server with ROOST_REDIS_URL"


def folder_of(home: Path) -> str:
    """Return the real path of the server folder, which may not be there yet.

    :raises SettingsError: it cannot be used or trusted.
    """
    folder = os.path.join(os.path.realpath(home), "server")
    try:
        found = os.lstat(folder)
        if _only_readable(found):
            os.chmod(folder, 0o700)
        problem = server_folder.own_folder_problem(folder)
    except FileNotFoundError:
        return folder
    except NotADirectoryError as error:
        raise SettingsError(f"{home} is not a folder: {ELSEWHERE}") from error
    except OSError as error:
        raise SettingsError(f"cannot use {folder}: {error.strerror}: {ELSEWHERE}") from error
    if problem is not None:
        raise SettingsError(
            f"{folder} cannot be trusted: {problem}. Make it accessible only to you, or {ELSEWHERE}"
        )
    return folder


def _only_readable(found: os.stat_result) -> bool:
    """Return whether a folder of our own is open to others, but only for reading."""
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return own and bool(found.st_mode & 0o077) and not found.st_mode & 0o022


def read_record(folder: str) -> dict[str, Any] | None:
    """Return what the supervisor wrote about the running server; None if nothing valid.

    :raises SettingsError: others can write it.
    """
    path = f"{folder}/{server_folder.RECORD}"
    try:
        text = server_folder.read_own(path, 65536)
    except PermissionError:
        raise SettingsError(f"{path} cannot be trusted, others can write it: remove it") from None
    return None if text is None else parse_record(text)


def parse_record(text: bytes) -> dict[str, Any] | None:
    """Return the record if it is complete and of a known version, else None."""
    try:
        record = parse(text)
    except ValueError:
        return None
    kinds = {
        "socket": str,
        "supervisor_pid": int,
        "server_pid": int,
        "server_version": str,
        "fsync": str,
        "idle_seconds": float,
    }
    if not isinstance(record, dict) or record.get("schema") != server_folder.SCHEMA:
        return None
    if not all(isinstance(record.get(name), kind) for name, kind in kinds.items()):
        return None
    return record


def socket_path(folder: str, record: dict[str, Any]) -> str | None:
    """Return the path to connect to, if it leads to the socket in this folder."""
    path = f"{folder}/{server_folder.SOCKET}"
    if len(os.fsencode(path)) <= server_folder.MAX_SOCKET_PATH:
        return path
    short = str(record["socket"])
    try:
        problem = server_folder.own_folder_problem(os.path.dirname(short))
        if problem is None and os.readlink(short) == path:
            return short
    except OSError:
        return None  # removed; the supervisor will make another
    return None


def name_of_config(record: dict[str, Any]) -> str:
    """Return the server's name for the command ``CONFIG``."""
    # A server that an older version of Roost has started calls it by its name.
    return str(record.get("config_command", "CONFIG"))
