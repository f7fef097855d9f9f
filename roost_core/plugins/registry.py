"""One set of plugins: found, checked, registered, and called.

Order: what is installed, sorted by name; then the setting ``plugins``; then
``--plugin``, each in the order given. A later plugin of the same name replaces
the earlier one, which is then not even imported. **The last one registered is
called first**, so that a named plugin comes before an installed one;
``tryfirst`` and ``trylast`` change that for one hook. ``around_step`` is the
mirror image: the first one registered is outermost.

Each :class:`Plugins` has a pluggy manager of its own; this module keeps no state.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.server import Server
from roost_core.errors import PluginConflict, PluginError, PluginLoadError
from roost_core.models.checks import ENGINE_ID
from roost_core.plugins import checks as plugin_checks
from roost_core.plugins import declared
from roost_core.plugins import providers as plugin_providers
from roost_core.plugins import sources as plugin_sources
from roost_core.plugins.around_step import AroundStep
from roost_core.plugins.calls import HookCall
from roost_core.plugins.checks import Implementation
from roost_core.plugins.engines import OfferedEngine
from roost_core.plugins.errors import telling_ctrl_c
from roost_core.plugins.kinds import ENGINE_HOOKS, OBSERVER_HOOKS
from roost_core.plugins.observers import DEFAULT_OBSERVER_SECONDS, Observers
from roost_core.plugins.reports import PluginReport, PluginStatus, Record
from roost_core.plugins.selection import Choice, Request, select
from roost_core.plugins.sources import Candidate, Installed, Source
from roost_core.settings import judging
from roost_core.settings.core import Settings
from roost_core.settings.declaring import Declaration
from roost_core.workspaces import Workspaces

if TYPE_CHECKING:
    import click
    import pluggy


class Plugins:
    """The plugins of one process, or of one test. Make it with :meth:`load` or :meth:`empty`."""

    def __init__(self, *, strict: bool = True, keep_going: bool = False) -> None:
        self._manager = plugin_checks.Manager()
        self._strict = strict
        self._keep_going = keep_going
        self._records: list[Record] = []
        #: Whether it has every installed plugin, so that what none of these knows is unknown.
        self.is_complete = False
        #: The names of the installed plugins, if not all of them are loaded.
        self._unloaded: set[str] = set()
        self._more: Callable[[], Plugins] | None = None
        self._completed: Plugins | None = None

    @classmethod
    def empty(cls) -> Plugins:
        """Return a set without any plugin, for :meth:`register`."""
        return cls()

    @classmethod
    def load(
        cls,
        *,
        explicit: Sequence[str] = (),
        environment: Sequence[str] = (),
        installed: bool = True,
        strict: bool,
        keep_going: bool = False,
    ) -> Plugins:
        """Find and register plugins.

        :param explicit: names from ``--plugin``; see :mod:`roost_core.plugins.sources`.
        :param environment: names from the setting ``plugins``.
        :param installed: whether to load what is installed without being named.
        :param strict: whether an installed plugin that fails raises; if not, it is reported as
            broken. A named one always raises.
        :param keep_going: report whatever fails as broken, for commands that show plugins.
        :raises PluginLoadError: a plugin fails; one line with its name and the cause.
        :raises PluginConflict: two plugins claim one name, or one engine id.
        """
        request = Request(explicit, environment, installed)
        there = plugin_sources.look() if request.looks else Installed()
        plugins = cls(strict=strict, keep_going=keep_going)
        plugins.is_complete = installed
        plugins._fill(select(request, there))
        return plugins

    @classmethod
    def for_backend(
        cls,
        given: Collection[str],
        *,
        explicit: Sequence[str] = (),
        environment: Sequence[str] = (),
        keep_going: bool = False,
    ) -> Plugins:
        """Find and register the plugins that have the backend, and the named ones.

        All others, however broken or slow, are left alone until :meth:`complete` is called: by
        :meth:`make_server` if none of these has the backend, and for whatever else is missing.

        :param given: names of the given settings; the entry points of group ``roost.backends`` say
            which plugin's backend they choose.
        :param explicit: as in :meth:`load`.
        :param environment: as in :meth:`load`.
        :param keep_going: as in :meth:`load`.
        """
        request = Request(explicit, environment)
        there = plugin_sources.look()
        plugins = cls(strict=False, keep_going=keep_going)

        def more() -> Plugins:
            everything = cls(strict=False, keep_going=keep_going)
            everything.is_complete = True
            # A file would be run again, and a class instantiated again.
            known = {record.candidate.location: record.plugin for record in plugins._live()}
            everything._fill(select(request, there), known)
            return everything

        plugins._more = more
        plugins._unloaded = {one.name for one in there.plugins}
        plugins._fill(select(request, there, there.for_backend(given)))
        return plugins

    def complete(self) -> Plugins:
        """Return the set with all installed plugins; itself unless :meth:`for_backend` made it.

        :raises PluginError: as :meth:`load` does.
        """
        if self._more is None:
            return self
        if self._completed is None:
            self._completed = self._more()
        return self._completed

    def _fill(self, choice: Choice, known: Mapping[str, object] | None = None) -> None:
        for record, conflict in choice.others:
            if conflict is None:
                self._records.append(record)
            else:
                self._fail(record, conflict)
        for candidate in choice.winners:
            self._load_one(candidate, known or {})

    def _load_one(self, candidate: Candidate, known: Mapping[str, object]) -> None:
        record = Record(candidate)
        try:
            plugin = known.get(candidate.location)
            self._admit(record, plugin_sources.load(candidate) if plugin is None else plugin)
        except PluginError as error:
            self._fail(record, error)

    def _fail(self, record: Record, error: PluginError) -> None:
        """Raise for a named plugin; record an installed one as broken."""
        if not self._keep_going and (self._strict or record.is_named):
            raise error
        record.ends(PluginStatus.BROKEN, str(error), error.__cause__)
        record.failure = error
        if record not in self._records:
            self._records.append(record)

    def refuse_broken(self, *, strict: bool) -> None:
        """Raise what a set that kept going has recorded.

        :param strict: as in :meth:`load`.
        :raises PluginError: the first broken plugin's.
        """
        for record in self._records:
            if record.failure is not None and (strict or record.is_named):
                raise record.failure

    # -- registration --------------------------------------------------------------------------

    def register(self, plugin: object, name: str) -> None:
        """Register an object, a module or a class (which is instantiated), last in order.

        :raises PluginLoadError: it cannot be a plugin; nothing of it is registered.
        :raises PluginConflict: the name, the object or its engine id already exists.
        """
        location = getattr(plugin, "__name__", None) or type(plugin).__qualname__
        candidate = Candidate(name, Source.REGISTERED, name, location, find=lambda: plugin)
        for record in self._live():
            if record.candidate.name == name or record.plugin is plugin:
                raise PluginConflict(
                    f"plugin {candidate.described} is already registered: "
                    f"{record.candidate.described}"
                )
        self._admit(Record(candidate), plugin_sources.load(candidate))

    def _admit(self, record: Record, plugin: object) -> None:
        """Register all of a plugin or nothing.

        pluggy may fail half-way, and what it has registered would still be called.
        """
        candidate = record.candidate
        with telling_ctrl_c() as was_pressed:
            try:
                if candidate.is_factory:
                    plugin = plugin_checks.adapted(self._manager, plugin)
                found = plugin_checks.check(self._manager, plugin)
                engine = self._engine(candidate, plugin, found)
                self._check_distinct(candidate, plugin)
                record.settings = _declared(candidate, found)
                declared.check_distinct(record, self._live())
                self._manager.register(plugin, candidate.name)
                self._manager.check_pending()
            except BaseException as error:
                self._withdraw(candidate.name, plugin)
                is_ctrl_c = isinstance(error, KeyboardInterrupt) and was_pressed()
                if is_ctrl_c or isinstance(error, PluginConflict):
                    raise
                what = plugin_sources.told(error, candidate.location)
                raise PluginLoadError(f"plugin {candidate.described}: {what}") from error
        record.hooks = tuple(sorted({one.hook for one in found}))
        record.plugin, record.engine = plugin, engine
        self._records.append(record)

    def _withdraw(self, name: str, plugin: object) -> None:
        if self._manager.get_plugin(name) is plugin:
            self._manager.unregister(name=name)

    def _live(self) -> list[Record]:
        return [record for record in self._records if record.status is PluginStatus.OK]

    def _check_distinct(self, candidate: Candidate, plugin: object) -> None:
        for record in self._live():
            if record.plugin is plugin:  # one object under two names: the later name wins
                self._withdraw(record.candidate.name, plugin)
                record.ends(PluginStatus.REPLACED, f"by the same object, {candidate.described}")
            elif record.plugin == plugin:
                raise PluginLoadError(
                    f"it equals plugin {record.candidate.described}, and plugins must be "
                    "distinct; declare the class with @attrs.define(eq=False)"
                )

    def _engine(
        self, candidate: Candidate, plugin: object, found: Sequence[Implementation]
    ) -> OfferedEngine | None:
        calls = {
            one.hook: _hook_call(one.hook, candidate.name, one.function)
            for one in found
            if one.hook in ENGINE_HOOKS
        }
        if "step" not in calls:
            return None
        engine_id = getattr(plugin, "engine_id", None)
        if engine_id is None:
            engine_id = candidate.name
        if not isinstance(engine_id, str) or ENGINE_ID.fullmatch(engine_id) is None:
            raise PluginLoadError(
                f"{engine_id!r} is not a valid engine id; set its engine_id to a text that "
                f"matches {ENGINE_ID.pattern}"
            )
        for record in self._live():
            taken = record.engine is not None and record.engine.engine_id == engine_id
            if taken and record.plugin is not plugin:
                raise PluginConflict(
                    f"two plugins have the engine {engine_id}: {record.candidate.described} and "
                    f"{candidate.described}; block one, for example with "
                    f"--plugin no:{record.candidate.name}"
                )
        max_steps = getattr(plugin, "max_steps", None)
        is_number = isinstance(max_steps, int) and not isinstance(max_steps, bool)
        if max_steps is not None and not (is_number and max_steps >= 0):
            raise PluginError(
                f"engine {engine_id}: max_steps must be a whole number of at least 0, "
                f"not {max_steps!r:.80}"
            )
        init, example = calls.get("init_snapshot"), getattr(plugin, "example_payload", None)
        return OfferedEngine.of(engine_id, calls["step"], init, max_steps, example)

    # -- what there is -------------------------------------------------------------------------

    def engines(self) -> Mapping[str, OfferedEngine]:
        """Return the engines by their ids, sorted."""
        found = [record.engine for record in self._live() if record.engine is not None]
        return MappingProxyType(
            {engine.engine_id: engine for engine in sorted(found, key=lambda one: one.engine_id)}
        )

    def options_for(self, engine_id: str) -> tuple[str, ...] | None:
        """Return the words with which `roost worker` finds an engine of this set.

        There are none for a plugin that is installed, or named by the setting; None if no plugin
        has the engine, or the program has registered it. One that is installed and not loaded is
        taken for an engine's by its name: without an id of its own, an engine has that of its
        plugin.
        """
        for record in self._live():
            if record.engine is not None and record.engine.engine_id == engine_id:
                return record.candidate.options
        return () if engine_id in self._unloaded else None

    def observers(self, *, timeout: float = DEFAULT_OBSERVER_SECONDS) -> Observers:
        """Return the observers as registered now.

        :param timeout: seconds that each call may take.
        """
        calls = [call for hook in OBSERVER_HOOKS for call in self._calls(hook)]
        return Observers(calls, timeout=timeout)

    def around_step(self) -> AroundStep:
        """Return the managers around every step, as registered now."""

        def rank(implementation: pluggy.HookImpl) -> tuple[int, int]:
            group = 0 if implementation.tryfirst else 2 if implementation.trylast else 1
            return group, order[implementation.plugin_name]

        order = {record.candidate.name: index for index, record in enumerate(self._live())}
        found = sorted(self._manager.hook.around_step.get_hookimpls(), key=rank)
        return AroundStep(_hook_call("around_step", one.plugin_name, one.function) for one in found)

    def reports(self) -> tuple[PluginReport, ...]:
        """Return a report on every plugin, including blocked, broken and replaced ones."""
        return tuple(record.report() for record in self._records)

    def vain_blocks(self) -> tuple[str, ...]:
        """Return a line for each ``no:NAME`` that blocks nothing: it may be misspelt."""
        return tuple(
            f"{record.candidate.text} blocks nothing: {record.error}"
            for record in self._records
            if record.status is PluginStatus.BLOCKED and not record.candidate.location
        )

    def _calls(self, hook: str) -> list[HookCall]:
        found: Iterable[pluggy.HookImpl] = getattr(self._manager.hook, hook).get_hookimpls()
        # pluggy lists them in the order of registration and calls from the end.
        return [_hook_call(hook, one.plugin_name, one.function) for one in found][::-1]

    # -- settings ------------------------------------------------------------------------------

    def declarations(self) -> tuple[type[Declaration], ...]:
        """Return the classes in which these plugins declare their settings."""
        return tuple(kind for record in self._live() for kind in record.settings)

    def declarations_of(self, name: str) -> tuple[type[Declaration], ...]:
        """Return those of one plugin; none if it is not loaded."""
        own = [record.settings for record in self._live() if record.candidate.name == name]
        return tuple(kind for settings in own for kind in settings)

    def check_settings(self, settings: Settings) -> None:
        """Read all settings that these plugins declare, and check names that nothing declares.

        A set without all plugins leaves names alone that may be others', or loads all plugins.

        :raises SettingsError: a value cannot be read, or a program, an option or a file has an
            undeclared name. An undeclared variable only causes a warning.
        """
        kinds = self.declarations()
        unknown, known = judging.check(settings, kinds), judging.names(kinds)
        if self.is_complete:
            judging.judge(unknown, known, self._absent())
        elif self._more is not None and judging.may_be_typos(unknown, known):
            self.complete().check_settings(settings)

    # -- providers -----------------------------------------------------------------------------

    def make_server(self, settings: Settings) -> Server:
        """Return the server that the settings choose, not yet opened.

        :raises SettingsError: no plugin accepts them.
        :raises PluginError: no plugin offers backends, or one of them fails.
        """
        calls = self._calls("backend")
        if self._more is not None:
            server = plugin_providers.offered_backend(calls, settings)
            return self.complete().make_server(settings) if server is None else server
        return plugin_providers.backend(calls, settings, self._absent(), self.declarations())

    def make_artifact_store(self, settings: Settings) -> ArtifactStore:
        """Return the artifact store.

        :raises PluginError: no plugin offers one, or one of them fails.
        """
        if self._more is not None:
            return self.complete().make_artifact_store(settings)
        calls = self._calls("artifact_store")
        return plugin_providers.artifact_store(calls, settings, self._absent())

    def make_workspaces(self, settings: Settings) -> Workspaces:
        """Return the workspaces; nothing is created yet.

        If no plugin offers any, the result raises an error that says why when it is used.

        :raises PluginError: a plugin fails.
        """
        if self._more is not None:
            return self.complete().make_workspaces(settings)
        calls = self._calls("workspace")
        return plugin_providers.workspaces(calls, settings, self._absent())

    def _absent(self) -> list[str]:
        out = (PluginStatus.BLOCKED, PluginStatus.BROKEN)
        return [
            f"{record.candidate.name} is {record.status}"
            for record in self._records
            if record.status in out
        ]

    def register_commands(self, cli: click.Group) -> None:
        """Let each plugin add its commands; a name that already exists is refused.

        A plugin that fails adds nothing, and is treated as if it had failed to load.

        :raises PluginError: one line with its name and the cause.
        """
        for call in self._calls("register_commands"):
            record = next(one for one in self._live() if one.candidate.name == call.plugin_name)
            try:
                plugin_providers.add_commands(call, cli, record.candidate)
            except PluginError as error:
                self._withdraw(record.candidate.name, record.plugin)
                record.ends(PluginStatus.BROKEN, str(error), error.__cause__)
                self._fail(record, error)


def _hook_call(hook: str, plugin_name: str, function: Callable[..., Any]) -> HookCall:
    return HookCall(hook, plugin_name, function, plugin_checks.argument_names(function))


def _declared(
    candidate: Candidate, found: Sequence[Implementation]
) -> tuple[type[Declaration], ...]:
    calls = [one for one in found if one.hook == "register_settings"]
    return tuple(
        kind
        for one in calls
        for kind in declared.ask(_hook_call(one.hook, candidate.name, one.function))
    )
