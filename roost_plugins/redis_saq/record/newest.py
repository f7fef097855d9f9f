"""The newest version of a snapshot that is stored as a base and changes."""

from __future__ import annotations

from collections.abc import Sequence

from roost_core.backend.history import CHANGE
from roost_core.codec import changes
from roost_core.errors import CorruptRecord


def newest(stored: Sequence[bytes | None]) -> bytes:
    """Return the newest version of a snapshot: what follows from a base by changes.

    :param stored: the base and the changes, as scripts return them.
    :raises CorruptRecord: one is lost or damaged.
    """
    base, *followed = stored
    if base is None:
        raise CorruptRecord("the whole snapshot is lost that its changes belong to")
    text = bytearray(base)
    for change in followed:
        if change is None or not change.startswith(CHANGE):
            raise CorruptRecord("a change of the snapshot is lost")
        changes.followed(text, change[1:])
    return bytes(text)
