"""A damaged append-only file: how much is intact, and cutting off the rest.

After a power loss a file may end in zeros or anything else, and the server then does not start. Its
own program, which is also ``valkey-check-aof`` if run by that name, finds how much of the file is
intact.

Standard library only: the supervisor imports this.
"""

from __future__ import annotations

import os
import re
import time
from typing import NamedTuple

from roost_plugins.redis_saq.embedded.append_log import sync_folder

FOLDER = "appendonlydir"
_MANIFEST = f"{FOLDER}/appendonly.aof.manifest"
_ANALYZED = r"(?m)^AOF analyzed: filename=.+, size=(\d+), ok_up_to=(\d+),"
#: The beginning of a command in the file.
_COMMAND = rb"\*[1-9]\d*\r\n\$\d+\r\n"
#: Longest time to check the files. Seconds.
_LIMIT = 600.0
_BLOCK = 1 << 20


class Damage(NamedTuple):
    """The damage: of ``size`` bytes, the first ``whole`` are valid commands.

    ``commands`` is how many commands are recognisable in the rest.
    """

    name: str
    size: int
    whole: int
    commands: int

    def __str__(self) -> str:
        """Return it as text."""
        seen = f", with {self.commands} recognisable commands" if self.commands else ""
        return f"{self.name} is intact up to byte {self.whole}; {self.cut} bytes are not{seen}"

    @property
    def cut(self) -> int:
        """How many bytes are damaged."""
        return self.size - self.whole


class BeyondRepair(Exception):
    """There is damage, and not at the end; the text is one line."""


def find_damage(folder: str, binary: str) -> Damage | None:
    """Check a server folder's append-only files.

    :param binary: the server's program.
    :raises BeyondRepair: cutting off the end of the newest file does not repair it.
    :raises OSError: it cannot be checked.
    """
    import subprocess

    if not os.path.exists(f"{folder}/{FOLDER}"):
        return None
    name = _newest(folder)
    try:
        # Only that file: given the manifest, it takes an image of its own version for damage.
        done = subprocess.run(  # noqa: S603 - the server's program on our own files, no shell
            ["valkey-check-aof", name],  # noqa: S607 - a name to run as, not to look up
            executable=binary,
            cwd=f"{folder}/{FOLDER}",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BeyondRepair(f"{name} could not be checked within {_LIMIT:g} s") from error
    if done.returncode == 0:
        return None
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    found = re.search(_ANALYZED, said)
    if found is None:
        lines = said.strip().splitlines() or ["it cannot be read"]
        raise BeyondRepair(f"{name}: {lines[-1]}")
    whole = int(found[2])
    return Damage(name, int(found[1]), whole, _commands_after(f"{folder}/{FOLDER}/{name}", whole))


def cut_off(folder: str, damage: Damage) -> str:
    """Cut off what is damaged; return the path of a copy of the original file.

    The caller holds the folder's lock.

    :raises OSError: the copy could not be made; nothing is cut off.
    """
    import shutil

    path = f"{folder}/{FOLDER}/{damage.name}"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    copy = f"{folder}/damaged-{stamp}-{os.urandom(2).hex()}-{damage.name}"
    try:
        shutil.copyfile(path, copy)
        os.chmod(copy, 0o600)
        _sync(copy)
        sync_folder(folder)
    except OSError:
        if os.path.exists(copy):
            os.unlink(copy)
        raise
    os.truncate(path, damage.whole)
    _sync(path)
    return copy


def _newest(folder: str) -> str:
    """Return the file that the server writes to, of those that the manifest names."""
    try:
        with open(f"{folder}/{_MANIFEST}", encoding="utf-8", errors="replace") as manifest:
            named = re.findall(r"^file (\S+) seq \d+ type i\b", manifest.read(), re.MULTILINE)
    except FileNotFoundError:
        named = []
    if not named or "/" in named[-1]:
        raise BeyondRepair(f"{_MANIFEST} is damaged or gone")
    path = f"{folder}/{FOLDER}/{named[-1]}"
    if os.path.islink(path) or not os.path.isfile(path):
        raise BeyondRepair(f"{named[-1]} is gone")
    return str(named[-1])


def _commands_after(path: str, start: int) -> int:
    count, kept = 0, b""
    with open(path, "rb") as file:
        file.seek(start)
        while block := file.read(_BLOCK):
            text = kept + block
            ends = [found.end() for found in re.finditer(_COMMAND, text)]
            count += len(ends)
            # What may be the beginning of one that continues in the next block.
            kept = text[max(ends[-1] if ends else 0, len(text) - 32) :]
    return count


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
