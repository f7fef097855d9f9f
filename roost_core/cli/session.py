"""What one command line says, and what follows from it: settings, plugins, a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from roost_core.cli import output, plugin_output
from roost_core.cli.signals import StopSignals
from roost_core.errors import RoostError
from roost_core.settings.core import Settings, core_fields
from roost_core.settings.declaring import Declaration, On, declared, option
from roost_core.settings.given import Given, Origin
from roost_core.settings.sources import load

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
    :ivar before_work: called by a worker that has loaded its plugins, before it connects; it may
        wait.
    :ivar is_short: whether the command needs only the backend and no other plugins; None until the
        command is known.
    """

    overrides: dict[str, Any] = attrs.field(factory=dict)
    explicit: list[str] = attrs.field(factory=list)
    config: Path | None = None
    signals: StopSignals = attrs.field(factory=StopSignals)
    before_work: Callable[[], None] = attrs.field(default=lambda: None)
    is_short: bool | None = None
    #: Settings given as options that may belong to plugins not loaded yet.
    _mentioned: set[str] = attrs.field(factory=set)
    _few: Plugins | None = None
    _plugins: Plugins | None = None
    _is_warned: bool = False
    _settings: Settings | None = None

    def read_ahead(self, options: Iterable[tuple[str, str | None]]) -> None:
        """Note what a command line says of plugins, before it is parsed.

        :param options: its options and their values, see :func:`roost_core.cli.ahead.options`.
        """
        self.explicit.clear()
        for name, value in options:
            self._mentioned.add(name.removeprefix("--").replace("-", "_"))
            if name == "--plugin" and value is not None:
                self.explicit.append(value)
            elif name == "--config" and value is not None:
                self.config = Path(value)

    @property
    def has_plugins(self) -> bool:
        """Whether plugins are loaded already, so that naming others has no effect."""
        return self._few is not None or self._plugins is not None

    def override(self, name: str, value: Any) -> None:
        """Note a setting that was given as an option."""
        self.overrides[name] = value
        self._settings = None

    @property
    def settings(self) -> Settings:
        """This process's settings: options over environment over file over defaults.

        :raises SettingsError: one of the core's own is malformed.
        """
        if self._settings is None:
            given = {
                name: Given(value, option(name), Origin.OPTION)
                for name, value in self.overrides.items()
            }
            self._settings = load(given, config=self.config)
        return self._settings

    def given(self, *, is_shared: bool = False) -> list[str]:
        """Return the settings that were given as options, as words of another command line.

        :param is_shared: only those that every command has.
        """
        fields = [*core_fields().values()]
        fields += [one for kind in self.declarations for one in declared(kind).values()]
        shared = {one.name for one in fields if one.on is On.EVERY_COMMAND}
        config = [] if self.config is None else [f"--config={self.config}"]
        return config + [
            f"{option(name)}={value}"
            for name, value in self.overrides.items()
            if name in shared or not is_shared
        ]

    def known_settings(self, plugins: Plugins, **usual: Any) -> Settings:
        """Return the settings without those that are neither the core's nor of these plugins.

        :param usual: values for settings of these plugins that are not given, by their whole names.
        :raises SettingsError: one of the core's own is malformed.
        """
        names = {one.name for kind in plugins.declarations() for one in declared(kind).values()}
        given = {**usual, **self.settings.extra}
        extra = {name: one for name, one in given.items() if name in names}
        return attrs.evolve(self.settings, extra=extra)

    def without_secrets(self, text: str) -> str:
        """Return a foreign text without the secrets of the settings, as far as they are known."""
        try:
            return self.settings.without_secrets(text)
        except RoostError:
            return text  # one of the core's own is malformed, and none of those is a secret

    def plugins(self, *, strict: bool = False, keep_going: bool = False) -> Plugins:
        """Load the plugins, once; the settings are checked against what they declare.

        :param strict: a broken plugin is an error, named or not.
        :param keep_going: neither broken plugins nor settings are an error, even if named.
        :raises PluginError: a named plugin cannot be loaded.
        :raises SettingsError: a setting is unknown or malformed.
        """
        found = (
            self.few_plugins() if self.is_short and self._plugins is None else self.all_plugins()
        )
        if keep_going:  # a command that shows plugins shows it anyway
            return found
        self.refuse_broken(found, strict=strict)
        found.check_settings(self.settings)
        return found

    def refuse_broken(self, plugins: Plugins, *, strict: bool = False) -> None:
        """Raise what is wrong with plugins; warn once of what is odd.

        :param strict: as in :meth:`plugins`.
        :raises PluginError: a named plugin cannot be loaded.
        """
        plugins.refuse_broken(strict=strict)
        if not self._is_warned:
            self._is_warned = True
            for line in plugins.vain_blocks():
                output.note(line)

    def few_plugins(self) -> Plugins:
        """Load the plugins with the backend and the named ones; broken ones are recorded.

        :raises SettingsError: one of the core's own is malformed.
        """
        if self._few is None:
            from roost_core.plugins.registry import Plugins

            settings = self._early_settings()
            given = [name for name, one in settings.extra.items() if one.value not in ("", None)]
            with plugin_output.to_stderr():
                self._few = Plugins.for_backend(
                    {*given, *self._mentioned},
                    explicit=tuple(self.explicit),
                    environment=settings.plugins,
                    keep_going=True,
                )
        return self._few

    def all_plugins(self) -> Plugins:
        """Load all installed or named plugins; broken ones are recorded.

        :raises SettingsError: one of the core's own is malformed.
        """
        if self._plugins is None:
            from roost_core.plugins.registry import Plugins

            with plugin_output.to_stderr():
                if self._few is not None:
                    self._plugins = self._few.complete()
                else:
                    self._plugins = Plugins.load(
                        explicit=tuple(self.explicit),
                        environment=self._early_settings().plugins,
                        strict=False,
                        keep_going=True,
                    )
        return self._plugins

    @property
    def declarations(self) -> tuple[type[Declaration], ...]:
        """The settings of the plugins loaded so far."""
        found = self._plugins or self._few
        return () if found is None else found.declarations()

    def know_more(self) -> bool:
        """Load more plugins, because an option is unknown; return whether that added any.

        :raises SettingsError: one of the core's own is malformed.
        """
        if self._plugins is not None:
            return False
        if self._few is None and self.is_short is not False:
            self.few_plugins()
        else:
            self.all_plugins()
        return True

    def _early_settings(self) -> Settings:
        """Return the settings as far as they are known: plugins may add options."""
        return load(config=self.config) if self._settings is None else self._settings

    def connect(self, *, create: bool = True) -> Roost:
        """Return a connection to the queue, to be entered with ``async with``.

        :param create: false for callers that only read, as in :meth:`Connection.connect`.
        :raises SettingsError: a setting is unknown or malformed.
        :raises PluginError: a named plugin cannot be loaded, or one fails.
        """
        from roost_core.client.roost import Roost

        return Roost.connect(self.settings, plugins=self.plugins(), create=create)

    def artifact_store(self) -> ArtifactStore:
        """Return the artifact store; no server is needed.

        :raises SettingsError: a setting is unknown or malformed.
        :raises PluginError: a named plugin cannot be loaded, or one fails.
        """
        plugins = self.plugins()
        with plugin_output.to_stderr():
            return plugins.make_artifact_store(self.settings)

    def workspaces(self) -> Workspaces:
        """Return the workspaces; no server is needed.

        :raises SettingsError: a setting is unknown or malformed.
        :raises PluginError: a named plugin cannot be loaded, or one fails.
        """
        plugins = self.plugins()
        with plugin_output.to_stderr():
            return plugins.make_workspaces(self.settings)

    def run(self, work: Callable[[Roost], Awaitable[_T]]) -> _T:
        """Run ``work`` with an open connection in an event loop of its own.

        :raises SettingsError: a setting is unknown or malformed.
        :raises PluginError: a named plugin cannot be loaded, or one fails.
        :raises BackendUnavailable: the server cannot be reached.
        :raises RoostError: what ``work`` raises.
        """
        return self._run(work, create=True)

    def read(self, work: Callable[[Roost], Awaitable[_T]]) -> _T:
        """Do as :meth:`run` does for a command that only reads: nothing is created.

        :raises NoWorkHere: nothing was ever enqueued here.
        :raises SettingsError: a setting is unknown or malformed.
        :raises PluginError: a named plugin cannot be loaded, or one fails.
        :raises BackendUnavailable: the server cannot be reached.
        :raises RoostError: what ``work`` raises.
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
