"""What requests say: how each field is read, and what the OpenAPI document says of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import attrs

from roost_core.errors import InvalidInput
from roost_core.models import (
    LABEL_KEY,
    LABEL_VALUE,
    MAX_DELAY_SECONDS,
    MAX_LABELS,
    MAX_RESOURCES,
    RESOURCE,
    Json,
)

_T = TypeVar("_T")
REQUIRED: Final = attrs.NOTHING


@attrs.frozen(eq=False)
class Kind:
    """One kind of values.

    :ivar schema: its JSON Schema.
    :ivar check: returns the value; raises ``ValueError`` with what is expected.
    :ivar of_text: the same for a text of a URL.
    """

    schema: Mapping[str, Json]
    check: Callable[[Json], Any]
    of_text: Callable[[str], Any]


def given(
    kind: Kind, about: str, *, default: Any = REQUIRED, least: Any = None, example: Json = None
) -> Any:
    """Return a field of what a request says.

    :param about: what it is, for people.
    """
    more = {} if least is None else {"minimum": least}
    return attrs.field(
        default=default,
        metadata={"kind": kind, "about": about, "example": example, "more": more},
    )


def text(most: int = 200, pattern: str | None = None) -> Kind:
    """Return the kind of texts, at most this long."""

    def check(value: Json) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= most:
            raise ValueError(f"expected a text of 1 to {most} characters")
        if pattern is not None and re.fullmatch(pattern, value) is None:
            raise ValueError(f"expected what fits {pattern}")
        return value

    more = {} if pattern is None else {"pattern": f"^{pattern}$"}
    return Kind({"type": "string", "minLength": 1, "maxLength": most, **more}, check, check)


def name(pattern: re.Pattern[str], most: int) -> Kind:
    """Return the kind of texts that the core checks by a pattern, and says what it requires."""
    found = text(most)
    return attrs.evolve(found, schema={**found.schema, "pattern": f"^{pattern.pattern}$"})


def whole(least: int, most: int) -> Kind:
    """Return the kind of whole numbers between two."""
    words = f"expected a whole number from {least} to {most}"

    def check(value: Json) -> int:
        # In JSON, 1.0 is one as well.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(words)
        return value

    def of_text(value: str) -> int:
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 20):
            raise ValueError(words)
        return check(int(value))

    return Kind({"type": "integer", "minimum": least, "maximum": most}, check, of_text)


def _seconds(value: Json) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_DELAY_SECONDS:  # which NaN is not, either
        raise ValueError(f"expected a number from 0 to {MAX_DELAY_SECONDS:.0f}")
    return float(value)


def _no_text(_: str) -> Any:
    raise ValueError("expected it in the body")


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def _flag_text(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError("expected true or false")
    return value == "true"


def _time(value: Json) -> datetime:
    words = "expected a time such as 2026-01-31T12:00:00Z"
    if not isinstance(value, str) or len(value) > 40 or "T" not in value.upper():
        raise ValueError(words)
    try:
        found = datetime.fromisoformat(value.upper())
    except ValueError:
        raise ValueError(words) from None
    if found.tzinfo is None:
        raise ValueError("expected a time with a zone, such as 2026-01-31T12:00:00Z")
    return found


def _words(value: Json) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("expected a list of texts")
    return value


def _labels(value: Json) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError("expected an object whose values are texts")
    return value


QUERY: Final = Kind(
    {"type": "string", "maxLength": 4000},
    lambda value: _query(value),
    lambda value: _query(value),
)
SECONDS: Final = Kind(
    {"type": "number", "minimum": 0, "maximum": MAX_DELAY_SECONDS}, _seconds, _no_text
)
FLAG: Final = Kind({"type": "boolean"}, _flag, _flag_text)
TIME: Final = Kind({"type": "string", "format": "date-time"}, _time, _no_text)
# What is in them is checked by the core.
WORDS: Final = Kind(
    {
        "type": "array",
        "maxItems": MAX_RESOURCES,
        "items": {"type": "string", "pattern": f"^{RESOURCE.pattern}$"},
    },
    _words,
    _no_text,
)
LABELS: Final = Kind(
    {
        "type": "object",
        "maxProperties": MAX_LABELS,
        "propertyNames": {"pattern": f"^{LABEL_KEY.pattern}$"},
        "additionalProperties": {"type": "string", "pattern": f"^{LABEL_VALUE.pattern}$"},
    },
    _labels,
    _no_text,
)
ANYTHING: Final = Kind({}, lambda value: value, _no_text)


def _query(value: Json) -> str:
    if not isinstance(value, str) or len(value) > 4000:
        raise ValueError("expected a query of at most 4000 characters")
    return value


def one_of(names: type[Any]) -> Kind:
    """Return the kind of the values of an enumeration."""
    values = [str(one.value) for one in names]

    def check(value: Json) -> Any:
        if value not in values:
            raise ValueError(f"expected one of {', '.join(values)}")
        return names(value)

    return Kind({"type": "string", "enum": values}, check, check)


def read_query(kind: type[_T], found: Mapping[str, list[str]]) -> _T:
    """Read what a URL asks for.

    :raises InvalidInput: a parameter is unknown, missing, given twice, or cannot be read.
    """
    one: dict[str, Json] = {}
    for name, values in found.items():
        if len(values) > 1:
            raise InvalidInput(f"{name}: it was given {len(values)} times")
        one[name] = values[0]
    return cast("_T", _read(kind, one, lambda known: known.of_text))


def read_body(kind: type[_T], body: Json) -> _T:
    """Read what a body says.

    :raises InvalidInput: it is no object, or a field is unknown, missing, or cannot be read.
    """
    if not isinstance(body, dict):
        raise InvalidInput("the body is no JSON object")
    return cast("_T", _read(kind, body, lambda known: known.check))


def _read(
    kind: type[Any], found: Mapping[str, Json], how: Callable[[Kind], Callable[[Any], Any]]
) -> Any:
    fields = {field.name: field for field in attrs.fields(kind)}
    values = {}
    for name, value in found.items():
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise InvalidInput(f"there is no {name!r:.80} here; known are: {known}")
        try:
            values[name] = how(fields[name].metadata["kind"])(value)
        except ValueError as error:
            raise InvalidInput(f"{name}: {error}") from None
    for name, field in fields.items():
        if field.default is REQUIRED and name not in values:
            raise InvalidInput(f"{name} is missing")
    return kind(**values)
