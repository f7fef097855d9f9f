"""Every setting, declared once.

The fields of :class:`Settings` are the table: each has its type, default,
environment variable and help text, and the command line, the documentation and
``roost doctor`` read them from here. The command line wins over the
environment, that over a file, that over the default. The file is read only when
somebody names it: a folder one happens to stand in decides nothing.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from roost_core.errors import SettingsError
from roost_core.values import Value
from roost_core.wording.redaction import redact
from roost_core.wording.suggestions import did_you_mean

#: Environment variables with this prefix are ours, and an unknown one is likely a typo.
ENV_PREFIX: Final = "ROOST_"
#: Except these, which are left to plugins and scripts.
FOREIGN_PREFIX: Final = "ROOST_X_"
#: Names the settings file; not a setting itself.
CONFIG_VARIABLE: Final = "ROOST_CONFIG"

#: The servers' URLs that the backend which ships takes.
SERVER_URLS: Final = "redis://, rediss://, unix:// or redis+sentinel://"
#: What Kubernetes sets by itself in each pod beside a service whose name starts with "roost".
_KUBERNETES: Final = r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?)$"
_log: Final = logging.getLogger(__name__)
#: Unknown variables that this process has warned of.
_warned: Final[set[str]] = set()

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a text")
    return value.strip()


def _name(value: Any) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise ValueError(f"expected 1 to 64 letters, digits, '_', '.' or '-', found {value!r}")
    return value


def _path(value: Any) -> Path | None:
    if value in ("", None):
        return None
    if not isinstance(value, str | os.PathLike):
        raise ValueError("expected a path")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{value} names nobody's home folder") from error


def _list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
        raise ValueError("expected a list of texts")
    return tuple(one.strip() for one in value if one.strip())


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError(f"expected yes or no, found {value!r}")


def _whole(minimum: int, maximum: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, bool | float):
            raise ValueError(f"expected a whole number, found {value!r}")
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise ValueError(f"expected a whole number, found {value!r:.80}") from None
        if not minimum <= number <= maximum:
            shown = number if abs(number) < 10**20 else "a huge number"
            raise ValueError(f"expected {minimum} to {maximum}, found {shown}")
        return number

    return parse


def _seconds(minimum: float) -> Callable[[Any], float]:
    def parse(value: Any) -> float:
        if isinstance(value, bool):
            raise ValueError(f"expected a number of seconds, found {value!r}")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"expected a number of seconds, found {value!r:.80}") from None
        # Written so that NaN fails too.
        if not minimum <= number <= 10 * 365 * 86400:
            raise ValueError(f"expected {minimum} to 315360000 seconds, found {value}")
        return number

    return parse


def _optional_seconds(value: Any) -> float | None:
    if value is None or str(value).strip().lower() in {"", "never"}:
        return None
    return _seconds(0)(value)


def _choice(*words: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(f"expected {' or '.join(words)}, found {value!r}")
        return str(value)

    return parse


def _setting(
    default: Any,
    parse: Callable[[Any], Any],
    help: str,
    metavar: str,
    shown: Callable[[Any], str] | None = None,
) -> Any:
    metadata = {"parse": parse, "help": help, "metavar": metavar}
    return attrs.field(default=default, metadata=metadata, repr=shown or True)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Settings(Value):
    """One process's settings. Make it with :func:`load`, or directly in tests."""

    redis_url: str = _setting(
        "",
        _text,
        f"Server to use: {SERVER_URLS}. Empty: Roost runs its own server in the home folder.",
        "URL",
        # Settings appear in logs and tracebacks as a whole.
        shown=lambda url: repr(redact(url)),
    )
    queue: str = _setting("default", _name, "Name of the queue.", "NAME")
    redis_prefix: str = _setting("roost", _name, "First part of every key.", "NAME")
    namespace: str = _setting(
        "default", _name, "Separates tenants on one server; part of every key.", "NAME"
    )
    home: Path = _setting(
        Path(".roost"),
        lambda value: _path(value) or Path(".roost"),
        "Folder for the embedded server's data, artifacts and workspaces.",
        "DIR",
    )
    artifact_root: Path | None = _setting(
        None, _path, "Folder for artifacts. Empty: artifacts/ in the home folder.", "DIR"
    )
    workspace_source: Path | None = _setting(
        None, _path, "Git repository that workspaces are made from. Empty: none.", "DIR"
    )
    plugins: tuple[str, ...] = _setting(
        (),
        _list,
        "Plugins to load, separated by commas: an entry point, pkg.module[:attr], "
        "a path to a .py file, or no:NAME to block one.",
        "LIST",
    )
    lease_ttl: float = _setting(
        15.0, _seconds(0.2), "Seconds until a dead worker's work is taken over.", "SECONDS"
    )
    drain_timeout: float = _setting(
        30.0, _seconds(0), "Seconds that steps may still take when a worker stops.", "SECONDS"
    )
    wait_for_server: float | None = _setting(
        None,
        _optional_seconds,
        "Seconds that a worker waits for a server that is away when it starts; "
        "never: it does not give up.",
        "SECONDS|never",
    )
    stuck_after: float = _setting(
        300.0,
        _seconds(0),
        "Seconds after which a worker whose event loop hangs ends itself; 0: never.",
        "SECONDS",
    )
    concurrency: int = _setting(10, _whole(1, 100_000), "Work items a worker runs at a time.", "N")
    slice_steps: int = _setting(
        50,
        _whole(1, 1_000_000_000),
        "Most steps that one claim runs before others have their turn.",
        "N",
    )
    slice_seconds: float = _setting(
        5.0, _seconds(0), "Longest time one claim runs before others have their turn.", "SECONDS"
    )
    retention: float = _setting(
        7 * 86400.0, _seconds(0), "Seconds that done and cancelled work is kept.", "SECONDS"
    )
    dead_letter_retention: float | None = _setting(
        None,
        _optional_seconds,
        "Seconds that dead letters are kept; never: for good.",
        "SECONDS|never",
    )
    events_kept: int = _setting(
        100_000,
        _whole(100, 1_000_000_000),
        "About how many events the queue's event stream keeps.",
        "N",
    )
    events_bytes: int = _setting(
        64 << 20,
        _whole(1 << 20, 1 << 40),
        "About how many bytes of the server's memory the events may take; the oldest go.",
        "BYTES",
    )
    embedded_fsync: str = _setting(
        "everysec",
        _choice("everysec", "always"),
        "When the embedded server's log reaches the disk. Either way kill -9 loses "
        "nothing; everysec may lose a second when the machine loses power.",
        "everysec|always",
    )
    embedded_idle: float = _setting(
        20.0, _seconds(1), "Seconds after its last user that the embedded server stops.", "SECONDS"
    )
    trust_home: bool = _setting(
        False,
        _bool,
        "Whether to start the embedded server on data that this user's Roost did not make, "
        "such as a backup. Said once, it is remembered.",
        "yes|no",
    )
    allow_private_addresses: bool = _setting(
        False,
        _bool,
        "Whether engines may connect to addresses that are not public, such as this machine.",
        "yes|no",
    )

    def resolved_artifact_root(self) -> Path:
        """Return the folder for artifacts."""
        return self.artifact_root or self.home / "artifacts"


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return ENV_PREFIX + name.upper()


def table() -> list[dict[str, str]]:
    """Return the declaration table for help and documentation, one row a setting."""
    return [
        {
            "name": field.name,
            "variable": variable(field.name),
            "default": _shown(field.default),
            "help": field.metadata["help"],
            "metavar": field.metadata["metavar"],
        }
        for field in attrs.fields(Settings)
    ]


def _shown(default: Any) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return str(default)


def load(
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Settings:
    """Gather the settings of this process.

    :param overrides: from the command line; a value of None counts as not given.
    :param environ: the environment; this process's own if not given.
    :param config: a TOML file, else the one that ``ROOST_CONFIG`` names, else none.
    :raises SettingsError: a key is unknown or a value malformed; the text says which.
    """
    environ = os.environ if environ is None else environ
    try:
        named = config or _path(environ.get(CONFIG_VARIABLE, ""))
    except ValueError as error:
        raise SettingsError(f"{CONFIG_VARIABLE}: {error}") from error
    values = _from_file(named)
    values.update(_from_environment(environ))
    values.update(
        (name, _parsed(name, value, f"option {name}"))
        for name, value in (overrides or {}).items()
        if value is not None
    )
    return Settings(**values)


def state_folder(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the user's folder for what Roost remembers beside the data; None if nobody has one.

    It is ``roost`` in ``XDG_STATE_HOME``, or in ``~/.local/state``.
    """
    environ = os.environ if environ is None else environ
    named = Path(environ.get("XDG_STATE_HOME", ""))
    try:
        root = named if named.is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return root / "roost" if root.is_absolute() else None


def _fields() -> dict[str, attrs.Attribute[Any]]:
    return {field.name: field for field in attrs.fields(Settings)}


def _parsed(name: str, value: Any, origin: str) -> Any:
    field = _fields().get(name)
    if field is None:
        raise SettingsError(f"{origin}: unknown setting{did_you_mean(name, _fields())}")
    try:
        return field.metadata["parse"](value)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{origin}: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = {variable(name): name for name in _fields()}
    values = {}
    for key in environ:
        if not key.startswith(ENV_PREFIX) or key.startswith(FOREIGN_PREFIX):
            continue
        if key in known:
            values[known[key]] = _parsed(known[key], environ[key], key)
        elif key != CONFIG_VARIABLE:
            _warn_unknown(key, known)
    return values


def _warn_unknown(key: str, known: Mapping[str, str]) -> None:
    """Warn once of a variable that is likely a typo; what Kubernetes sets is none."""
    if key in _warned or re.search(_KUBERNETES, key) is not None:
        return
    _warned.add(key)
    _log.warning(
        "%s: unknown setting%s; variables of your own may start with %s",
        key,
        did_you_mean(key, known),
        FOREIGN_PREFIX,
    )


def _from_file(path: Path | None) -> dict[str, Any]:
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
    return {name: _parsed(name, value, f"{path}, {name}") for name, value in content.items()}
