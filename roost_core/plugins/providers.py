"""Getting from plugins what they provide: backend, artifact store, workspaces, commands.

Each implementation is called separately, so that an error names its plugin.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.server import Server
from roost_core.errors import (
    PluginConflict,
    PluginError,
    PluginLoadError,
    RoostError,
    SettingsError,
)
from roost_core.plugins.calls import HookCall
from roost_core.plugins.errors import place, telling_ctrl_c
from roost_core.plugins.sources import Candidate, cause
from roost_core.settings.core import Settings
from roost_core.settings.declaring import Declaration, declared, variable
from roost_core.wording.redaction import redact
from roost_core.workspaces import NoWorkspaces, Workspaces

if TYPE_CHECKING:
    import click


def backend(
    calls: Sequence[HookCall],
    settings: Settings,
    absent: Sequence[str],
    kinds: Iterable[type[Declaration]],
) -> Server:
    """Return the first backend offered for these settings.

    :param absent: why other plugins are not tried, for the error's text.
    :param kinds: the settings that plugins declare, for the error's text.
    :raises SettingsError: no plugin accepts them.
    :raises PluginError: no plugin offers backends, or one fails.
    """
    found = offered_backend(calls, settings)
    if found is None:
        asked = _asked(calls, "a backend", absent)
        raise SettingsError(
            f"no plugin (asked: {asked}) has a backend for {_servers(settings, kinds)}"
        )
    return found


def offered_backend(calls: Sequence[HookCall], settings: Settings) -> Server | None:
    """Return the first backend offered, or None.

    :raises PluginError: a plugin fails.
    """
    found = _first(calls, settings)
    if found is None:
        return None
    call, made = found
    if not isinstance(made, Server):
        raise _wrong_type(call, made, "a Server")
    return made


def _servers(settings: Settings, kinds: Iterable[type[Declaration]]) -> str:
    """Return the requested servers: whatever is given as a URL, or for a URL."""
    known = {name: one for kind in kinds for name, one in declared(kind).items()}
    urls = [name for name, one in known.items() if one.metavar == "URL"]
    secrets = [name for name, one in known.items() if one.is_secret]
    given = {
        name: str(one.value)
        for name, one in settings.extra.items()
        if one.value and name not in secrets and (name in urls or "://" in str(one.value))
    }
    servers = " or ".join(f"the server {redact(value)}" for value in given.values())
    taken = "".join(f"; {variable(name)}: {known[name].help}" for name in given if name in known)
    return (servers or "a server of Roost's own") + taken


def artifact_store(
    calls: Sequence[HookCall], settings: Settings, absent: Sequence[str]
) -> ArtifactStore:
    """Return the first artifact store offered.

    :param absent: as in :func:`backend`.
    :raises PluginError: no plugin offers one, or one fails.
    """
    found = _first(calls, settings)
    if found is None:
        asked = _asked(calls, "an artifact store", absent)
        raise PluginError(f"no plugin has an artifact store for these settings (asked: {asked})")
    call, made = found
    if not isinstance(made, ArtifactStore):
        raise _wrong_type(call, made, "an ArtifactStore")
    return made


def workspaces(calls: Sequence[HookCall], settings: Settings, absent: Sequence[str]) -> Workspaces:
    """Return the first workspaces offered; if there are none, an object that raises when used.

    Not an error until then: most engines never need one.

    :param absent: as in :func:`backend`.
    :raises PluginError: a plugin fails.
    """
    found = _first(calls, settings)
    if found is None:
        if not settings.has("workspace_source"):
            return NoWorkspaces()
        if calls:
            asked = _asked(calls, "workspaces", absent)
            return NoWorkspaces(f"no plugin has workspaces for these settings (asked: {asked})")
        return NoWorkspaces(f"no plugin offers workspaces ({_missing(absent)})")
    call, made = found
    if not isinstance(made, Workspaces):
        raise _wrong_type(call, made, "a Workspaces")
    return made


def _first(calls: Sequence[HookCall], settings: Settings) -> tuple[HookCall, object] | None:
    for call in calls:
        made = _asked_for(call, settings)
        if made is not None:
            return call, made
    return None


def _asked_for(call: HookCall, settings: Settings) -> object:
    with telling_ctrl_c() as was_pressed:
        try:
            return call.function(*(settings for _ in call.names))
        except RoostError:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and was_pressed():
                raise
            where = place(error, getattr(call.function, "__module__", None) or "")
            text = cause(error, settings.without_secrets) + where
            raise PluginError(f"plugin {call.plugin_name}: {call.hook} raised {text}") from error


def _asked(calls: Sequence[HookCall], what: str, absent: Sequence[str]) -> str:
    if calls:
        return ", ".join(call.plugin_name for call in calls)
    raise PluginError(f"no plugin offers {what} ({_missing(absent)})")


def _missing(absent: Sequence[str]) -> str:
    return "; ".join(absent) or "none is installed"


def _wrong_type(call: HookCall, made: object, expected: str) -> PluginError:
    if inspect.iscoroutine(made):
        made.close()
    found = made.__name__ if inspect.isclass(made) else f"an object of {type(made).__name__}"
    return PluginError(f"plugin {call.plugin_name}: {call.hook} returned {found}, not {expected}")


def add_commands(call: HookCall, cli: click.Group, candidate: Candidate) -> None:
    """Let a plugin add its commands: all of them, or none if it fails.

    :raises PluginLoadError: it raised.
    :raises PluginConflict: it replaced or removed a command that was there.
    """
    before = dict(cli.commands)
    with telling_ctrl_c() as was_pressed:
        try:
            call.function(*(cli for _ in call.names))
            changed = [name for name in before if cli.commands.get(name) is not before.get(name)]
            if changed:
                raise PluginConflict(
                    f"plugin {candidate.described}: the command {min(changed)} already exists; "
                    "rename it"
                )
        except BaseException as error:
            cli.commands.clear()
            cli.commands.update(before)
            is_ctrl_c = isinstance(error, KeyboardInterrupt) and was_pressed()
            if is_ctrl_c or isinstance(error, PluginConflict):
                raise
            what = f"{cause(error)}{place(error, candidate.location)}"
            raise PluginLoadError(
                f"plugin {candidate.described}: register_commands raised {what}"
            ) from error
