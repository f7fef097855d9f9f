"""The default workspaces: a git worktree for each work item, or else a clone.

It is tried last, so a plugin with other workspaces only has to be installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core import hookimpl
from roost_plugins.git_workspaces.settings import WorkspaceSettings

if TYPE_CHECKING:
    from roost_core.settings import Settings
    from roost_core.workspaces import Workspaces


@hookimpl
def register_settings() -> type[WorkspaceSettings]:
    """Declare where workspaces come from."""
    return WorkspaceSettings


@hookimpl(trylast=True)
def workspace(settings: Settings) -> Workspaces:
    """Return the queue's workspaces below the home; without a source, existing ones only."""
    # Imported here: most commands never touch a workspace.
    from roost_plugins.git_workspaces.naming import queue_name
    from roost_plugins.git_workspaces.worktrees import GitWorkspaces

    root = settings.home / "workspaces"
    queue = queue_name(settings.namespace, settings.queue)
    return GitWorkspaces(
        settings.of(WorkspaceSettings).source, root / ".queues" / queue if queue else root, queue
    )
