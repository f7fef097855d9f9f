"""The workspaces that an engine gets in a test."""

from __future__ import annotations

import functools
from pathlib import Path

from roost_core.plugins.registry import Plugins
from roost_core.settings import Settings
from roost_core.workspaces import NoWorkspaces, Workspaces


class TestedWorkspaces(Workspaces):
    """Those of the plugins under test; if they offer none, those of installed plugins.

    Installed plugins are loaded only if an engine needs a workspace.
    """

    __test__ = False  # pytest need not look for tests in it

    def __init__(self, plugins: Plugins, settings: Settings) -> None:
        self._own = plugins.make_workspaces(settings)
        self._settings = settings

    def ensure(self, work_id: str, life: int | None = None) -> Path:
        """Return the work item's workspace.

        :raises WorkspaceError: it cannot be made, or no plugin offers any.
        :raises PluginError: an installed plugin fails.
        """
        return self._chosen.ensure(work_id, life)

    def remove(self, work_id: str, life: int | None = None) -> None:
        """Remove the work item's workspace."""
        self._chosen.remove(work_id, life)

    @property
    def description(self) -> str:
        """What the chosen ones are."""
        return self._chosen.description

    @functools.cached_property
    def _chosen(self) -> Workspaces:
        if not isinstance(self._own, NoWorkspaces):
            return self._own
        return Plugins.load(strict=False).make_workspaces(self._settings)
