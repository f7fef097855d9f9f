"""A recipe, followed: its diffs applied to a copy of the source tree, its commands run there."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs
import pytest

import roost_core
from tests.docs.pages import DOCS, ROOT, blocks
from tests.docs.shell import LIMIT, environment, metadata_of, wait_for_the_server, write_metadata

#: The recipes.
NAMES = sorted(path.stem for path in (DOCS / "recipes").glob("*.md") if path.stem != "index")

_FILE = re.compile(r"^--- (?:a/(\S+)|/dev/null)\n\+\+\+ b/(\S+)\n", re.MULTILINE)
_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@.*\n", re.MULTILINE)


@attrs.frozen
class Recipe:
    """What a page says: the diffs in their order, and the commands that show what they do."""

    name: str
    diffs: tuple[str, ...]
    checks: tuple[str, ...]

    @classmethod
    def of(cls, name: str) -> Recipe:
        """Read a page."""
        found = blocks((DOCS / "recipes" / f"{name}.md").read_text(encoding="utf-8"))
        return cls(
            name,
            tuple(one.text for one in found if one.language == "diff"),
            tuple(one.text for one in found if one.language == "console"),
        )

    @property
    def is_package(self) -> bool:
        """Whether it makes a package of its own, and changes nothing in Roost."""
        return any(path.endswith("/pyproject.toml") for path in self.changed)

    @property
    def changed(self) -> list[str]:
        """The paths of the files that the diffs change or make."""
        return sorted({path for diff in self.diffs for _, path in _FILE.findall(diff)})


# -- a copy ----------------------------------------------------------------------------------------


def copy_of_the_tree(folder: Path) -> None:
    """Copy the source tree, without what git ignores, as if it were installed there."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
    try:
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("there is no git, or no clone: nothing says what the source tree is")
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    config = configparser.ConfigParser()
    config.read(folder / "setup.cfg")
    groups = dict(config["options.entry_points"])
    write_metadata(folder, "roost-runtime", roost_core.__version__, groups)


def apply(recipe: Recipe, folder: Path) -> None:
    """Apply a recipe's diffs to a copy, and install the packages that they make.

    A hunk that no longer fits fails the test, which shows it.
    """
    for diff in recipe.diffs:
        for old, path, hunks in _files_of(diff):
            for hunk in hunks if old else ():
                _see_that_it_fits(hunk, folder / path, recipe.name)
        done = subprocess.run(
            ["git", "apply", "--whitespace=error-all", "-"],
            cwd=folder,
            # A clone in a folder above the copy must not interfere.
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
            input=diff,
            capture_output=True,
            text=True,
        )
        assert (0, "") == (done.returncode, done.stderr), f"in docs/recipes/{recipe.name}.md"
    for pyproject in folder.glob("*/pyproject.toml"):
        metadata_of(pyproject, pyproject.parent)


def _files_of(diff: str) -> list[tuple[str, str, list[str]]]:
    """Return per file of a diff: its path before, if there was one, its path, and its hunks."""
    found = list(_FILE.finditer(diff))
    ends = [match.start() for match in found[1:]] + [len(diff)]
    return [
        (match[1], match[2], _hunks(diff[match.end() : end]))
        for match, end in zip(found, ends, strict=True)
    ]


def _hunks(text: str) -> list[str]:
    starts = [match.start() for match in _HUNK.finditer(text)]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _see_that_it_fits(hunk: str, path: Path, name: str) -> None:
    """Check that a hunk's old lines are in its file, exactly once.

    Where they are not at the hunk's place, git looks for them elsewhere and takes the nearest.
    """
    _, *lines = hunk.splitlines()
    expected = [line[1:] for line in lines if not line.startswith("+")]
    there = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    places = range(len(there) - len(expected) + 1)
    times = sum(there[at : at + len(expected)] == expected for at in places)
    assert 1 == times, f"docs/recipes/{name}.md: {path.name} has this {times} times:\n{hunk}"


# -- commands there --------------------------------------------------------------------------------


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a person who has the copy installed, and no other Roost."""
    packages = [one.parent for one in folder.glob("*/pyproject.toml")]
    # A trial need not reach the disk: syncing folders would take most of the time.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="roost-", dir=memory if os.access(memory, os.W_OK) else None
    ) as temporary:
        around = environment(folder) | {
            "PYTHONPATH": os.pathsep.join(map(str, (folder, *packages))),
            "PYTHONWARNINGS": "error",
            "TMPDIR": temporary,
            "XDG_STATE_HOME": str(folder / "state"),
        }
        return subprocess.run(
            words, cwd=folder, env=around, capture_output=True, text=True, timeout=4 * LIMIT
        )


def follow(check: str, folder: Path) -> None:
    """Run a check's commands in one shell, and look for the output that it shows.

    What follows ``$`` is a command; any other line is a line of output. These must appear,
    in this order, possibly with others between them; ``...`` stands for the rest of a line.
    """
    lines = check.splitlines()
    commands = [line[2:] for line in lines if line.startswith("$ ")]
    try:
        done = _run(folder, "sh", "-ec", "\n".join(commands))
    finally:
        if (folder / ".roost").exists():
            wait_for_the_server(folder)
    said = f"{check}\n{done.stdout}{done.stderr}"
    assert 0 == done.returncode, said
    shown = [re.escape(line).replace(r"\.\.\.", ".*") for line in lines if line[:2] != "$ "]
    printed = iter(done.stdout.splitlines())
    missing = [one for one in shown if not any(re.fullmatch(one, line) for line in printed)]
    assert [] == missing, said


def run(folder: Path, *words: str) -> None:
    """Run a Python module in the copy; the test fails with what it said if it fails."""
    done = _run(folder, sys.executable, "-m", *words)
    assert 0 == done.returncode, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
