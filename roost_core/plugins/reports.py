"""What became of each plugin."""

from __future__ import annotations

import enum

import attrs

from roost_core.errors import PluginError
from roost_core.plugins.engines import OfferedEngine
from roost_core.plugins.sources import Candidate, Source
from roost_core.settings.declaring import Declaration
from roost_core.values import Value


class PluginStatus(enum.StrEnum):
    """What became of a plugin."""

    OK = "ok"
    BLOCKED = "blocked"
    BROKEN = "broken"
    REPLACED = "replaced"


@attrs.frozen(eq=False, repr=False)
class PluginReport(Value):
    """One plugin, as ``roost plugins`` shows it.

    :ivar location: ``pkg.module[:attr]``, the path of a file, or an object's type.
    :ivar hooks: the hooks that it implements, sorted.
    :ivar error: why it is broken, or what blocks or replaces it.
    :ivar exception: what a broken plugin raised, with its traceback.
    """

    name: str
    status: PluginStatus
    source: Source
    location: str
    distribution: str | None = None
    version: str | None = None
    hooks: tuple[str, ...] = ()
    engine_id: str | None = None
    error: str | None = None
    exception: BaseException | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def home(self) -> str | None:
        """The distribution that it comes from, with its version."""
        if self.distribution is None:
            return None
        return f"{self.distribution} {self.version or ''}".strip()


@attrs.define(eq=False, repr=False)
class Record:
    """One plugin of a set, and what became of it.

    :ivar settings: the classes in which it declares its settings.
    :ivar failure: what to raise where a broken plugin must not be ignored.
    """

    candidate: Candidate
    status: PluginStatus = PluginStatus.OK
    plugin: object = None
    hooks: tuple[str, ...] = ()
    engine: OfferedEngine | None = None
    settings: tuple[type[Declaration], ...] = ()
    failure: PluginError | None = None
    error: str | None = None
    exception: BaseException | None = None

    def ends(
        self, status: PluginStatus, error: str, exception: BaseException | None = None
    ) -> None:
        """Record that it is no longer used, and why."""
        self.status, self.error, self.exception = status, error, exception
        self.plugin, self.hooks, self.engine, self.settings = None, (), None, ()

    @property
    def is_named(self) -> bool:
        """Whether this plugin was named."""
        return self.candidate.source is not Source.INSTALLED

    def report(self) -> PluginReport:
        """Return its report."""
        return PluginReport(
            name=self.candidate.name,
            status=self.status,
            source=self.candidate.source,
            location=self.candidate.location,
            distribution=self.candidate.distribution,
            version=self.candidate.version,
            hooks=self.hooks,
            engine_id=None if self.engine is None else self.engine.engine_id,
            error=self.error,
            exception=self.exception,
        )
