"""What the tests of the documentation share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give an empty folder, with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="roost-") as name:
        yield Path(name)
