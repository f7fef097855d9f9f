"""A folder of its own for each work item: what a plugin that makes such folders offers."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from roost_core.backend import Finding
from roost_core.errors import WorkspaceError

#: What a person reads who asks for a workspace where none can be made yet.
NO_SOURCE: Final = (
    "no workspace source is set: give ROOST_WORKSPACE_SOURCE the path of a git "
    "repository to make workspaces from"
)


class Workspaces(abc.ABC):
    """The workspaces of work items. Synchronous: callers on an event loop use a thread.

    For any number of threads, and of processes that share the folders. Making one of these
    does no I/O and needs nothing to be there: every worker has one, and most engines never ask.
    """

    @abc.abstractmethod
    def ensure(self, work_id: str, life: int | None = None) -> Path:
        """Return the work item's workspace, made at the first call and kept as it is after.

        One that a purged work item with the same id has left is cleared away first, and one
        that a killed process left half-made is never handed out.

        :param life: when the work item was created, in milliseconds; None takes what there is.
        :returns: an absolute path.
        :raises InvalidInput: not a work id.
        :raises WorkspaceError: it cannot be made; one line that says why.
        """

    @abc.abstractmethod
    def remove(self, work_id: str, life: int | None = None) -> None:
        """Remove the work item's workspace with everything in it; nothing happens if there is none.

        May be repeated, and may come late: what another work item with the same id has made stays.

        :param life: when the work item was created, in milliseconds; None is any.
        :raises InvalidInput: not a work id.
        :raises WorkspaceError: it cannot be removed; a worker tries again later.
        """

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """What workspaces are, and where, for people. No I/O."""

    def diagnose(self) -> Sequence[Finding]:
        """Look for what would keep workspaces from being made; nothing if all is well."""
        return ()


@attrs.frozen
class NoWorkspaces(Workspaces):
    """What stands in where no plugin offers workspaces: none is made, so none has to go.

    :ivar reason: one line for whoever asks for one.
    """

    reason: str = NO_SOURCE

    def ensure(
        self,
        work_id: str,  # noqa: ARG002 - as everybody takes it
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
