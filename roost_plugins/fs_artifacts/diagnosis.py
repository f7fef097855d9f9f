"""What ``roost doctor`` says about the artifact folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from roost_core.backend import Finding
from roost_plugins.fs_artifacts import files

#: Less free space than this, in bytes, causes a warning: 256 MiB.
LITTLE_SPACE: Final = 256 << 20

_SUBJECT: Final = "artifacts"


def diagnose(tree: files.Tree, folders: Sequence[str], *, is_shared: bool = False) -> list[Finding]:
    """Check the root and the named folders in it; a short file is written and removed.

    :param is_shared: whether the root has to be there.
    :returns: at least one finding; a single ``ok`` or ``info`` if all is well.
    """
    try:
        if not os.path.lexists(tree.root):
            if is_shared:
                return [_problem(f"{tree.root} does not exist: mount its volume, or make it once")]
            return [_missing(tree.root)]
        findings = list(_root(tree, folders))
    except OSError as error:
        return [_problem(f"{error.filename or tree.root}: {error.strerror}")]
    return findings or [Finding("ok", _SUBJECT, f"{tree.root} can be written")]


def _missing(root: Path) -> Finding:
    parent = root.parent
    while not os.path.lexists(parent):
        parent = parent.parent
    if not parent.is_dir():
        return _problem(f"{root} cannot be created: {parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        return _problem(f"{root} cannot be created: {parent} is not writable")
    return Finding("info", _SUBJECT, f"{root} does not exist yet; the first artifact creates it")


def _root(tree: files.Tree, folders: Sequence[str]) -> Iterator[Finding]:
    root = tree.root
    if not root.is_dir():
        yield _problem(f"{root} is not a folder: move it away or set ROOST_ARTIFACT_ROOT")
        return
    yield from _modes(root, root.stat())
    for name in folders:
        path = root / name
        if not os.path.lexists(path):
            continue
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode):
            yield from _modes(path, found)
        else:
            yield _problem(f"{path} is not a folder, perhaps a link: move it away")
    yield from _writing(tree)
    space = os.statvfs(root)
    free = space.f_bavail * space.f_frsize
    if free < LITTLE_SPACE:
        yield Finding("warning", _SUBJECT, f"{root} has only {free >> 20} MiB free")


def _modes(path: Path, found: os.stat_result) -> Iterator[Finding]:
    if found.st_uid != os.geteuid():
        yield _problem(f"{path} belongs to another user (uid {found.st_uid}): chown it")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        yield Finding(
            "warning", _SUBJECT, f"{path} has mode {mode:04o}, others may enter: chmod 700 {path}"
        )


def _writing(tree: files.Tree) -> Iterator[Finding]:
    try:
        # In the root itself: its folders may not exist yet, and checking creates none.
        with tree.folder() as root, files.temporary(root, b"roost doctor"):
            pass
    except OSError as error:
        yield _problem(f"{tree.root} cannot be written: {error.strerror}")


def _problem(message: str) -> Finding:
    return Finding("problem", _SUBJECT, message)
