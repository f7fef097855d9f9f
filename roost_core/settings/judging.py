"""Names that nobody declares: likely typos."""

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
from roost_core.wording.suggestions import close_matches, did_you_mean

_log: Final = logging.getLogger(__name__)
#: Unknown variables that this process has warned of.
_warned: Final[set[str]] = set()
#: So like a known name is what is a typo rather than another plugin's setting.
_NEAR: Final = 0.8


def check(settings: Settings, kinds: Iterable[type[Declaration]]) -> dict[str, Given]:
    """Read all that these classes declare; return what neither they nor the core do.

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
    """Return whether anything unknown has to be judged by who knows all plugins.

    A variable may be a setting of a plugin that is not loaded, unless it is very like a known one.
    """
    return any(
        given.origin is not Origin.VARIABLE or close_matches(name, known, cutoff=_NEAR)
        for name, given in unknown.items()
    )


def judge(unknown: Mapping[str, Given], known: Iterable[str], absent: Sequence[str] = ()) -> None:
    """Refuse names that nobody declares; warn once of each variable.

    :param known: all names that there are.
    :param absent: plugins that are blocked or broken: what stands in a file may be theirs, and is
        warned of as well.
    :raises SettingsError: a program, an option or a file has one.
    """
    for name, given in unknown.items():
        is_variable = given.origin is Origin.VARIABLE
        names = [variable(one) for one in known] if is_variable else known
        hint = did_you_mean(given.where if is_variable else name, names)
        text = f"{given.where}: unknown setting{hint}"
        if absent:
            text += f" ({'; '.join(absent)})"
        if not is_variable and not (absent and given.origin is Origin.FILE):
            raise SettingsError(text)
        if is_variable:
            text += f"; variables of your own may start with {FOREIGN_PREFIX}"
        if given.where not in _warned:
            _warned.add(given.where)
            _log.warning("%s", text)
