"""The core's own settings, and those of plugins as they were given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from roost_core.models.checks import MAX_ACTOR
from roost_core.settings.declaring import (
    Declaration,
    Declared,
    On,
    declared,
    fields_of,
    parsed,
    rows,
    secrets_out,
    setting,
)
from roost_core.settings.given import Extra
from roost_core.settings.parsers import (
    label,
    name,
    optional_seconds,
    path,
    seconds,
    whole,
    whole_or_zero,
    words,
)
from roost_core.values import Value

_T = TypeVar("_T")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Settings(Value):
    """One process's settings. Make it with :func:`load`, or directly in tests.

    The fields are the core's own settings. Those of plugins are kept as given until :meth:`of`
    reads them.

    :ivar extra: what was given for settings other than the core's, by name.
    """

    queue: str = setting("default", name, "Name of the queue.", "NAME", on=On.EVERY_COMMAND)
    namespace: str = setting(
        "default",
        name,
        "Separates tenants on one server; part of every key.",
        "NAME",
        on=On.EVERY_COMMAND,
    )
    home: Path = setting(
        Path(".roost"),
        lambda value: path(value) or Path(".roost"),
        "Folder for the embedded server's data, artifacts and workspaces.",
        "DIR",
        on=On.EVERY_COMMAND,
    )
    plugins: tuple[str, ...] = setting(
        (),
        words,
        "Plugins to load, separated by commas: an entry point, pkg.module[:attr], "
        "a path to a .py file, or no:NAME to block one.",
        "LIST",
    )
    actor: str = setting(
        "",
        label(MAX_ACTOR),
        "Who cancels, pauses, retries, ... work, for people; nobody checks it. Empty: user@host.",
        "NAME",
    )
    lease_ttl: float = setting(
        15.0,
        seconds(0.2),
        "Seconds until a dead worker's work is taken over.",
        "SECONDS",
        on=On.WORKER,
    )
    drain_timeout: float = setting(
        30.0,
        seconds(0),
        "Seconds that steps may still take when a worker stops.",
        "SECONDS",
        on=On.WORKER,
    )
    wait_for_server: float | None = setting(
        None,
        optional_seconds,
        "Seconds that a starting worker waits for an unreachable server; "
        "never: it does not give up.",
        "SECONDS|never",
        on=On.WORKER,
    )
    stuck_after: float = setting(
        300.0,
        seconds(0),
        "Seconds after which a worker whose event loop hangs ends itself; 0: never.",
        "SECONDS",
        on=On.WORKER,
    )
    concurrency: int = setting(
        10, whole(1, 100_000), "Work items that a worker runs at a time.", "N", on=On.WORKER
    )
    slice_steps: int = setting(
        50,
        whole(1, 1_000_000_000),
        "Most steps that one claim runs before other work gets its turn.",
        "N",
        on=On.WORKER,
    )
    slice_seconds: float = setting(
        5.0,
        seconds(0),
        "Longest time that one claim runs before other work gets its turn.",
        "SECONDS",
        on=On.WORKER,
    )
    retention: float = setting(
        7 * 86400.0,
        seconds(0),
        "Seconds that done and cancelled work is kept.",
        "SECONDS",
        on=On.WORKER,
    )
    dead_letter_retention: float | None = setting(
        None,
        optional_seconds,
        "Seconds that dead letters are kept; never: they are kept for good.",
        "SECONDS|never",
        on=On.WORKER,
    )
    events_kept: int = setting(
        100_000,
        whole(100, 1_000_000_000),
        "About how many events the queue's event stream keeps.",
        "N",
    )
    events_bytes: int = setting(
        64 << 20,
        whole(1 << 20, 1 << 40),
        "About how many bytes of the server's memory the events may take; the oldest are dropped.",
        "BYTES",
    )
    history_versions: int = setting(
        50,
        whole(0, 10_000),
        "How many versions of each work item are kept to look back at; 0: none.",
        "N",
    )
    history_bytes: int = setting(
        1 << 20,
        whole(0, 64 << 20),
        "How many bytes of the server's memory the kept versions of a work item may take.",
        "BYTES",
    )
    large_values: int = setting(
        256 << 10,
        whole_or_zero(1 << 10, 8 << 20),
        "From how many bytes on a text in a snapshot is kept in the artifact store, where every "
        "worker of the queue reaches that; 0: never.",
        "BYTES",
        on=On.WORKER,
    )
    extra: Mapping[str, Any] = attrs.field(factory=dict, converter=Extra)
    _parsed: dict[type, Any] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    def of(self, kind: type[_T]) -> _T:
        """Return a plugin's own settings.

        :param kind: the class that declares them.
        :raises SettingsError: a value cannot be read; the text says where it was given.
        """
        found: _T | None = self._parsed.get(kind)
        if found is None:
            found = self._parsed[kind] = parsed(kind, self.extra)
        return found

    def has(self, name: str) -> bool:
        """Return whether a plugin's setting is given and not empty."""
        return name in self.extra and self.extra[name].value not in ("", None)

    def evolve(self, **changes: Any) -> Settings:
        """Return settings with these changed; plugins' settings by their whole names."""
        own = {name: value for name, value in changes.items() if name in core_fields()}
        extra = {name: value for name, value in changes.items() if name not in own}
        return attrs.evolve(self, extra={**self.extra, **extra}, **own)

    def without_secrets(self, text: str) -> str:
        """Return a foreign text without the secrets of these settings."""
        secrets = {
            name for kind in self._parsed for name, one in declared(kind).items() if one.is_secret
        }
        return secrets_out(self.extra, secrets, text)


def core_fields() -> dict[str, Declared]:
    """Return the core's own settings by their names."""
    return fields_of(Settings)


def table(*kinds: type[Declaration]) -> list[dict[str, str]]:
    """Return the table for help and documentation, one row per setting: the core's, then these."""
    return rows(
        [*core_fields().values(), *(one for kind in kinds for one in declared(kind).values())]
    )
