"""Whether the embedded server is still what it was started as, once it has read its data.

Standard library only: the supervisor imports this.
"""

from __future__ import annotations

from collections.abc import Mapping

from roost_plugins.redis_saq.embedded.folder import SOUND
from roost_plugins.redis_saq.embedded.wire import Wire

#: The module for scripts, which is built into the server.
_BUILT_IN = "lua"


def problem(wire: Wire, names: Mapping[str, str]) -> str | None:
    """Return how the server differs, or None.

    The append-only file holds commands that the server obeys; those that could change any of this
    are removed (:data:`~.server_folder.REMOVED`). This is a second check, for anything unforeseen.

    :param names: what the renamed commands are called.
    :raises OSError: no answer.
    """
    info = wire.info()
    found = {
        "role": (info.get("role"), "master"),
        "tcp_port": (info.get("tcp_port"), "0"),
        "connected_slaves": (info.get("connected_slaves"), "0"),
        "functions": (info.get("number_of_libraries", "0"), "0"),
    }
    for name, sound in SOUND.items():
        # A list: one value per address, for example.
        found[name] = (" ".join(wire.ask(names["CONFIG"], "GET", name)[1:]), sound)
    for name, (value, sound) in found.items():
        if value != sound:
            return f"{name} is {value!r}, not {sound!r}"
    modules = [
        line
        for line in wire.call("INFO", "modules").splitlines()
        if line.startswith("module:") and f"name={_BUILT_IN}," not in line
    ]
    if modules:
        return f"it has a module: {modules[0]}"
    users = wire.ask(names["ACL"], "LIST")
    if len(users) != 1 or not users[0].startswith("user default on nopass "):
        return f"it has {len(users)} users"
    return None
