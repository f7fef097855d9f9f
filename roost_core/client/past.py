"""The past of work that is run again from an earlier version: what is kept of it, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from roost_core.backend.history import BY_PERSON, CHANGE, WHOLE, StoredHistory, StoredVersion
from roost_core.client.connection import Connection
from roost_core.codec import changes
from roost_core.codec.snapshots import decode_outline
from roost_core.errors import ArtifactError, CorruptRecord, PluginError, VersionGone
from roost_core.models.control import Actor
from roost_core.models.snapshot import Artifact
from roost_core.settings import Settings

#: Between two members of an object, or two texts of a list.
_BETWEEN: Final = b',"'


def word_for(actor: Actor) -> str:
    """Return what stands for a person in place of a worker."""
    word = "".join(one if one.isascii() and one.isprintable() else "?" for one in actor.who)
    return BY_PERSON + word.replace(" ", "_")


def way_back(before: bytes, begins: bytes, settings: Settings) -> bytes:
    """Return what leads from what a person has made to the version before it.

    It is kept whatever its size, or none of the others could be reached any more.
    """
    if not (settings.history_versions and settings.history_bytes):
        return b""
    change = changes.written(changes.by_parts(before, begins, _BETWEEN))
    return CHANGE + change if len(change) < len(before) else WHOLE + before


def what_stays(
    history: StoredHistory, begins: bytes, settings: Settings
) -> tuple[bytes, tuple[StoredVersion, ...]]:
    """Return the way back to the newest version, and the commits to be stored anew.

    If the newest cannot be read, the others are reached by a whole one behind what is damaged: what
    they followed from is replaced.
    """
    newest = history.work.version
    try:
        return way_back(history.snapshot(newest), begins, settings), ()
    except (CorruptRecord, VersionGone):
        pass
    for version in history.versions:
        try:
            text = history.snapshot(version)
        except (CorruptRecord, VersionGone):
            continue
        broken = history.commit(version + 1) or StoredVersion.forgotten(version + 1, b"")
        return b"", (attrs.evolve(broken, back=WHOLE + text),)
    return b"", ()


def inherited(
    history: StoredHistory, version: int, settings: Settings
) -> tuple[StoredVersion, ...]:
    """Return the commits up to a version, within the bounds of a history, newest first."""
    kept: list[StoredVersion] = []
    room = settings.history_bytes
    for one in history.commits:
        if one.version > version:
            continue
        room -= len(one.back)
        if room < 0 or len(kept) >= settings.history_versions:
            break
        kept.append(one)
    return tuple(kept)


def share_artifacts(
    roost: Connection,
    artifacts: Sequence[Artifact],
    history: StoredHistory,
    version: int,
    work_id: str,
    now_ms: int,
) -> None:
    """Note that a fork needs the artifacts of a version, and of those before it. Blocks.

    What was noted stays if one fails: to forget it would forget those of a work item that has got
    the same id meanwhile.

    :raises ArtifactError: one of the version cannot be shared.
    """
    needed = {one.artifact_id: one for one in artifacts}
    wanted = needed | {
        one.artifact_id: one
        for number, text in history.texts()
        if number < version and text is not None
        for one in _artifacts_in(text)
    }
    if not wanted:
        return
    try:
        store = roost.store_of_queue
    except PluginError:
        if needed:
            raise
        return
    for artifact_id, one in wanted.items():
        try:
            store.share(one, work_id=work_id, life=now_ms)
        except ArtifactError:
            # Without one of its past, just that one cannot be read, as it is of the origin.
            if artifact_id in needed:
                raise


def _artifacts_in(text: bytes | bytearray) -> tuple[Artifact, ...]:
    if b'"artifacts":[{' not in text:
        return ()
    try:
        return decode_outline(text).artifacts
    except CorruptRecord:
        return ()
