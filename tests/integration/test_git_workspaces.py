"""Workspaces against real git."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roost_core.errors import WorkspaceError
from roost_core.settings import Settings
from roost_plugins.git_workspaces import git as commands
from roost_plugins.git_workspaces import workspace
from roost_plugins.git_workspaces.naming import workspace_name
from roost_plugins.git_workspaces.worktrees import GitWorkspaces

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

ENSURE = """
import sys
from pathlib import Path
from roost_plugins.git_workspaces.worktrees import GitWorkspaces
print(GitWorkspaces(Path(sys.argv[1]), Path(sys.argv[2])).ensure("w1"))
"""


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, without the user's configuration, and return what it printed."""
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME",)}
    identity |= {f"GIT_{who}_EMAIL": "a@example.com" for who in ("AUTHOR", "COMMITTER")}
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **identity},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def source(tmp_path):
    """Return a repository with one commit."""
    path = tmp_path / "source"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    (path / "file.txt").write_text("one\n")
    (path / "many").mkdir()
    for number in range(50):
        (path / "many" / f"{number}.txt").write_text("x" * 1000)
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "one")
    return path


@pytest.fixture
def spaces(source, tmp_path):
    """Return workspaces of that repository."""
    return GitWorkspaces(source, tmp_path / "root")


