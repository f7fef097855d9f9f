"""A folder of its own for each work item: a git worktree, or else a clone.

``<root>/<name>`` is the workspace and ``<root>/.state`` holds a lock and a small
state file per work item. The workspace is on a branch ``roost/<name>`` that
starts at the source's ``HEAD``, so that an engine's commits have a name that
outlives the folder. Queues other than the default one have a root and a branch prefix of their
own (``naming.py``). The name is the work id, or a variant of it where git or a
file system that ignores case could not tell two ids apart.

A worktree shares the source's objects and also works with bare and shallow repositories. A source
that cannot be written to (another user's, a read-only mount) cannot hold worktrees: then the
workspace is a clone.

Nothing here runs ``git init``, and git runs without the caller's ``GIT_*`` variables, hooks,
prompts or background maintenance.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import attrs

from roost_core.backend import Finding
from roost_core.errors import WorkspaceError
from roost_core.workspaces import NO_SOURCE, Workspaces
from roost_plugins.git_workspaces import git
from roost_plugins.git_workspaces.naming import branch_name, workspace_name
from roost_plugins.git_workspaces.records import MAKING, READY, Records, is_of


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


@attrs.frozen
class GitWorkspaces(Workspaces):
    """The workspaces below ``root``, made from the git repository ``source``.

    For any number of threads and processes of one machine. Every method but
    :meth:`path_of` blocks.

    :ivar source: the top folder of a repository, or a bare repository; None if none is set.
    :ivar root: the folder for workspaces; created when needed, with mode 0700.
    :ivar queue: what stands for the queue in branches; empty for the default queue.
    """

    source: Path | None = attrs.field(converter=attrs.converters.optional(_absolute))
    root: Path = attrs.field(converter=_absolute)
    queue: str = ""
    _records: Records = attrs.field(init=False, eq=False, repr=False)

    @_records.default
    def _make_records(self) -> Records:
        return Records(self.root)

    def path_of(self, work_id: str) -> Path:
        """Return where a work item's workspace is, or would be. No I/O.

        :raises InvalidInput: not a work id.
        """
        return self.root / workspace_name(work_id)

    def ensure(self, work_id: str, life: int | None = None) -> Path:
        """Return the work item's workspace, created at the first call and then kept as it is.

        One left by a purged work item with the same id is removed first. One left half-made by a
        killed process is made again. If its branch still exists, from an earlier workspace of the
        work item, it continues that branch.

        :param life: when the work item was created, in milliseconds; None takes any.
        :raises InvalidInput: not a work id.
        :raises WorkspaceError: no source is set, it cannot be used, or git failed.
        """
        name = workspace_name(work_id)
        path = self.root / name
        try:
            if self._is_ready(name, path, life):
                return path
            source = self._checked_source()
            with self._records.locked(name) as lock:
                if not self._is_ready(name, path, life):
                    self._make(name, path, source, lock, life)
        except OSError as error:
            raise WorkspaceError(f"cannot make the workspace {path}: {_reason(error)}") from error
        return path

    def remove(self, work_id: str, life: int | None = None) -> None:
        """Remove the work item's workspace with everything in it; do nothing if there is none.

        One made for another work item with the same id stays. Its branch is deleted too, unless it
        has commits that the source's ``HEAD`` lacks: those stay reachable. A clone's commits go
        with the clone.

        :param life: when the work item was created, in milliseconds; None is any.
        :raises InvalidInput: not a work id.
        :raises WorkspaceError: it cannot be removed.
        """
        name = workspace_name(work_id)
        path = self.root / name
        if not self._records.exists(name):
            return  # what is there, if anything, is not ours
        try:
            with self._records.locked(name) as lock:
                if not is_of(self._records.read(name), life):
                    return
                self._clear(name, path, lock)
                self._records.drop(name)
        except OSError as error:
            raise WorkspaceError(f"cannot remove the workspace {path}: {_reason(error)}") from error

    @property
    def description(self) -> str:
        """The root folder and the source."""
        source = "no source is set" if self.source is None else f"source {self.source}"
        return f"git worktrees in {self.root}, {source}"

    def diagnose(self) -> Sequence[Finding]:
        """Check git and the source, if one is set."""
        if self.source is None:
            return ()
        try:
            git.find()
            self._checked_source()
        except WorkspaceError as error:
            return (Finding("problem", "workspaces", str(error)),)
        return ()

    # -- making and clearing, under the lock -----------------------------------------------

    def _is_ready(self, name: str, path: Path, life: int | None) -> bool:
        state = self._records.read(name)
        if state.get("state") != READY or not os.path.lexists(path) or not is_of(state, life):
            return False
        if not (path / ".git").exists():
            raise WorkspaceError(
                f"{path} is not a git worktree any more: move it away or delete it, then try again"
            )
        return True

    def _make(self, name: str, path: Path, source: Path, lock: int, life: int | None) -> None:
        repository, commit = git.examined(source, lock)
        if self._records.read(name):
            # Half-made by a process that was killed, deleted by a person, or of a work item that is
            # gone: nobody is working in it.
            self._clear(name, path, lock)
        elif os.path.lexists(path):
            raise WorkspaceError(f"{path} is in the way and not a workspace: move it away")
        kind = "worktree" if git.can_hold_worktrees(repository) else "clone"
        state = {"state": MAKING, "kind": kind, "repository": str(repository)}
        if life is not None:
            state["life"] = str(life)
        self._records.write(name, state)
        branch = branch_name(self.queue, name)
        if kind == "worktree":
            git.add_worktree(repository, branch, commit, path, lock)
        else:
            git.clone(source, branch, commit, path, lock)
        self._records.write(name, {**state, "state": READY})

    def _clear(self, name: str, path: Path, lock: int) -> None:
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
        state = self._records.read(name)
        repository = Path(state.get("repository", ""))
        if state.get("kind") != "worktree" or not (repository / "HEAD").is_file():
            return
        git.forget_worktree(repository, branch_name(self.queue, name), path, lock)

    def _checked_source(self) -> Path:
        if self.source is None:
            raise WorkspaceError(NO_SOURCE)
        if not self.source.is_dir():
            raise WorkspaceError(f"the workspace source {self.source} is not a folder")
        return self.source


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
