"""Undeclared names: likely typos."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from roost_core.errors import SettingsError
from roost_core.settings.core import Settings, core_fields
from roost_core.settings.declaring import (
    FOREIGN_PREFIX,
    Declaration,
    declared,
    variable,
)
from roost_core.settings.given import Given, Origin
from roost_core.wording.suggestions import did_you_mean, is_slip

_log: Final = logging.getLogger(__name__)
#: Unknown variables that this process has warned about.
_warned: Final[set[str]] = set()


def check(settings: Settings, kinds: Iterable[type[Declaration]]) -> dict[str, Given]:
    """Read all that these classes declare; return what neither they nor the core declare.

    :raises SettingsError: a value cannot be read.
    """
    for kind in kinds:
        settings.of(kind)
    known = names(kinds)
    return {name: given for name, given in settings.extra.items() if name not in known}


def names(kinds: Iterable[type[Declaration]]) -> list[str]:
    """Return the names of all settings: the core's, and those that these classes declare."""
    return [*core_fields(), *(name for kind in kinds for name in declared(kind))]


def may_be_typos(unknown: Mapping[str, Given], known: Iterable[str]) -> bool:
    """Return whether all plugins are needed to judge the unknown names.

    A variable may be a setting of a plugin that is not loaded, unless it is one slip away from a
    known name.
    """
    return any(
        given.origin is not Origin.VARIABLE or is_slip(name, known)
        for name, given in unknown.items()
    )


def judge(unknown: Mapping[str, Given], known: Iterable[str], absent: Sequence[str] = ()) -> None:
    """Refuse undeclared names; warn once about each variable.

    :param known: all existing names.
    :param absent: plugins that are blocked or broken: a name in a file or variable may be theirs,
        and causes a warning only if it is one slip away from a known name.
    :raises SettingsError: a program, an option or a file has one.
    """
    for name, given in unknown.items():
        is_variable = given.origin is Origin.VARIABLE
        may_be_theirs = absent and given.origin in (Origin.VARIABLE, Origin.FILE)
        if may_be_theirs and not is_slip(name, known):
            continue
        names = [variable(one) for one in known] if is_variable else known
        hint = did_you_mean(given.where if is_variable else name, names)
        text = f"{given.where}: unknown setting{hint}"
        if absent:
            text += f" ({'; '.join(absent)})"
        if not is_variable and not may_be_theirs:
            raise SettingsError(text)
        if is_variable:
            end = "" if text.endswith("?") else "."
            text += f"{end} Variables of your own may start with {FOREIGN_PREFIX}"
        if given.where not in _warned:
            _warned.add(given.where)
            _log.warning("%s", text)