def start(source: Path, root: Path, **environ: str) -> subprocess.Popen[str]:
    """Start a process that ensures workspace w1."""
    return subprocess.Popen(
        [sys.executable, "-c", ENSURE, str(source), str(root)],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_sound(path: Path, source: Path) -> None:
    """Check that a workspace is complete, clean and on its branch."""
    assert "" == git(path, "status", "--porcelain")
    assert "one\n" == (path / "file.txt").read_text()
    assert f"roost/{path.name}" == git(path, "symbolic-ref", "--short", "HEAD")
    assert git(source, "rev-parse", "HEAD") == git(path, "rev-parse", "HEAD")


def test_a_worktree_on_its_own_branch(spaces, source):
    """The first call makes a worktree of the source at its HEAD."""
    path = spaces.ensure("w1")

    assert spaces.path_of("w1") == path
    assert (path / ".git").is_file()
    assert_sound(path, source)
    assert 0o700 == spaces.root.stat().st_mode & 0o777


def test_changes_are_kept(spaces):
    """A second call, from a new object, returns the folder as the engine left it."""
    path = spaces.ensure("w1")
    (path / "file.txt").write_text("changed\n")
    (path / "new.txt").write_text("new\n")
    again = GitWorkspaces(spaces.source, spaces.root).ensure("w1")

    assert path == again
    assert "changed\n" == (again / "file.txt").read_text()
    assert "new\n" == (again / "new.txt").read_text()


def test_a_made_workspace_needs_no_source(spaces):
    """What exists is found even if the source is not set any more."""
    path = spaces.ensure("w1")

    assert path == GitWorkspaces(None, spaces.root).ensure("w1")


def test_work_items_are_apart(spaces):
    """Two work items have two folders and two branches; ids that git refuses work too."""
    ids = ("w1", "W1", "a..b", "a.lock", "end.")
    paths = {spaces.ensure(work_id) for work_id in ids}

    assert len(ids) == len(paths)
    for work_id, path in zip(ids, map(spaces.path_of, ids), strict=True):
        assert f"roost/{workspace_name(work_id)}" == git(path, "symbolic-ref", "--short", "HEAD")


def test_queues_are_apart(source, tmp_path):
    """One id in three queues is three folders and branches; removing one leaves the others."""
    base = Settings(home=tmp_path / "home", extra={"workspace_source": source})
    paths = []
    for namespace, queue in (("default", "default"), ("default", "mail"), ("other", "mail")):
        spaces = workspace(base.evolve(namespace=namespace, queue=queue))
        paths.append(spaces.ensure("w1", life=len(paths)))
    branches = {git(path, "symbolic-ref", "--short", "HEAD") for path in paths}

    assert 3 == len(set(paths)) == len(branches)
    assert tmp_path / "home" / "workspaces" / "w1" == paths[0]
    spaces.remove("w1")
    assert [True, True, False] == [path.exists() for path in paths]
    assert branches > set(git(source, "branch", "--format=%(refname:short)").split()) - {"main"}


def test_a_root_inside_the_source_leaves_it_clean(source):
    """The default home may lie in the repository: git status of the source stays empty."""
    GitWorkspaces(source, source / ".roost" / "workspaces").ensure("w1")

    assert "" == git(source, "status", "--porcelain")


def test_remove_takes_folder_registration_and_branch(spaces, source):
    """Nothing is left in the source of a workspace without commits; removing twice is fine."""
    path = spaces.ensure("w1")
    (path / "dirty.txt").write_text("x")
    spaces.remove("w1")
    spaces.remove("w1")
    spaces.remove("never-made")

    assert not path.exists()
    assert "main" == git(source, "branch", "--format=%(refname:short)")
    assert 1 == len(git(source, "worktree", "list").splitlines())
    assert [] == list((spaces.root / ".state").iterdir())


def test_a_late_removal_leaves_the_next_life_alone(spaces):
    """A successor with the same id gets a workspace of its own, and keeps it."""
    path = spaces.ensure("w1", 1)
    (path / "old.txt").write_text("x")
    assert path == spaces.ensure("w1", 1)
    assert (path / "old.txt").exists()
    assert path == spaces.ensure("w1", 2)
    assert not (path / "old.txt").exists()
    (path / "new.txt").write_text("x")
    spaces.remove("w1", 1)
    assert (path / "new.txt").exists()
    # When a person asks, the one that exists is shown.
    assert path == spaces.ensure("w1")
    assert (path / "new.txt").exists()
    spaces.remove("w1", 2)
    assert not path.exists()


def test_workspaces_without_a_life_belong_to_each(spaces):
    """One that an older Roost, or a person, has made is used and removed as before."""
    path = spaces.ensure("w1")
    (path / "file.txt").write_text("mine")
    assert path == spaces.ensure("w1", 3)
    assert "mine" == (path / "file.txt").read_text()
    spaces.remove("w1", 3)
    assert not path.exists()


def test_remove_keeps_commits_that_nobody_merged(spaces, source):
    """The branch of a workspace with commits of its own stays, and a new workspace continues it."""
    path = spaces.ensure("w1")
    (path / "file.txt").write_text("two\n")
    git(path, "commit", "--quiet", "-am", "two")
    tip = git(path, "rev-parse", "HEAD")
    spaces.remove("w1")

    assert tip == git(source, "rev-parse", "roost/w1")
    assert tip == git(spaces.ensure("w1"), "rev-parse", "HEAD")


def test_a_deleted_folder_is_made_again(spaces, source):
    """If a person deletes the folder, the next call makes it anew."""
    shutil.rmtree(spaces.ensure("w1"))

    assert_sound(spaces.ensure("w1"), source)


def test_remove_after_the_source_is_gone(spaces, source):
    """A vanished source does not keep the folder from being removed."""
    path = spaces.ensure("w1")
    shutil.rmtree(source)
    spaces.remove("w1")

    assert not path.exists()


def test_bare_and_shallow_sources_hold_worktrees(source, tmp_path):
    """Worktrees of bare and of shallow repositories are worktrees like others."""
    git(tmp_path, "clone", "--quiet", "--bare", str(source), "bare.git")
    git(tmp_path, "clone", "--quiet", "--depth=1", source.as_uri(), "shallow")

    for number, name in enumerate(("bare.git", "shallow")):
        path = GitWorkspaces(tmp_path / name, tmp_path / "root").ensure(f"w{number}")
        assert (path / ".git").is_file()
        assert_sound(path, source)


def test_the_git_folder_and_a_linked_worktree_are_sources(source, tmp_path):
    """A source may be the .git folder, or a worktree: then its HEAD counts, not the main one's."""
    linked = tmp_path / "linked"
    git(source, "worktree", "add", "--quiet", "-b", "side", str(linked))
    (linked / "file.txt").write_text("side\n")
    git(linked, "commit", "--quiet", "-am", "side")

    assert_sound(GitWorkspaces(source / ".git", tmp_path / "root").ensure("w1"), source)
    side = GitWorkspaces(linked, tmp_path / "root").ensure("w2")
    assert "side\n" == (side / "file.txt").read_text()


def test_a_source_that_cannot_hold_worktrees_is_cloned(source, tmp_path):
    """Where git could not register a worktree, the workspace is a clone with the same promises."""
    # Stands for a read-only repository, which root could write to anyway.
    (source / ".git" / "worktrees").write_text("in the way")
    spaces = GitWorkspaces(source, tmp_path / "root")
    path = spaces.ensure("w1")
    (path / "new.txt").write_text("new\n")

    assert (path / ".git").is_dir()
    assert path == spaces.ensure("w1")
    assert "new\n" == (path / "new.txt").read_text()
    (path / "new.txt").unlink()
    assert_sound(path, source)
    spaces.remove("w1")
    assert not path.exists()


def test_hooks_and_git_variables_have_no_part(spaces, source, tmp_path, monkeypatch):
    """No hook of the source runs, and GIT_* variables of the caller change nothing."""
    hook = source / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere"))
    path = spaces.ensure("w1")
    monkeypatch.undo()

    assert_sound(path, source)
    assert not (tmp_path / "hook-ran").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_unusable_sources_say_why_in_one_line(source, tmp_path):
    """Each kind of unusable source has its own line, and no repository is made of it."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    (tmp_path / "file").write_text("x")
    expected = {
        tmp_path / "missing": "not a folder",
        tmp_path / "file": "not a folder",
        tmp_path / "plain": "not a git repository",
        tmp_path / "empty": "no commit",
        source / "many": "top folder",
    }
    for path, text in expected.items():
        with pytest.raises(WorkspaceError, match=text) as caught:
            GitWorkspaces(path, tmp_path / "root").ensure("w1")
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    assert [] == list((tmp_path / "plain").iterdir())


def test_without_git_one_line_says_so(spaces, tmp_path, monkeypatch):
    """With no git on PATH the error says that it is not installed."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(WorkspaceError, match="git is not installed"):
        spaces.ensure("w1")


def test_what_is_not_ours_is_left_alone(spaces):
    """A folder that somebody else put there is neither used nor deleted."""
    mine = spaces.path_of("w1") / "precious.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("x")

    with pytest.raises(WorkspaceError, match="in the way"):
        spaces.ensure("w1")
    spaces.remove("w1")
    assert "x" == mine.read_text()


def test_a_gutted_workspace_is_reported(spaces):
    """If its .git is gone, the folder is neither handed out nor deleted."""
    path = spaces.ensure("w1")
    (path / ".git").unlink()

    with pytest.raises(WorkspaceError, match="not a git worktree any more"):
        spaces.ensure("w1")
    assert (path / "file.txt").exists()


def test_a_damaged_state_file_is_reported(spaces):
    """A state file that is not JSON is named; nothing is deleted because of it."""
    path = spaces.ensure("w1")
    (spaces.root / ".state" / "w1.json").write_text("{")

    with pytest.raises(WorkspaceError, match=r"w1\.json is damaged"):
        spaces.ensure("w1")
    assert (path / "file.txt").exists()


def test_a_root_that_is_a_file_is_one_line(source, tmp_path):
    """A root that cannot be made is an error of one line."""
    (tmp_path / "root").write_text("x")

    with pytest.raises(WorkspaceError, match="cannot make the workspace") as caught:
        GitWorkspaces(source, tmp_path / "root" / "deeper").ensure("w1")
    assert "\n" not in str(caught.value)


def test_a_branch_in_use_elsewhere_is_reported(spaces, source):
    """If the source itself has the branch checked out, git's reason comes through."""
    git(source, "switch", "--quiet", "-c", "roost/w1")

    with pytest.raises(WorkspaceError, match=r"already (checked out|used)"):
        spaces.ensure("w1")


def test_many_processes_make_one_worktree(source, tmp_path):
    """Eight processes at once get the same sound worktree."""
    processes = [start(source, tmp_path / "root") for _ in range(8)]
    answers = {process.communicate(timeout=120) for process in processes}

    assert {(f"{tmp_path / 'root' / 'w1'}\n", "")} == answers
    assert_sound(tmp_path / "root" / "w1", source)
    assert 2 == len(git(source, "worktree", "list").splitlines())


#: Comes before the real git on PATH and dies with its parent in the middle of its work.
SHIM = """#!/bin/sh
case "$*" in
  *"worktree add"*) {worktree} kill -9 $PPID; exit 1;;
  *clone*) mkdir -p {path}/.git/objects; echo x > {path}/file.txt; kill -9 $PPID; exit 1;;
esac
exec {git} "$@"
"""


_ADD = "{git} --git-dir {source}/.git worktree add -q --no-checkout -b roost/w1 {path};"
_LOCK = "echo initializing > {source}/.git/worktrees/w1/locked;"


@pytest.mark.parametrize(
    ("kind", "done_before"),
    [
        ("clone", ""),
        ("worktree", ""),
        ("worktree", "mkdir -p {path};"),
        ("worktree", "{git} --git-dir {source}/.git branch roost/w1;"),
        ("worktree", _ADD),
        ("worktree", _ADD + _LOCK + "rm {path}/.git;"),
        ("worktree", "mkdir -p {source}/.git/worktrees/w1;" + _LOCK),
    ],
)
def test_half_made_ones_are_repaired(source, tmp_path, kind, done_before):
    """A process and its git, killed together at several points, leave what the next one repairs."""
    if kind == "clone":
        (source / ".git" / "worktrees").write_text("in the way")
    root = tmp_path / "root"
    names = {"git": shutil.which("git"), "source": source, "path": root / "w1"}
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text(SHIM.format(**names, worktree=done_before.format(**names)))
    shim.chmod(0o755)
    process = start(source, root, PATH=f"{shim.parent}:{os.environ['PATH']}")
    process.communicate(timeout=60)

    assert -9 == process.returncode
    assert_sound(GitWorkspaces(source, root).ensure("w1"), source)


def test_kills_at_random_moments(source, tmp_path):
    """However often the maker is killed -9, the next call returns a sound worktree."""
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    root = tmp_path / "root"
    for turn in range(15):
        process = start(source, root)
        time.sleep(dice.uniform(0.05, 0.2))
        process.kill()
        process.communicate(timeout=60)
        spaces = GitWorkspaces(source, root)
        note = f"seed {seed}, turn {turn}"
        assert spaces.path_of("w1") == spaces.ensure("w1"), note
        assert_sound(spaces.path_of("w1"), source)
        spaces.remove("w1")


def test_a_hanging_git_is_ended(spaces, tmp_path, monkeypatch):
    """Git that takes too long is killed with its children, and the error says what it ran."""
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\nsleep 600 & echo $! > " + f"{tmp_path}/child\nwait\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    with (tmp_path / "lock").open("w") as lock, pytest.raises(WorkspaceError, match="longer than"):
        commands.run(["status"], lock.fileno(), timeout=0.5)

    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not _is_alive(child):
            break
        time.sleep(0.05)
    assert not _is_alive(child)


def _is_alive(pid: int) -> bool:
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return status.stdout.strip()[:1] not in ("", "Z")
