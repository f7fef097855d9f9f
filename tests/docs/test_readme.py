"""The README's and the pages' examples, run as they stand."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks, page

README = (ROOT / "README.md").read_text(encoding="utf-8")
#: How long a command of the README may take, in seconds; only a broken one takes so long.
LIMIT = 60.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give an empty folder, with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="roost-") as name:
        yield Path(name)


def environment(folder: Path) -> dict[str, str]:
    """Return what a person's shell has after an installation, and no settings."""
    scripts = folder / "bin"
    if not scripts.exists():
        # Once: what another process is about to run must not be written anew under it.
        scripts.mkdir()
        roost = scripts / "roost"
        roost.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m roost_core.cli "$@"\n')
        roost.chmod(0o755)
    return {
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        # The test waits for the server's end: it need not stay for a next command.
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


def test_readme_has_the_two_commands():
    """A newcomer copies this block word for word; CI runs the same two scripts."""
    assert "scripts/test.sh\nscripts/e2e_watchlist.sh\n" in [one.text for one in blocks(README)]
    assert all(
        os.access(ROOT / "scripts" / name, os.X_OK) for name in ("test.sh", "e2e_watchlist.sh")
    )


def test_readme_engine_runs_as_it_says(folder):
    """The ten lines and both terminals: worker, enqueue, watch, status."""
    (engine,) = [one.text for one in blocks(README) if one.language == "python"]
    assert len(engine.strip().splitlines()) <= 13
    (folder / "countdown.py").write_text(engine)
    terminals = [one.text for one in blocks(README) if one.language == "sh"]
    assert 2 == len(terminals)
    worker = subprocess.Popen(
        ["sh", "-ec", f"exec {terminals[0].strip()}"],
        cwd=folder,
        env=environment(folder),
        stderr=subprocess.PIPE,
        text=True,
    )
    done = None
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                ["sh", "-ec", terminals[1]],
                cwd=folder,
                env=environment(folder),
                capture_output=True,
                text=True,
                timeout=LIMIT,
            )
    finally:
        worker.terminate()
        _, said = worker.communicate(timeout=LIMIT)
        wait_for_the_server(folder)
    assert done is not None, f"the second terminal did not end; the worker said: {said}"
    assert (0, "") == (done.returncode, done.stderr), said
    assert '"state": "done"' in done.stdout
    assert '"version": 4' in done.stdout
    assert 0 == worker.returncode


def python_blocks() -> list[tuple[str, Block]]:
    """Return the Python examples of the pages that teach."""
    return [
        (f"{name}-{number}", block)
        for name in ("quickstart", "engines")
        for number, block in enumerate(blocks(page(name)))
        if block.language == "python"
    ]


@pytest.mark.parametrize("block", [pytest.param(one, id=name) for name, one in python_blocks()])
def test_python_examples_run(folder, block):
    """Each Python example runs by itself, with warnings as errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(block.text)],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    if (folder / ".roost").exists():
        wait_for_the_server(folder)
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    "block",
    [pytest.param(one, id=name) for name, one in python_blocks() if "\n@hookimpl" in one.text],
)
def test_engine_examples_load(folder, block):
    """Each example with hooks at its top is a plugin that loads."""
    (folder / "example.py").write_text(block.text)
    done = subprocess.run(
        ["roost", "plugins", "--plugin", "./example.py"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "example\tok\toption" in done.stdout
