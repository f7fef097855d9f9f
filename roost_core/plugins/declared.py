"""The settings that plugins declare: checked, and each name owned by one plugin only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roost_core.errors import PluginConflict, PluginLoadError
from roost_core.plugins.calls import HookCall
from roost_core.plugins.reports import Record
from roost_core.settings.core import core_fields
from roost_core.settings.declaring import Declaration, declared, refusal, variable


def ask(call: HookCall) -> tuple[type[Declaration], ...]:
    """Return the classes in which a plugin declares its settings.

    :raises PluginLoadError: it names something else; the text lacks the plugin's name.
    """
    answer = call.function()
    if answer is None:
        return ()
    kinds = tuple(answer) if isinstance(answer, list | tuple) else (answer,)
    for kind in kinds:
        why = refusal(kind)
        if why is not None:
            raise PluginLoadError(f"register_settings: {why}")
    return kinds


def check_distinct(record: Record, others: Iterable[Record]) -> None:
    """Refuse settings whose names are taken.

    :raises PluginConflict: they belong to the core or another plugin; the text names both.
    """
    own = core_fields()
    names: dict[str, str] = {}
    for kind in record.settings:
        for name in declared(kind):
            if name in own:
                raise PluginConflict(
                    f"plugin {record.candidate.described}: the setting {name} is Roost's own; "
                    "take another namespace"
                )
            if name in names:
                raise PluginConflict(
                    f"plugin {record.candidate.described} declares the setting {name} twice"
                )
            names[name] = kind.namespace
    for other in others:
        taken = _taken(record.settings, other.settings)
        if taken is not None:
            raise PluginConflict(
                f"two plugins {taken}: {other.candidate.described} and "
                f"{record.candidate.described}; block one, for "
                f"example with --plugin no:{other.candidate.name}"
            )


def _taken(mine: Sequence[type[Declaration]], theirs: Sequence[type[Declaration]]) -> str | None:
    namespaces = {kind.namespace for kind in theirs}
    names = {name for kind in theirs for name in declared(kind)}
    for kind in mine:
        if kind.namespace in namespaces:
            return f"have settings of the namespace {kind.namespace}"
        for name in declared(kind):
            if name in names:
                return f"have the setting {name} ({variable(name)})"
    return None
