"""What one command line said, and what follows from it: settings, plugins, a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from roost_core import settings as settings_module
from roost_core.cli import output, plugin_output
from roost_core.cli.signals import StopSignals
from roost_core.settings import Settings

if TYPE_CHECKING:
    from roost_core.backend.artifacts import ArtifactStore
    from roost_core.client.roost import Roost
    from roost_core.plugins.registry import Plugins
    from roost_core.workspaces import Workspaces

_T = TypeVar("_T")


@attrs.define(eq=False)
class Session:
    """The ``obj`` of every command's click context.

    :ivar overrides: settings given as options, by name.
    :ivar explicit: the values of ``--plugin``, in order.
    :ivar config: the settings file that ``--config`` names.
    :ivar signals: how a worker's process is stopped; installed for a worker only.
    """

    overrides: dict[str, Any] = attrs.field(factory=dict)
    explicit: list[str] = attrs.field(factory=list)
    config: Path | None = None
    signals: StopSignals = attrs.field(factory=StopSignals)
    _plugins: Plugins | None = None
    _settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """This process's settings: options over environment over file over defaults.

        :raises SettingsError: one is unknown or malformed.
        """
        if self._settings is None:
            self._settings = settings_module.load(self.overrides, config=self.config)
        return self._settings

    def plugins(self, *, strict: bool = False, keep_going: bool = False) -> Plugins:
        """Load the plugins, once.

        :param strict: a broken plugin is an error, whoever named it.
        :param keep_going: a broken plugin is none, even one that somebody named.
        :raises PluginError: a plugin that somebody named cannot be loaded.
        """
        if self._plugins is None:
            from roost_core.plugins.registry import Plugins

            settings = self.settings
            with plugin_output.to_stderr():
                self._plugins = Plugins.load(
                    explicit=tuple(self.explicit),
                    environment=settings.plugins,
                    strict=strict,
                    keep_going=keep_going,
                )
            if not keep_going:  # who looks at plugins sees it anyway
                for line in self._plugins.vain_blocks():
                    output.note(line)
        return self._plugins

    def connect(self, *, create: bool = True) -> Roost:
        """Return a connection to the queue, to be entered with ``async with``.

        :param create: false for who only reads, as in :meth:`Roost.connect`.
        """
        from roost_core.client.roost import Roost

        return Roost.connect(self.settings, plugins=self.plugins(), create=create)

    def artifact_store(self) -> ArtifactStore:
        """Return the artifact store; no server is needed."""
        plugins = self.plugins()
        with plugin_output.to_stderr():
            return plugins.make_artifact_store(self.settings)

    def workspaces(self) -> Workspaces:
        """Return what makes workspaces; no server is needed."""
        plugins = self.plugins()
        with plugin_output.to_stderr():
            return plugins.make_workspaces(self.settings)

    def run(self, work: Callable[[Roost], Awaitable[_T]]) -> _T:
        """Run ``work`` with an open connection in an event loop of its own."""
        return self._run(work, create=True)

    def read(self, work: Callable[[Roost], Awaitable[_T]]) -> _T:
        """Do as :meth:`run` does for who only reads: nothing is made for that.

        :raises NoWorkHere: nothing was ever enqueued here.
        """
        return self._run(work, create=False)

    def _run(self, work: Callable[[Roost], Awaitable[_T]], *, create: bool) -> _T:

        async def main() -> _T:
            async with contextlib.AsyncExitStack() as stack:
                roost = self.connect(create=create)
                with plugin_output.to_stderr():  # the plugin's hook makes the backend
                    await stack.enter_async_context(roost)
                return await work(roost)

        return asyncio.run(main())
