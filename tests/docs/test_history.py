"""The page about versions: its example prints what it says."""

from __future__ import annotations

import shutil
import subprocess

from tests.docs.pages import ROOT, blocks, page
from tests.docs.shell import LIMIT, environment, wait_for_the_server


def test_the_example_prints_what_it_says(folder) -> None:
    """All of it in one shell, as it stands."""
    shutil.copy(ROOT / "examples" / "countdown.py", folder)
    (example,) = [one.text for one in blocks(page("history")) if one.text.startswith("$ ")]
    lines = example.splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    try:
        done = subprocess.run(
            ["sh", "-ec", "\n".join(commands)],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            timeout=2 * LIMIT,
        )
    finally:
        wait_for_the_server(folder)
    assert (0, "") == (done.returncode, done.stderr)
    assert [line for line in lines if not line.startswith("$ ")] == done.stdout.splitlines()
