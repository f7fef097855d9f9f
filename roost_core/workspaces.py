"""A folder for each work item: the interface of a plugin that makes such folders."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from roost_core.backend import Finding
from roost_core.errors import WorkspaceError

#: The error where a workspace is needed and none can be made yet.
NO_SOURCE: Final = (
    "no workspace source is set: give ROOST_WORKSPACE_SOURCE the path of a git "
    "repository to make workspaces from"
)


class Workspaces(abc.ABC):
    """The workspaces of work items. Synchronous: callers on an event loop use a thread.

    For any number of threads, and processes that share the folders. Making this object does no I/O
    and requires nothing to exist: every worker has one, and most engines never use it.
    """

    @abc.abstractmethod
    def ensure(self, work_id: str, life: int | None = None) -> Path:
        """Return the work item's workspace, created at the first call and then kept as it is.

        One left by a purged work item with the same id is removed first, and one left half-made
        by a killed process is never returned.

        :param life: when the work item was created, in milliseconds; None takes any.
        :returns: an absolute path.
        :raises InvalidInput: not a work id.
        :raises WorkspaceError: it cannot be made; one line that says why.
        """

    @abc.abstractmethod
    def remove(self, work_id: str, life: int | None = None) -> None:
        """Remove the work item's workspace with everything in it; do nothing if there is none.

        May be repeated, and may come late: one made for another work item with the same id stays.

        :param life: when the work item was created, in milliseconds; None is any.
        :raises InvalidInput: not a work id.
        :raises WorkspaceError: it cannot be removed; a worker tries again later.
        """

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """What workspaces are, and where, for people. No I/O."""

    def diagnose(self) -> Sequence[Finding]:
        """Check for what would keep workspaces from being made; nothing if all is well."""
        return ()


@attrs.frozen
class NoWorkspaces(Workspaces):
    """The stand-in where no plugin offers workspaces: none is made, so none has to be removed.

    :ivar reason: one line for the error.
    """

    reason: str = NO_SOURCE

    def ensure(
        self,
        work_id: str,  # noqa: ARG002 - part of the interface
        life: int | None = None,  # noqa: ARG002 - as above
    ) -> Path:
        """Refuse.

        :raises WorkspaceError: always, with the reason.
        """
        raise WorkspaceError(self.reason)

    def remove(self, work_id: str, life: int | None = None) -> None:
        """Do nothing."""

    @property
    def description(self) -> str:
        """Why there are none."""
        return self.reason
