"""The git commands that workspaces need.

Each gets the descriptor of the workspace's lock, which git inherits, see
:mod:`roost_plugins.git_workspaces.records`.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from roost_core.errors import WorkspaceError

#: One git command may take this long, in seconds: large checkouts on slow disks.
GIT_TIMEOUT: Final = 900.0

#: Configuration that holds for every command, whatever the repository says.
_CONFIG: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
)


def examined(source: Path, lock: int) -> tuple[Path, str]:
    """Return the git folder of the source's repository and the commit at the source's ``HEAD``.

    :raises WorkspaceError: the source is not what workspaces can be made from.
    """
    where = ["-C", str(source)]
    found = run([*where, "rev-parse", "--git-common-dir"], lock)
    if found.returncode:
        raise WorkspaceError(
            f"the workspace source {source} is not a git repository: {_why(found)}"
        )
    if run([*where, "rev-parse", "--show-prefix"], lock).stdout.strip():
        raise WorkspaceError(
            f"the workspace source {source} is a folder inside a git repository: "
            "give the repository's top folder"
        )
    head = run([*where, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"], lock)
    if head.returncode:
        raise WorkspaceError(
            f"the workspace source {source} has no commit at HEAD: commit something first"
        )
    repository = Path(os.path.realpath(source / found.stdout.removesuffix("\n")))
    return repository, head.stdout.strip()


def can_hold_worktrees(repository: Path) -> bool:
    """Return whether worktrees can be registered in a repository's git folder."""
    registry = repository / "worktrees"
    if not os.path.lexists(registry):
        registry = repository
    return registry.is_dir() and os.access(registry, os.W_OK | os.X_OK)


def add_worktree(repository: Path, branch: str, commit: str, path: Path, lock: int) -> None:
    """Make a worktree on a branch: an existing one, or a new one at the commit.

    :raises WorkspaceError: git failed.
    """
    git = ["--git-dir", str(repository)]
    known = run([*git, "show-ref", "--verify", "--quiet", "--", f"refs/heads/{branch}"], lock)
    if known.returncode == 0:
        command = ["worktree", "add", "--quiet", "--", str(path), branch]
    else:
        command = ["worktree", "add", "--quiet", "-b", branch, "--", str(path), commit]
    _succeed(run([*git, *command], lock), f"cannot make the worktree {path}")


def clone(source: Path, branch: str, commit: str, path: Path, lock: int) -> None:
    """Make a clone on a new branch at the commit.

    :raises WorkspaceError: git failed.
    """
    # Without templates: they may contain hooks. Without hard links: the source's files stay
    # separate.
    command = ["clone", "--quiet", "--template=", "--no-hardlinks", "--", str(source), str(path)]
    _succeed(run(command, lock), f"cannot clone {source}")
    switch = run(["-C", str(path), "switch", "--quiet", "-c", branch, commit], lock)
    _succeed(switch, f"cannot make the branch {branch} in {path}")


def forget_worktree(repository: Path, branch: str, path: Path, lock: int) -> None:
    """Remove a worktree whose folder is gone from the repository, and its branch if merged."""
    git = ["--git-dir", str(repository)]
    # Forced twice, because a half-made one is locked. It fails if git knows no such worktree, and
    # the branch deletion if it is not merged: both are fine.
    run([*git, "worktree", "remove", "--force", "--force", "--", str(path)], lock)
    run([*git, "branch", "-d", "--", branch], lock)


def find() -> str:
    """Return the path of the git program.

    :raises WorkspaceError: there is none.
    """
    program = shutil.which("git")
    if program is None:
        raise WorkspaceError("git is not installed, or not on PATH: workspaces need it")
    return program


def run(
    arguments: list[str], lock: int, timeout: float = GIT_TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Run git to its end in a fresh environment, whatever its exit status.

    :raises WorkspaceError: git is not installed, or took longer than ``timeout`` seconds.
    """
    program = find()
    environment = {
        "PATH": os.pathsep.join(os.get_exec_path()),
        "HOME": os.path.expanduser("~"),
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
    }
    options = [part for setting in _CONFIG for part in ("-c", setting)]
    with subprocess.Popen(  # noqa: S603 - an argument list, and every id in it matched a pattern
        [program, *options, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        pass_fds=(lock,),
        # Its own process group: it can be ended as a whole, and Ctrl-C lets it finish.
        process_group=0,
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise WorkspaceError(
                    f"git took longer than {timeout:.0f} seconds: git {shlex.join(arguments)}"
                ) from error
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def _succeed(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode:
        raise WorkspaceError(f"{what}: {_why(done)}")


def _why(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of git's messages that says what went wrong."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))]
    chosen = (telling or lines or [f"git ended with status {done.returncode}"])[-1]
    return chosen.removeprefix("fatal: ").removeprefix("error: ")
