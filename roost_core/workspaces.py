"""A folder of its own for each work item: a git worktree, or else a clone.

``<root>/<name>`` is the workspace and ``<root>/.state`` holds a lock and a small
state file per work item. The workspace is on a branch ``roost/<name>`` that
starts at the source's ``HEAD``, so that an engine's commits have a name that
outlives the folder. The name is the work id, or a variant of it where git or a
file system that ignores case could not tell two ids apart.

A worktree shares the source's objects and is what git can do with bare and
shallow repositories too. A source that cannot be written to (another user's, a
read-only mount) cannot hold worktrees: then the workspace is a clone.

Nothing here runs ``git init``, and git runs without the caller's ``GIT_*``
variables, without hooks, without questions and without background upkeep.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from roost_core.errors import InvalidInput, WorkspaceError
from roost_core.models import WORK_ID

#: One git command may take this long, in seconds: large checkouts on slow disks.
GIT_TIMEOUT: Final = 900.0
#: How long to wait, in seconds, for another process that makes the same workspace.
LOCK_TIMEOUT: Final = 2 * GIT_TIMEOUT
#: The branch of a workspace is this and its name.
BRANCH_PREFIX: Final = "roost/"

_STATE: Final = ".state"
_MAKING: Final = "making"
_READY: Final = "ready"
#: What git forbids in a branch name, of the characters a work id may have.
_NOT_IN_BRANCHES: Final = re.compile(r"\.{2,}|\.$|\.lock$")
#: Configuration that holds for every command, whatever the repository says.
_CONFIG: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
)


def workspace_name(work_id: str) -> str:
    """Return the name that stands for a work item in folder and branch.

    It is the id itself, unless the id has upper-case letters or is not a branch
    name; then those parts are replaced and a digest tells such ids apart.

    :raises InvalidInput: not a work id.
    """
    if not isinstance(work_id, str) or WORK_ID.fullmatch(work_id) is None:
        raise InvalidInput(f"{work_id!r:.200} is not a valid work id")
    plain = _NOT_IN_BRANCHES.sub("-", work_id)
    if plain == work_id and work_id == work_id.lower():
        return work_id
    return f"{plain}+{hashlib.sha256(work_id.encode()).hexdigest()[:16]}"


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


@attrs.frozen
class Workspaces:
    """The workspaces below ``root``, made from the git repository ``source``.

    For any number of threads and processes of one machine. Every method but
    :meth:`path_of` blocks.

    :ivar source: the top folder of a repository, or a bare repository; None if none is set.
    :ivar root: the folder for workspaces; made when it is needed, 0700.
    """

    source: Path | None = attrs.field(converter=attrs.converters.optional(_absolute))
    root: Path = attrs.field(converter=_absolute)

    def path_of(self, work_id: str) -> Path:
        """Return where a work item's workspace is, or would be. No I/O.

        :raises InvalidInput: not a work id.
        """
        return self.root / workspace_name(work_id)

    def ensure(self, work_id: str, life: int | None = None) -> Path:
        """Return the work item's workspace, made at the first call and kept as it is after.

        One that a purged work item with the same id has left is cleared away first.

        One that a killed process left half-made is made anew. If its branch is
        still there, from an earlier workspace of the work item, it continues that.

        :param life: when the work item was created, in milliseconds; None takes what there is.
        :raises InvalidInput: not a work id.
        :raises WorkspaceError: no source is set, it cannot be used, or git failed.
        """
        name = workspace_name(work_id)
        path = self.root / name
        try:
            if self._is_ready(name, path, life):
                return path
            source = self._checked_source()
            with self._locked(name) as lock:
                if not self._is_ready(name, path, life):
                    self._make(name, path, source, lock, life)
        except OSError as error:
            raise WorkspaceError(f"cannot make the workspace {path}: {_reason(error)}") from error
        return path

    def remove(self, work_id: str, life: int | None = None) -> None:
        """Remove the work item's workspace with everything in it; nothing happens if there is none.

        One that another work item with the same id has made stays.

        Its branch goes too, unless it has commits that the source's ``HEAD``
        lacks: those stay reachable. A clone's commits go with the clone.

        :param life: when the work item was created, in milliseconds; None is any.
        :raises InvalidInput: not a work id.
        :raises WorkspaceError: it cannot be removed.
        """
        name = workspace_name(work_id)
        path = self.root / name
        if not (self.root / _STATE / f"{name}.json").exists():
            return  # what stands there, if anything, is not ours
        try:
            with self._locked(name) as lock:
                if not _is_of(self._state(name), life):
                    return
                self._clear(name, path, lock)
                self._file(name, "json").unlink(missing_ok=True)
                self._file(name, "lock").unlink(missing_ok=True)
        except OSError as error:
            raise WorkspaceError(f"cannot remove the workspace {path}: {_reason(error)}") from error

    # -- making and clearing, under the lock -----------------------------------------------

    def _is_ready(self, name: str, path: Path, life: int | None) -> bool:
        state = self._state(name)
        if state.get("state") != _READY or not os.path.lexists(path) or not _is_of(state, life):
            return False
        if not (path / ".git").exists():
            raise WorkspaceError(
                f"{path} is not a git worktree any more: move it away or delete it, then try again"
            )
        return True

    def _make(self, name: str, path: Path, source: Path, lock: int, life: int | None) -> None:
        repository, commit = _examined(source, lock)
        if self._state(name):
            # Half-made by a process that was killed, deleted by a person, or of a work item that
            # is gone: nobody works in it.
            self._clear(name, path, lock)
        elif os.path.lexists(path):
            raise WorkspaceError(f"{path} is in the way and not a workspace: move it away")
        kind = "worktree" if _can_hold_worktrees(repository) else "clone"
        state = {"state": _MAKING, "kind": kind, "repository": str(repository)}
        if life is not None:
            state["life"] = str(life)
        self._write_state(name, state)
        branch = BRANCH_PREFIX + name
        if kind == "worktree":
            _add_worktree(repository, branch, commit, path, lock)
        else:
            _clone(source, branch, commit, path, lock)
        self._write_state(name, {**state, "state": _READY})

    def _clear(self, name: str, path: Path, lock: int) -> None:
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
        state = self._state(name)
        repository = Path(state.get("repository", ""))
        if state.get("kind") != "worktree" or not (repository / "HEAD").is_file():
            return
        # Forced twice: one that is half-made is locked. Refused if git knows no such worktree,
        # and the branch deletion if it is not merged: both are fine.
        command = ["worktree", "remove", "--force", "--force", "--", str(path)]
        _git(["--git-dir", str(repository), *command], lock)
        _git(["--git-dir", str(repository), "branch", "-d", "--", BRANCH_PREFIX + name], lock)

    def _checked_source(self) -> Path:
        if self.source is None:
            raise WorkspaceError(
                "no workspace source is set: give ROOST_WORKSPACE_SOURCE the path of a git "
                "repository to make workspaces from"
            )
        if not self.source.is_dir():
            raise WorkspaceError(f"the workspace source {self.source} is not a folder")
        return self.source

    # -- lock and state --------------------------------------------------------------------

    def _file(self, name: str, kind: str) -> Path:
        return self.root / _STATE / f"{name}.{kind}"

    def _state(self, name: str) -> dict[str, str]:
        try:
            content = json.loads(self._file(name, "json").read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            content = None
        if not isinstance(content, dict):
            file = self._file(name, "json")
            raise WorkspaceError(f"{file} is damaged: delete it and {self.root / name}")
        return content

    def _write_state(self, name: str, state: dict[str, str]) -> None:
        temp = self._file(name, secrets.token_hex(8))
        try:
            temp.write_text(json.dumps(state), "utf-8")
            temp.replace(self._file(name, "json"))
        finally:
            temp.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[int]:
        """Hold the work item's lock and yield its descriptor.

        git inherits it: if this process is killed, the lock lasts until the git
        command that it had started ends, and nobody clears the folder under it.
        """
        self._make_root()
        descriptor = _acquire(self._file(name, "lock"), LOCK_TIMEOUT)
        try:
            yield descriptor
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _make_root(self) -> None:
        for folder in (*reversed(self.root.parents), self.root, self.root / _STATE):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
        # The root may lie in the source's own working tree, which shall stay clean.
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", "utf-8")


def _is_of(state: dict[str, str], life: int | None) -> bool:
    """Whether a workspace belongs to this life of the work id; one that names none, to each."""
    return life is None or state.get("life") in (None, str(life))


def _acquire(path: Path, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A remove may have deleted the file in between: then the lock is worth nothing.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    return descriptor
            os.close(descriptor)
        except BlockingIOError:
            os.close(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if time.monotonic() >= deadline:
            raise TimeoutError(errno.ETIMEDOUT, "another process keeps it locked")
        time.sleep(0.02)


# -- git -------------------------------------------------------------------------------------


def _examined(source: Path, lock: int) -> tuple[Path, str]:
    """Return the git folder of the source's repository and the commit at the source's ``HEAD``.

    :raises WorkspaceError: the source is not what workspaces can be made from.
    """
    where = ["-C", str(source)]
    found = _git([*where, "rev-parse", "--git-common-dir"], lock)
    if found.returncode:
        raise WorkspaceError(
            f"the workspace source {source} is not a git repository: {_why(found)}"
        )
    if _git([*where, "rev-parse", "--show-prefix"], lock).stdout.strip():
        raise WorkspaceError(
            f"the workspace source {source} is a folder inside a git repository: "
            "give the repository's top folder"
        )
    head = _git([*where, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"], lock)
    if head.returncode:
        raise WorkspaceError(
            f"the workspace source {source} has no commit at HEAD: commit something first"
        )
    repository = Path(os.path.realpath(source / found.stdout.removesuffix("\n")))
    return repository, head.stdout.strip()


def _can_hold_worktrees(repository: Path) -> bool:
    """Return whether worktrees can be registered in a repository's git folder."""
    registry = repository / "worktrees"
    if not os.path.lexists(registry):
        registry = repository
    return registry.is_dir() and os.access(registry, os.W_OK | os.X_OK)


