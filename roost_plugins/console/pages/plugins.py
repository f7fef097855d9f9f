"""The plugins of this process: what each adds, where it comes from, what is set."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Final

import attrs
from flask import Blueprint, render_template

from roost_core import Settings
from roost_core.errors import SettingsError
from roost_core.plugins.registry import Plugins
from roost_core.plugins.reports import PluginReport, PluginStatus
from roost_core.settings.core import core_fields
from roost_core.settings.declaring import Declared, declared, variable
from roost_plugins.console.here import here

blueprint: Final = Blueprint("plugins", __name__)

#: What is worth a look stands first.
_ORDER: Final = (
    PluginStatus.BROKEN,
    PluginStatus.REPLACED,
    PluginStatus.BLOCKED,
    PluginStatus.OK,
)


@attrs.frozen
class Set:
    """One setting.

    :ivar variable: the environment variable that sets it.
    :ivar value: as people may see it: a secret one is hidden.
    :ivar source: where it was given, if that is known.
    :ivar is_default: whether it has its usual value.
    :ivar problem: why it cannot be read.
    """

    name: str
    variable: str
    value: str
    source: str
    help: str
    is_default: bool
    problem: str = ""


@attrs.frozen
class PluginNow:
    """One plugin.

    :ivar traceback: of what a broken one raised.
    """

    report: PluginReport
    settings: Sequence[Set] = ()
    traceback: str = ""


@attrs.frozen
class PluginsView:
    """What the page shows.

    :ivar core: the settings that are no plugin's.
    :ivar vain: a line for each block that blocks nothing.
    :ivar problem: why the settings of plugins cannot be read, if that is so.
    """

    plugins: Sequence[PluginNow]
    core: Sequence[Set]
    vain: Sequence[str]
    problem: str = ""

    @property
    def broken(self) -> int:
        """How many plugins are broken."""
        return sum(one.report.status is PluginStatus.BROKEN for one in self.plugins)


def view_of(plugins: Plugins, settings: Settings) -> PluginsView:
    """Return what there is to show."""
    reports = sorted(plugins.reports(), key=lambda one: (_ORDER.index(one.status), one.name))
    problem = ""
    try:
        plugins.check_settings(settings)
    except SettingsError as error:
        problem = str(error)
    return PluginsView(
        [_plugin(one, plugins, settings) for one in reports],
        [_set(one, getattr(settings, one.field.name), settings) for one in core_fields().values()],
        plugins.vain_blocks(),
        problem,
    )


def _plugin(report: PluginReport, plugins: Plugins, settings: Settings) -> PluginNow:
    text = ""
    if report.exception is not None:
        text = settings.without_secrets("".join(traceback.format_exception(report.exception)))
    return PluginNow(report, _of_plugin(report.name, plugins, settings), text)


def _of_plugin(name: str, plugins: Plugins, settings: Settings) -> list[Set]:
    found = []
    for kind in plugins.declarations_of(name):
        try:
            values, problem = settings.of(kind), ""
        except SettingsError as error:
            # One that cannot be read spoils the others, whose values are not known then.
            values, problem = None, str(error)
        for key, one in declared(kind).items():
            given = settings.extra.get(key)
            value = one.field.default if values is None else getattr(values, one.field.name)
            where = "" if given is None else given.where
            found.append(_set(one, value, settings, where, problem if given else ""))
    return found


def _set(
    one: Declared, value: object, settings: Settings, source: str = "", problem: str = ""
) -> Set:
    shown = "" if problem else settings.without_secrets(one.shown(value))
    is_default = not problem and value == one.field.default
    return Set(one.name, variable(one.name), shown, source, one.help, is_default, problem)


@blueprint.get("/plugins")
def show() -> str:
    """Show them. This needs no server."""
    view = view_of(here().plugins, here().settings)
    return render_template("plugins.html", page="plugins", view=view, attention=view.broken)
