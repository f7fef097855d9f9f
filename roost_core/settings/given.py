"""Values given for settings that are not the core's own: kept unread, with their origin."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from roost_core.values import Value
from roost_core.wording.redaction import redact


class Origin(enum.Enum):
    """Where a value was given."""

    PROGRAM = "program"
    OPTION = "option"
    VARIABLE = "variable"
    FILE = "file"


@attrs.frozen(eq=False, repr=False)
class Given(Value):
    """One value, not yet read.

    :ivar where: the place, for errors: a variable's name, a file and its key, an option.
    """

    value: Any = attrs.field(repr=False)
    where: str = attrs.field(eq=False)
    origin: Origin = attrs.field(default=Origin.PROGRAM, eq=False)


class Extra(Mapping[str, Given]):
    """Values by setting name.

    Its repr shows the servers of URLs without their passwords, and only the names of all others:
    only the plugin knows what is secret.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {
            name: value if isinstance(value, Given) else Given(value, f"setting {name}")
            for name, value in values.items()
        }

    def __getitem__(self, name: str) -> Given:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values))

    def __repr__(self) -> str:
        return f"<{', '.join(f'{name}{_shown(one.value)}' for name, one in self._values.items())}>"


def _shown(value: Any) -> str:
    if not isinstance(value, str) or "://" not in value:
        return ""
    # The path may be the secret: that of a webhook is.
    scheme, separator, rest = redact(value).partition("://")
    return f"={scheme + separator + rest.partition('/')[0]!r}"


#: The type that :class:`~roost_core.settings.core.Settings` takes.
Extras: TypeAlias = Mapping[str, Any]
