"""A shell as a person has it after an installation, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from tests.docs.pages import ROOT

#: How long a command may take, in seconds; only a broken one takes this long.
LIMIT = 60.0


def environment(folder: Path) -> dict[str, str]:
    """Return what a person's shell has after an installation, and no settings."""
    scripts = folder / "bin"
    if not scripts.exists():
        # Once: what another process is about to run must not be rewritten under it.
        scripts.mkdir()
        for name, module in (("roost", " -m roost_core.cli"), ("python", "")):
            command = scripts / name
            command.write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
            command.chmod(0o755)
    return {
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        # The test waits for the server to end: it need not stay for another command.
        "ROOST_EMBEDDED_IDLE": "1",
    }


def wait_for_the_server(folder: Path) -> None:
    """Wait until the embedded server has ended."""
    command = (
        "import sys, pathlib; from roost_plugins.redis_saq.embedded import server; "
        "server.stop(pathlib.Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, folder / ".roost"],
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert (0, "") == (done.returncode, done.stderr)


def metadata_of(pyproject: Path, site: Path) -> None:
    """Write what an installer would about a package: its name and its entry points."""
    told = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    groups = {
        group: "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in told["entry-points"].items()
    }
    write_metadata(site, told["name"], told["version"], groups)


def write_metadata(site: Path, name: str, version: str, groups: Mapping[str, str]) -> None:
    """Make a folder one in which a distribution is installed.

    :param groups: the lines of each group of entry points.
    """
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(head)
    text = "".join(f"[{group}]\n{lines.strip()}\n" for group, lines in groups.items())
    (info / "entry_points.txt").write_text(text)