def _add_worktree(repository: Path, branch: str, commit: str, path: Path, lock: int) -> None:
    git = ["--git-dir", str(repository)]
    known = _git([*git, "show-ref", "--verify", "--quiet", "--", f"refs/heads/{branch}"], lock)
    if known.returncode == 0:
        command = ["worktree", "add", "--quiet", "--", str(path), branch]
    else:
        command = ["worktree", "add", "--quiet", "-b", branch, "--", str(path), commit]
    _succeed(_git([*git, *command], lock), f"cannot make the worktree {path}")


def _clone(source: Path, branch: str, commit: str, path: Path, lock: int) -> None:
    # Without templates: they may bring hooks. Without hard links: the source's files stay its own.
    command = ["clone", "--quiet", "--template=", "--no-hardlinks", "--", str(source), str(path)]
    _succeed(_git(command, lock), f"cannot clone {source}")
    switch = _git(["-C", str(path), "switch", "--quiet", "-c", branch, commit], lock)
    _succeed(switch, f"cannot make the branch {branch} in {path}")


def _git(
    arguments: list[str], lock: int, timeout: float = GIT_TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Run git to its end in an environment made from nothing, whatever its exit status.

    :raises WorkspaceError: git is not installed, or took longer than ``timeout`` seconds.
    """
    program = shutil.which("git")
    if program is None:
        raise WorkspaceError("git is not installed, or not on PATH: workspaces need it")
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
        # A group of its own: the whole of it can be ended, and Ctrl-C leaves it to finish.
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


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
