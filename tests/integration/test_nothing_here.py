"""Commands that only read, where there has never been work: they say so and make nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roost_plugins.redis_saq.embedded import server as embedded

#: Only a hang takes this long, in seconds.
LIMIT = 60.0
ARTIFACT = "0" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give an empty folder; a server that was started in it is gone afterwards."""
    yield tmp_path
    embedded.stop(tmp_path / ".roost")


def roost(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in a folder, with no settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ROOST_")}
    return subprocess.run(
        [sys.executable, "-m", "roost_core.cli", *words],
        cwd=folder,
        env={**kept, "PYTHONPATH": os.getcwd(), "ROOST_EMBEDDED_IDLE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "code", "out"),
    [
        (["list"], 0, ""),
        (["list", "--json"], 0, "[]\n"),
        (["doctor", "--repair"], 0, ""),
        (["doctor", "--repair", "--json"], 0, "[]\n"),
        (["events"], 0, ""),
        (["events", "--json"], 0, ""),
        (["events", "--work", "w1"], 1, ""),
        (["events", "--follow"], 1, ""),
        (["status", "w1"], 1, ""),
        (["watch", "w1"], 1, ""),
        (["watch"], 1, ""),
        (["why", "w1"], 1, ""),
        (["artifacts", "w1"], 1, ""),
        (["history", "w1"], 1, ""),
        (["diff", "w1"], 1, ""),
        (["status", "w1", "--version", "1"], 1, ""),
        (["overview"], 1, ""),
        (["count"], 0, "0\n"),
        (["workers"], 0, ""),
        (["workers", "--json"], 0, "[]\n"),
        (["retry", "w1"], 1, ""),
        (["workspace-path", "w1"], 1, ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_reading_makes_nothing(folder, words, code, out):
    """One line says which folder does not exist; a list is empty, an id is not known."""
    done = roost(folder, *words)

    text = f"roost: no work here: {folder / '.roost'} does not exist\n"
    assert (code, out, text) == (done.returncode, done.stdout, done.stderr)
    assert [] == list(folder.iterdir())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["engines"], 0),
        (["plugins"], 0),
        (["doctor"], 0),
        (["doctor", "--repair-log"], 0),
        (["artifact-show", ARTIFACT], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_needs_no_server_makes_nothing(folder, words, code):
    """These look at what is there, and leave it at that."""
    done = roost(folder, *words)

    assert (code, False) == (done.returncode, "Traceback" in done.stderr)
    assert [] == list(folder.iterdir())


def test_doctor_finds_that_nothing_is_here(folder):
    """A home without a server is information, not a problem."""
    done = roost(folder, "doctor", "--json")
    found = {one["subject"]: one for one in json.loads(done.stdout)}

    assert (0, "info") == (done.returncode, found["server"]["level"])
    assert f"{folder / '.roost'} does not exist" in found["server"]["message"]


def test_there_is_no_log_to_repair(folder):
    """A file that does not exist is not reported to be intact."""
    done = roost(folder, "doctor", "--repair-log", "--json")
    (found,) = [one for one in json.loads(done.stdout) if one["subject"] == "log"]

    text = f"nothing to repair: {folder / '.roost'} does not exist"
    assert ("info", text) == (found["level"], found["message"])


def test_a_home_with_artifacts_only_has_no_work(folder):
    """The server's own folder decides, not what else is in the home."""
    (folder / ".roost" / "artifacts").mkdir(parents=True)
    done = roost(folder, "list")

    text = f"roost: no work here: {folder / '.roost' / 'server'} does not exist\n"
    assert (0, text) == (done.returncode, done.stderr)
    assert ["artifacts"] == [one.name for one in (folder / ".roost").iterdir()]


def test_a_server_that_is_down_is_started_to_read(folder):
    """Enqueueing makes the place; reading starts its server again after it has ended."""
    made = roost(folder, "enqueue", "--engine", "watchlist", "--work-id", "w1")
    assert (0, "w1\n") == (made.returncode, made.stdout)
    embedded.stop(folder / ".roost")
    done = roost(folder, "list")

    assert (0, "w1") == (done.returncode, done.stdout.split("\t")[0])
