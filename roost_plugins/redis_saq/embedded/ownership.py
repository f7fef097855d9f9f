"""Whether this user's Roost made a server folder.

A server folder from an archive or a repository holds data that somebody else chose, and the server
obeys what it reads there. So the Roost that makes a folder signs it: its file ``made-by`` is a
digest of the folder's inode, keyed with a secret that is only in the user's own state folder. No
archive can contain that, and a copy of a folder, which has another inode, has to be vouched for as
well. Moving a folder keeps its signature.

An empty folder needs no signature.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets

from roost_core.errors import SettingsError
from roost_plugins.redis_saq.embedded.folder import LOCK, MARK, SUPERVISED, read_own

#: What a folder without data may hold: two empty files, and a signature.
_EMPTY = frozenset({LOCK, SUPERVISED, MARK})
_KEY = "key"


def claim(folder: str, state: str | None, *, trusted: bool) -> None:
    """Sign a folder that is empty or vouched for; refuse any other that is not signed.

    :param state: the user's folder for Roost's state; None if there is none.
    :param trusted: whether the user has confirmed that the folder's data is theirs.
    :raises SettingsError: somebody else may have made it; the text says what to do.
    """
    names = os.listdir(folder)
    # Read after the names: the signature is the first file in a folder that another process is just
    # making.
    key, why = _key(state)
    if key is not None and _is_signed(folder, key):
        return
    has_data = any(name not in _EMPTY and not name.startswith(f"{MARK}.") for name in names)
    if has_data and not trusted:
        raise SettingsError(
            f"{os.path.dirname(folder)} was not made here by your Roost ({why or 'no signature'}): "
            "if its data is yours (a backup, for example), set ROOST_EMBEDDED_TRUST_HOME=yes once; "
            "else remove it"
        )
    if key is not None:
        _sign(folder, key)


def _is_signed(folder: str, key: bytes) -> bool:
    found = _read(f"{folder}/{MARK}")
    return found is not None and hmac.compare_digest(found.strip(), _signature(folder, key))


def _signature(folder: str, key: bytes) -> bytes:
    inode = b"%d" % os.stat(folder).st_ino
    return hashlib.blake2b(inode, key=key, digest_size=32).hexdigest().encode()


def _sign(folder: str, key: bytes) -> None:
    """Write the signature; if it cannot be written, the next start has to be confirmed again."""
    fresh = f"{folder}/{MARK}.{secrets.token_hex(4)}"
    try:
        _write(fresh, _signature(folder, key) + b"\n")
        os.replace(fresh, f"{folder}/{MARK}")
    except OSError:
        _remove(fresh)


def _key(state: str | None) -> tuple[bytes | None, str]:
    """Return the user's secret, made if there is none; or why there is none."""
    if state is None:
        return None, "there is no home folder to keep a key in"
    path = f"{state}/{_KEY}"
    try:
        os.makedirs(state, mode=0o700, exist_ok=True)
        found = _read(path)
        if found is None:
            fresh = f"{path}.{secrets.token_hex(4)}"
            try:
                _write(fresh, secrets.token_hex(32).encode() + b"\n")
                # Several may do this at once: the first wins, and all read what it wrote.
                os.link(fresh, path)
            except FileExistsError:
                pass
            finally:
                _remove(fresh)
            found = _read(path)
    except OSError as error:
        return None, f"cannot keep a key in {state}: {error.strerror}"
    key = (found or b"").strip()
    if not 32 <= len(key) <= 64:
        return None, f"{path} cannot be used: remove it"
    return key, ""


def _read(path: str) -> bytes | None:
    """Return a small file of our own; None if there is none, or others could have written it."""
    try:
        return read_own(path, 256)
    except PermissionError:
        return None


def _write(path: str, text: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(text)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
