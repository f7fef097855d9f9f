"""Where settings come from: the command line, the environment, a file. Nothing else reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from roost_core.errors import SettingsError
from roost_core.settings.core import Settings, core_fields
from roost_core.settings.declaring import CONFIG_VARIABLE, ENV_PREFIX, FOREIGN_PREFIX
from roost_core.settings.given import Given, Origin
from roost_core.settings.parsers import path

#: What Kubernetes itself sets in each pod next to a service whose name starts with "roost".
_KUBERNETES: Final = r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?)$"


def load(
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Settings:
    """Gather the settings of this process.

    Settings other than the core's own are kept as given: only the plugins know their names and what
    they mean.

    :param overrides: these win; a value of None counts as not given. One from the command line is a
        :class:`~roost_core.settings.given.Given`, so that an error names its option.
    :param environ: the environment; this process's own if not given.
    :param config: a TOML file, else the one that ``ROOST_CONFIG`` names, else none.
    :raises SettingsError: a value of the core's is malformed; the text says which.
    """
    environ = os.environ if environ is None else environ
    try:
        named = config or path(environ.get(CONFIG_VARIABLE, ""))
    except ValueError as error:
        raise SettingsError(f"{CONFIG_VARIABLE}: {error}") from error
    given = _from_file(named)
    given.update(_from_environment(environ))
    given.update(
        (name, value if isinstance(value, Given) else Given(value, f"setting {name}"))
        for name, value in (overrides or {}).items()
        if value is not None
    )
    own = core_fields()
    values = {name: own[name].read(one) for name, one in given.items() if name in own}
    extra = {name: one for name, one in given.items() if name not in own}
    return Settings(**values, extra=extra)


def with_overrides(settings: Settings, overrides: Mapping[str, Any]) -> Settings:
    """Return settings with others read over them, as :func:`load` reads options.

    :raises SettingsError: a value of the core's is malformed.
    """
    read = load(overrides, environ={})
    own = {name: getattr(read, name) for name in overrides if name in core_fields()}
    return settings.evolve(**own, **read.extra)


def state_folder(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the user's folder for what Roost remembers besides the data; None if there is none.

    It is ``roost`` in ``XDG_STATE_HOME``, or in ``~/.local/state``.
    """
    environ = os.environ if environ is None else environ
    named = Path(environ.get("XDG_STATE_HOME", ""))
    try:
        root = named if named.is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return root / "roost" if root.is_absolute() else None


def without_settings(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without settings, for a child that gets its own."""
    environ = os.environ if environ is None else environ
    return {key: value for key, value in environ.items() if not _is_ours(key)}


def _is_ours(key: str) -> bool:
    return key.startswith(ENV_PREFIX) and not key.startswith(FOREIGN_PREFIX)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    return {
        _name(key): Given(value, key, Origin.VARIABLE)
        for key, value in environ.items()
        if _is_ours(key) and key != CONFIG_VARIABLE and not _is_kubernetes(key, environ)
    }


def _name(key: str) -> str:
    rest = key.removeprefix(ENV_PREFIX)
    # No setting has capitals in its name: a variable in lower case is not a setting.
    return rest.lower() if rest == rest.upper() else rest


def _is_kubernetes(key: str, environ: Mapping[str, str]) -> bool:
    # A plugin may have a setting called port, which is a number. That of a service is one, too, but
    # never without the service's host.
    is_port = key.endswith("_PORT") and "://" not in environ[key]
    has_host = f"{key.removesuffix('PORT')}HOST" in environ and key.endswith("_SERVICE_PORT")
    return re.search(_KUBERNETES, key) is not None and (has_host or not is_port)


def _from_file(path: Path | None) -> dict[str, Given]:
    if path is None:
        return {}
    import tomllib  # lazily: few processes have a file

    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
    return {name: Given(value, f"{path}, {name}", Origin.FILE) for name, value in content.items()}
