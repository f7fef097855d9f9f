"""Why the embedded server ended instead of starting: one line for people.

Standard library only: the supervisor imports this. The working directory is the server
folder.
"""

from __future__ import annotations

import os

from roost_plugins.redis_saq.embedded.folder import SERVER_LOG, is_full


def why_it_ended(folder: str, binary: str) -> str:
    """Return what is known about it, and what to do.

    :param folder: the server folder, absolute.
    :param binary: the server's program.
    """
    words = _last_words()
    see = f"(see {folder}/{SERVER_LOG})"
    if is_full(folder):
        home = os.path.dirname(folder)
        return f"the disk of {home} is full: make room there; the embedded server cannot start"
    if "unknown command" in words:
        return (
            f"the data in {folder} has commands that Roost never stores, so the embedded "
            f"server did not start: {words} {see}"
        )
    if "append only file" in words and (said := _damage(folder, binary)):
        return f"the data in {folder} is damaged: {said} {see}"
    return f"the embedded server did not start: {words} {see}"


def _damage(folder: str, binary: str) -> str:
    # Here, because a successful start must be quick and needs none of it.
    from roost_plugins.redis_saq.embedded.log_repair import BeyondRepair, find_damage

    try:
        damage = find_damage(folder, binary)
    except BeyondRepair as error:
        return f"{error}; restore a backup"
    except OSError:
        return ""
    if damage is None:
        return ""
    return f"{damage}: roost doctor --repair-log cuts them off and keeps a copy of the file"


def _last_words() -> str:
    try:
        with open(SERVER_LOG, "rb") as log:
            log.seek(max(0, os.path.getsize(SERVER_LOG) - 4096))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return "it left no log"
    # The useful text of a line follows its warning mark.
    told = [line.split(" # ", 1)[1] for line in lines if " # " in line]
    return (told or lines or ["its log is empty"])[-1].strip()
