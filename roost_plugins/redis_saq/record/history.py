"""The versions of a snapshot, as the scripts answer; ``lua/lib/history.lua`` keeps them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import attrs

from roost_core.backend import StoredHistory, StoredVersion
from roost_core.codec.snapshots import lost_snapshot
from roost_core.errors import CorruptRecord, VersionGone
from roost_plugins.redis_saq.record.kinds import FAR
from roost_plugins.redis_saq.record.standing import stored_work

_HEAD: Final = re.compile(rb"(\d{1,15}) (\d{1,15}) ([!-~]+) ([^\n]*)\n")


def stored_history(answer: Sequence[Any]) -> StoredHistory:
    """Read the answer of ``history``."""
    row, base, base_version, entries = answer
    history = StoredHistory(stored_work(row), base, int(base_version), _commits(entries))
    try:
        newest = history.snapshot(history.work.version) if history.work.version else None
    except (CorruptRecord, VersionGone) as error:
        newest = lost_snapshot(error)
    return attrs.evolve(history, work=attrs.evolve(history.work, snapshot=newest))


def _commits(entries: Sequence[Any]) -> tuple[StoredVersion, ...]:
    """Read the entries of ``history``: version, entry and so on; what is damaged is left out."""
    found = []
    for version, entry in zip(entries[::2], entries[1::2], strict=True):
        head = _HEAD.match(entry)
        if head is None:
            continue
        at, took, worker, step = head.groups()
        found.append(
            StoredVersion(
                version=int(version),
                at_ms=min(int(at), FAR),
                took_ms=int(took),
                worker_id=worker.decode(),
                step=step.decode(errors="replace"),
                back=entry[head.end() :],
            )
        )
    return tuple(found)
