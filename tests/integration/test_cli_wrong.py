"""The command line where something goes wrong, and what its commands import."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from roost_core.client.enqueueing import CHUNK
from roost_plugins.fs_artifacts.store import FilesystemStore
from tests.integration.cli_bench import LIMIT, ending


@pytest.mark.parametrize(
    "command",
    [["status", "w1"], ["list"], ["worker", "--wait-for-server", "0"], ["events"]],
)
def test_unreachable_server_is_one_line(shell, command):
    """With a URL that leads nowhere: exit code 1 and one line without the password."""
    url = "redis://user:hunter2@127.0.0.1:9/0"
    done = shell.run(*command, "--redis-url", url)

    assert (1, "") == (done.returncode, done.stdout)
    assert re.fullmatch(r"roost: .*127\.0\.0\.1.*\n", done.stderr)
    assert "hunter2" not in done.stderr


def test_unusable_home_is_one_line(shell):
    """Without a URL and with a home that cannot be one, the line says what to do."""
    (shell.folder / "file").write_text("")
    done = shell.run("list", "--redis-url", "", "--home", str(shell.folder / "file"))

    assert (True, "") == (done.returncode in (1, 2), done.stdout)
    assert 1 == done.stderr.count("\n")
    assert "ROOST_HOME" in done.stderr or "home" in done.stderr


def test_doctor_without_a_server(shell):
    """Doctor reports the unreachable server among its findings, and exits with 1."""
    done = shell.run("doctor", "--redis-url", "unix:///nowhere/at/all.sock", "--json")
    levels = {one["subject"]: one["level"] for one in json.loads(done.stdout)}

    assert (1, "") == (done.returncode, done.stderr)
    assert "problem" == levels["server"]
    assert "ok" == levels["plugin watchlist"]


def test_doctor_with_a_broken_plugin(shell):
    """Doctor reports a plugin that fails to load, and continues to the server."""
    done = shell.run("doctor", "--plugin", "./missing.py")

    assert 1 == done.returncode
    assert "problem\tplugin missing\t" in done.stdout
    assert "ok\tserver\t" in done.stdout


@pytest.mark.parametrize("buffering", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["list", "--help"],
        ["list"],
        ["list", "--json"],
        ["status", "w1"],
        ["events"],
        ["events", "--json"],
        ["events", "--follow"],
        ["watch", "w1"],
        ["artifact-show", "A"],
        ["engines"],
        ["plugins"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_a_full_disk_under_the_output_is_one_line(shell, words, buffering):
    """Whatever cannot be printed: one line on stderr, exit code 1, no traceback."""
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    store = FilesystemStore(shell.folder / "home" / "artifacts")
    artifact_id = store.put(b"evidence", work_id="w1").artifact_id
    shell.ok("enqueue", "--engine", "echo", "--any-engine", "--work-id", "w1")
    shell.variables["PYTHONUNBUFFERED"] = buffering
    with open("/dev/full", "w") as full:
        words = [artifact_id if word == "A" else word for word in words]
        with ending(shell.start(*words, stdout=full)) as process:
            _, err = process.communicate(timeout=LIMIT)

    text = "roost: cannot write to standard output: No space left on device\n"
    assert (1, text) == (process.returncode, err)


@pytest.mark.parametrize("is_full", [True, False], ids=["full", "closed"])
def test_ids_that_cannot_be_printed_are_not_lost(shell, is_full):
    """Work that is stored although its id cannot be written: stderr has it, the exit code is 74."""
    if is_full and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    lines = "".join('{"engine": "echo"}\n' for _ in range(CHUNK + 1))
    (shell.folder / "many.jsonl").write_text(lines)
    why = "No space left on device" if is_full else "Broken pipe"

    def untold(*words):
        if is_full:
            out = os.open("/dev/full", os.O_WRONLY)
        else:
            ear, out = os.pipe()
            os.close(ear)
        with ending(shell.start("enqueue", "--any-engine", *words, stdout=out)) as process:
            os.close(out)
            _, err = process.communicate(timeout=LIMIT)
        assert 74 == process.returncode, err
        assert 1 == err.count("\n")
        begin = f"roost: cannot write to standard output: {why}; still stored: "
        assert err.startswith(begin)
        ids, _, then = err.removeprefix(begin).strip().partition("; ")
        return set(ids.split()), then

    one, then = untold("--engine", "echo", "--wait")
    assert "" == then
    # No more is stored than can be reported.
    many, then = untold("--batch", "many.jsonl")
    assert (CHUNK, f"stopped before line {CHUNK + 1}") == (len(many), then)
    rows = json.loads(shell.ok("list", "--json", "--limit", "2000"))
    assert one | many == {row["work_id"] for row in rows}


def test_a_closed_pipe_is_silent(shell):
    """``roost list | head -1`` prints no complaint."""
    lines = "".join(f'{{"payload": "{n}"}}\n' for n in range(2000))
    shell.ok("enqueue", "--batch", "-", "--engine", "watchlist", stdin=lines)
    with ending(shell.start("list", "--limit", "2000")) as listing:
        assert listing.stdout.readline()
        listing.stdout.close()
        assert "" == listing.stderr.read()
        listing.wait(LIMIT)


def test_workspace_path(shell):
    """The path is printed alone; the folder is the work item's own worktree."""
    source = shell.folder / "source"
    git = ["git", "-C", str(source), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "init", "-q", str(source)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    work_id = shell.enqueue("later", 1)
    words = ("workspace-path", work_id, "--workspace-source", str(source))
    path = Path(shell.ok(*words).rstrip("\n"))

    assert path.is_dir()
    assert (path / ".git").exists()
    assert str(path) == shell.ok(*words).rstrip("\n")
    unset = shell.run("workspace-path", shell.enqueue("later", 2))
    assert (1, "") == (unset.returncode, unset.stdout)
    unknown = shell.run("workspace-path", "w-none", "--workspace-source", str(source))
    assert (1, "") == (unknown.returncode, unknown.stdout)
    assert "no work item" in unknown.stderr


@pytest.mark.parametrize(
    "command", [["status", "w1"], ["list"], ["enqueue", "--engine", "watchlist"]]
)
def test_quick_commands_import_little(shell, command):
    """What only workers and terminals need is not imported: start-up is what people wait for."""
    shell.enqueue("later", 1, "--work-id", "w1")
    words = [sys.executable, "-X", "importtime", "-m", "roost_core.cli", *command]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ROOST_")}
    env = {**kept, **shell.variables}
    done = subprocess.run(
        words, cwd=shell.folder, env=env, capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    assert "hiredis" in imported
    assert "redis" not in imported
    for_others = {
        *("saq", "rich", "aiohttp", "http.server", "difflib", "tomllib"),
        *("roost_core.worker", "roost_plugins.watchlist.looking", "roost_plugins.watchlist.rules"),
        "roost_plugins.git_workspaces.worktrees",
    }
    assert set() == imported & for_others
