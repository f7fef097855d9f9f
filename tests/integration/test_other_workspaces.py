"""Workspaces from a third-party plugin: a plain folder for each work item."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from roost_core import hookimpl
from roost_core.settings import Settings
from roost_core.testing import run_to_end

#: Only a hang takes this long, in seconds.
LIMIT = 60.0

#: What somebody might write, with an engine alongside it.
FOLDERS = """
import shutil
from roost_core import hookimpl
from roost_core.workspaces import Workspaces

engine_id = "writer"


class Folders(Workspaces):
    def __init__(self, root):
        self.root = root.absolute()

    @property
    def description(self):
        return f"plain folders in {self.root}"

    def ensure(self, work_id, life=None):
        print("makes a folder")
        path = self.root / work_id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def remove(self, work_id, life=None):
        shutil.rmtree(self.root / work_id, ignore_errors=True)


@hookimpl
def workspace(settings):
    return Folders(settings.home / "folders")


@hookimpl
def step(snapshot, context):
    (context.workspace() / "note.txt").write_text("written")
    return snapshot.finish()
"""


@pytest.fixture
def roost(redis_server, tmp_path):
    """Give what runs a command line with that plugin, on a namespace of its own."""
    (tmp_path / "folders.py").write_text(FOLDERS)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ROOST_")}
    own = {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "ROOST_REDIS_URL": redis_server.url,
        "ROOST_NAMESPACE": f"ws-{secrets.token_hex(6)}",
        "ROOST_HOME": str(tmp_path / "home"),
        "ROOST_PLUGINS": "./folders.py",
    }

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "roost_core.cli", *words],
            cwd=tmp_path,
            env={**kept, **own, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    return run


def test_an_engine_a_person_and_the_purge_use_them(roost, tmp_path):
    """The step writes into the folder, workspace-path prints it alone, and the purge removes it."""
    work_id = roost("enqueue", "--engine", "writer").stdout.strip()
    folder = tmp_path / "home" / "folders" / work_id
    done = roost("worker", "--burst")
    assert 0 == done.returncode, done.stderr
    assert "written" == (folder / "note.txt").read_text()

    told = roost("workspace-path", work_id)
    assert (0, f"{folder}\n") == (told.returncode, told.stdout)
    assert "makes a folder" in told.stderr
    looked = roost("doctor")
    assert f"plain folders in {folder.parent}" in looked.stdout

    done = roost("worker", "--burst", "--retention", "0")
    assert 0 == done.returncode, done.stderr
    assert [] == list(folder.parent.iterdir())


@pytest.mark.parametrize(
    ("plugins", "source", "said"),
    [
        (
            "no:git_workspaces",
            "",
            "no workspace source is set: give ROOST_WORKSPACE_SOURCE the path of a git repository "
            "to make workspaces from",
        ),
        (
            "no:git_workspaces",
            "/srv/project",
            "no plugin offers workspaces (git_workspaces is blocked)",
        ),
    ],
)
def test_without_a_plugin_one_line_says_so(roost, plugins, source, said):
    """Nothing else fails; only a call that needs a workspace is told what is missing."""
    variables = {"ROOST_PLUGINS": plugins, "ROOST_WORKSPACE_SOURCE": source}
    work_id = roost("enqueue", "--engine", "any", "--any-engine", **variables).stdout.strip()
    assert 0 == roost("worker", "--burst", **variables).returncode
    told = roost("workspace-path", work_id, **variables)
    assert (1, "") == (told.returncode, told.stdout)
    assert [said] == [line.partition(": ")[2] for line in told.stderr.splitlines()]


class Asker:
    """An engine that writes into its workspace."""

    engine_id = "asker"

    @hookimpl
    def step(self, snapshot, context):
        """Say where it was, and end."""
        path = context.workspace()
        (path / "note.txt").write_text("written")
        return snapshot.finish(data={"path": str(path)})


def test_the_kit_uses_those_of_the_plugins_under_test(tmp_path, monkeypatch):
    """What a test passes to run_to_end comes before what is installed."""
    (tmp_path / "folders_for_the_kit.py").write_text(FOLDERS)
    monkeypatch.syspath_prepend(tmp_path)
    import folders_for_the_kit  # written above

    class Provider:
        workspace = staticmethod(folders_for_the_kit.workspace)

    run = run_to_end(Asker(), plugins=[Provider()], settings=Settings(home=tmp_path / "home"))
    folder = tmp_path / "home" / "folders" / run.status.item.work_id
    assert {"path": str(folder)} == run.status.snapshot.data


def test_the_kit_uses_what_is_installed(tmp_path):
    """Without a plugin for it, a test's engine has git worktrees, as in a worker."""
    source = tmp_path / "source"
    git = ["git", "-C", str(source), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "init", "-q", str(source)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    settings = Settings(home=tmp_path / "home", extra={"workspace_source": source})
    run = run_to_end(Asker(), settings=settings)
    assert run.status.snapshot is not None, run.status.meta.error
    assert (Path(run.status.snapshot.data["path"]) / ".git").is_file()
    missing = run_to_end(Asker(), settings=Settings(home=tmp_path / "home"))
    assert "no workspace source is set" in missing.status.meta.error.message
