"""What tests of the artifact store's folder know of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

#: Bytes to store, and their name.
DATA = b"some bytes"
AID = hashlib.sha256(DATA).hexdigest()


def blob(root: Path, artifact_id: str = AID) -> Path:
    """Return where a blob is."""
    return root / "blobs" / artifact_id[:2] / artifact_id


def left(root: Path) -> list[Path]:
    """Return all files of a store but its locks."""
    return [path for path in root.rglob("*") if path.is_file() and path.parent.name != "locks"]
