"""What tests of the artifact store know about its folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

#: Bytes to store, and their name.
DATA = b"some bytes"
AID = hashlib.sha256(DATA).hexdigest()


def blob(root: Path, artifact_id: str = AID) -> Path:
    """Return where a blob is."""
    return root / "blobs" / artifact_id[:2] / artifact_id


def left(root: Path) -> list[Path]:
    """Return all files of a store except its locks."""
    return [path for path in root.rglob("*") if path.is_file() and path.parent.name != "locks"]


def record(root: Path, work: str, artifact_id: str = AID) -> Path:
    """Return where a work's record of an artifact is."""
    return root / "records" / artifact_id[:2] / artifact_id / f"{work}.json"


def failing(monkeypatch, function: str, call: int, error: BaseException) -> list[int]:
    """Let the ``call``-th call of an ``os`` function raise; return a list that counts calls."""
    genuine = getattr(os, function)
    calls: list[int] = []

    def wrapper(*args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise error
        return genuine(*args, **kwargs)

    monkeypatch.setattr(os, function, wrapper)
    return calls
