"""The code of the last commit that had the stored layout before today's, as a package to run.

The history says which commit that is: the one before the layout's number changed.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORD = "roost_plugins/redis_saq/lua/lib/record.lua"


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def pinned_commit() -> str:
    """Return the commit's id, or skip the test where there is no history, or not all of it."""
    try:
        is_shallow = _git("rev-parse", "--is-shallow-repository") == "true"
        changed = _git("log", "--format=%H", "-G^local LAYOUT = ", "--", RECORD).split()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("there is no git history here")
    if is_shallow:
        pytest.skip("this is a shallow clone: git fetch --unshallow brings what the test needs")
    assert len(changed) >= 2, "the history has no commit with the layout before"
    return _git("rev-parse", f"{changed[0]}^")


def commit_before(text: str, path: str) -> str:
    """Return the commit before the one that brought a text into a file, or skip the test."""
    try:
        is_shallow = _git("rev-parse", "--is-shallow-repository") == "true"
        changed = _git("log", "--format=%H", f"-S{text}", "--", path).split()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("there is no git history here")
    if is_shallow or not changed:
        pytest.skip("the history does not go back that far: git fetch --unshallow may bring it")
    return _git("rev-parse", f"{changed[-1]}^")


def unpack(folder: Path, commit: str | None = None) -> Path:
    """Put a commit's packages into a folder, of the pinned one if none is named; return it."""
    archive = subprocess.run(
        [
            *("git", "-C", str(ROOT), "archive", commit or pinned_commit()),
            *("roost_core", "roost_plugins"),
        ],
        check=True,
        capture_output=True,
    ).stdout
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder
