"""What a declaration of settings is, and the table of all declared settings."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Protocol, TypeVar, cast

import attrs

from roost_core.errors import SettingsError
from roost_core.settings.given import Given
from roost_core.wording.redaction import without
from roost_core.wording.secrets import HIDDEN

_T = TypeVar("_T")

#: Environment variables with this prefix are ours, and an unknown one is likely a typo.
ENV_PREFIX: Final = "ROOST_"
#: Except these, which are left to plugins and scripts.
FOREIGN_PREFIX: Final = "ROOST_X_"
#: Names the settings file; not a setting itself.
CONFIG_VARIABLE: Final = "ROOST_CONFIG"

#: These namespaces would not be read, or belong to the core.
_RESERVED: Final = ("x", "config", "roost")
_NAMESPACE: Final = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*"
_FIELD: Final = r"[a-z0-9]+(?:_[a-z0-9]+)*"
_DECLARED: Final = "roost_setting"


class On(enum.Enum):
    """Which commands have an option for a setting. It always has a variable and a key in a file."""

    EVERY_COMMAND = "every command"
    WORKER = "worker"
    NOWHERE = "nowhere"


class Declaration(Protocol):
    """A class that declares a plugin's settings: an attrs class with defaults for all fields."""

    namespace: ClassVar[str]


@attrs.frozen(eq=False, repr=False)
class Declared:
    """One field of a declaration.

    :ivar name: the setting's own name, namespace included.
    :ivar shown: what people see of a value.
    """

    name: str
    field: attrs.Attribute[Any]
    parse: Callable[[Any], Any]
    help: str
    metavar: str
    on: On
    shown: Callable[[Any], str]
    is_secret: bool

    def read(self, given: Given) -> Any:
        """Return what was given as the setting's value.

        :raises SettingsError: it cannot be read; the text says where it was given, and has no
            secret.
        """
        try:
            return self.parse(given.value)
        except Exception as error:
            if self.is_secret:
                # The cause is left out: its text may contain the value.
                text = f"expected {self.metavar}; what was found is not shown"
                raise SettingsError(f"{given.where}: {text}") from None
            # Any other error is a fault of the parser, and must not end what only reads settings.
            is_told = isinstance(error, ValueError | TypeError)
            text = str(error) if is_told else f"expected {self.metavar} ({type(error).__name__})"
            raise SettingsError(f"{given.where}: {text}") from error


def setting(
    default: Any,
    parse: Callable[[Any], Any],
    help: str,
    metavar: str,
    *,
    on: On = On.NOWHERE,
    shown: Callable[[Any], str] | None = None,
    secret: bool = False,
) -> Any:
    """Declare a setting: a field of an attrs class.

    :param default: the value if nothing is given; it is not parsed.
    :param parse: makes the value from a string, a TOML value or a program's value; it raises
        ``ValueError`` with what it expected. :mod:`roost_core.settings` has the usual ones.
    :param help: a sentence for help and documentation.
    :param metavar: the placeholder for the value in help, such as ``URL``.
    :param on: which commands have an option for it.
    :param shown: what people see of a value, such as a URL without its password;
        :func:`roost_core.wording.redaction.redact` does that.
    :param secret: the value is never shown.
    """
    if secret:
        shown = _hidden
    metadata = {
        _DECLARED: {
            "parse": parse,
            "help": help,
            "metavar": metavar,
            "on": on,
            "shown": shown or as_text,
            "is_secret": secret,
        }
    }
    # Settings appear in logs and tracebacks as a whole.
    how: Any = True if shown is None else lambda value: repr(shown(value))
    return attrs.field(default=default, metadata=metadata, repr=how)


@functools.cache
def fields_of(kind: type, namespace: str = "") -> dict[str, Declared]:
    """Return the fields that a class declares, by setting name, in order."""
    prefix = f"{namespace}_" if namespace else ""
    return {
        prefix + field.name: Declared(prefix + field.name, field, **field.metadata[_DECLARED])
        for field in attrs.fields(kind)
        if _DECLARED in field.metadata
    }


def declared(kind: type[Declaration]) -> dict[str, Declared]:
    """Return the fields that a plugin's class declares, by setting name."""
    return fields_of(kind, kind.namespace)


def parsed(kind: type[_T], extra: Mapping[str, Given]) -> _T:
    """Return a plugin's settings from the given values.

    :raises SettingsError: a value cannot be read, or the class refuses them together.
    """
    declaration = cast("type[Declaration]", kind)
    fields = declared(declaration)
    values = {
        one.field.name: one.read(extra[name]) for name, one in fields.items() if name in extra
    }
    try:
        return kind(**values)
    except Exception as error:  # noqa: BLE001 - a plugin's own check may raise anything
        secrets = [name for name, one in fields.items() if one.is_secret]
        text = secrets_out(extra, secrets, str(error)) or type(error).__name__
        # The cause is left out: its text may contain a secret.
        raise SettingsError(f"settings of {declaration.namespace}: {text}") from None


def refusal(kind: object) -> str | None:
    """Return why this is not a declaration of settings, or None if it is one."""
    if not isinstance(kind, type) or not attrs.has(kind):
        return f"{kind!r:.80} is not an attrs class"
    label = f"{kind.__module__}.{kind.__qualname__}"
    namespace = getattr(kind, "namespace", None)
    if not isinstance(namespace, str) or re.fullmatch(_NAMESPACE, namespace) is None:
        return (
            f"{label} needs a class attribute namespace, a string of lower-case letters, digits "
            f"and _, not {namespace!r:.80}"
        )
    if namespace.partition("_")[0] in _RESERVED:
        return f"{label}: the namespace {namespace} is not for plugins; take another one"
    fields = attrs.fields(kind)
    if not fields:
        return f"{label} declares no setting"
    for field in fields:
        if _DECLARED not in field.metadata:
            return f"{label}.{field.name} is not made by roost_core.settings.setting()"
        if re.fullmatch(_FIELD, field.name) is None or not field.init:
            return f"{label}.{field.name}: a setting's name has lower-case letters, digits and _"
    return None


def as_text(value: Any) -> str:
    """Return a value as people write it."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return ENV_PREFIX + name.upper()


def option(name: str) -> str:
    """Return the option of a setting, on commands that have it."""
    return "--" + name.replace("_", "-")


def rows(fields: Iterable[Declared]) -> list[dict[str, str]]:
    """Return the rows of a table for help and documentation, one per setting."""
    return [
        {
            "name": one.name,
            "variable": variable(one.name),
            "default": as_text(one.field.default),
            "help": one.help,
            "metavar": one.metavar,
            "on": one.on.value,
        }
        for one in fields
    ]


def secrets_out(extra: Mapping[str, Given], secrets: Iterable[str], text: str) -> str:
    """Return a text about settings without the secrets in their values.

    :param secrets: names of settings whose values are secret as a whole.
    """
    hidden = set(secrets)
    for name, given in extra.items():
        value = given.value
        if name in hidden:
            text = _without_secret(value, text)
        elif isinstance(value, str) and "://" in value:
            text = without(value, text)
    return text


def _without_secret(value: Any, text: str) -> str:
    """Return a text without a secret value: as it was given, as it was read, or on one line."""
    given = str(value)
    for one in (given, given.strip(), " ".join(given.split())):
        # A single digit would be found in every other word.
        if len(one) > (0 if isinstance(value, str) else 2):
            text = text.replace(one, HIDDEN)
    return text


def _hidden(value: Any) -> str:
    return HIDDEN if value else ""
