"""The README's and the pages' examples, run as they stand."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import signal
import subprocess
import sys
import textwrap
import threading
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import ROOT, Block, blocks, page
from tests.docs.shell import LIMIT, environment, wait_for_the_server

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_has_the_two_commands():
    """A newcomer copies this block word for word; CI runs the same two scripts."""
    assert "scripts/test.sh\nscripts/e2e_watchlist.sh\n" in [one.text for one in blocks(README)]
    assert all(
        os.access(ROOT / "scripts" / name, os.X_OK) for name in ("test.sh", "e2e_watchlist.sh")
    )


def test_readme_begins_with_an_agent_that_runs_and_is_seen(folder):
    """Its first two commands, word for word, and the hint that they print; then Ctrl-C."""
    new, dev = blocks(README)[0].text.splitlines()
    around = environment(folder) | {"BROWSER": "true", "XDG_STATE_HOME": str(folder)}
    run = functools.partial(
        subprocess.run, cwd=folder, env=around, capture_output=True, text=True, timeout=LIMIT
    )
    assert 0 == run(["sh", "-ec", new]).returncode
    runs = subprocess.Popen(
        ["sh", "-ec", f"exec {dev}"], cwd=folder, env=around, stderr=subprocess.PIPE, text=True
    )
    stuck = threading.Timer(LIMIT, runs.kill)  # reading has no time limit of its own
    stuck.start()
    try:
        said = []
        while runs.stderr and (line := runs.stderr.readline()):
            said.append(line.strip())
            if line.strip().startswith("roost enqueue"):
                break
        done = run(["sh", "-ec", f"{said[-1]} --wait"])
        url = urlsplit(next(line for line in said if "console: " in line).partition("console: ")[2])
        page = http.client.HTTPConnection(url.netloc, timeout=LIMIT)
        with contextlib.closing(page):
            page.request("GET", f"/?{url.query}")
            signed_in = page.getresponse().status
    finally:
        stuck.cancel()
        runs.send_signal(signal.SIGINT)
        _, rest = runs.communicate(timeout=LIMIT)
        wait_for_the_server(folder)
    assert (0, 303) == (done.returncode, signed_in), "\n".join([*said, rest, done.stderr])
    assert "done in 3 steps" in rest


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
        for name in ("quickstart", "engines", "settings", "commands", "finding", "verbs")
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
