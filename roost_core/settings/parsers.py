"""Parsers of a setting's value, whether a string or a value from TOML or a program.

Each is a function that returns the value and raises ``ValueError`` with what it
expected. A plugin may have parsers of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
#: Ten years.
_MAX_SECONDS: Final = 10 * 365 * 86400


def text(value: Any) -> str:
    """Read a string; surrounding blanks are removed.

    :raises ValueError: it is not a string.
    """
    if not isinstance(value, str):
        raise ValueError("expected a string")
    return value.strip()


def label(most: int) -> Callable[[Any], str]:
    """Return a parser of a short text for people, of at most this many characters, or none."""

    def parse(value: Any) -> str:
        found = text(value)
        if len(found) > most or not found.isprintable():
            raise ValueError(f"expected at most {most} printable characters, found {found!r:.80}")
        return found

    return parse


def name(value: Any) -> str:
    """Read a name that can be part of a key: 1 to 64 letters, digits, ``_``, ``.`` or ``-``.

    :raises ValueError: it is not one.
    """
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise ValueError(f"expected 1 to 64 letters, digits, '_', '.' or '-', found {value!r}")
    return value


def path(value: Any) -> Path | None:
    """Read a path, ``~`` expanded; None for an empty string.

    :raises ValueError: it is not a path, or names an unknown user's home folder.
    """
    if value in ("", None):
        return None
    if not isinstance(value, str | os.PathLike):
        raise ValueError("expected a path")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{value} names an unknown user's home folder") from error


def words(value: Any) -> tuple[str, ...]:
    """Read strings separated by commas, or a list of strings.

    :raises ValueError: it is neither.
    """
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
        raise ValueError("expected a list of strings")
    return tuple(one.strip() for one in value if one.strip())


def yes_no(value: Any) -> bool:
    """Read ``yes`` or ``no``, and their usual variants.

    :raises ValueError: it is neither.
    """
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError(f"expected yes or no, found {value!r}")


def whole(minimum: int, maximum: int) -> Callable[[Any], int]:
    """Return a parser of whole numbers in a range, both ends included."""

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


def whole_or_zero(minimum: int, maximum: int) -> Callable[[Any], int]:
    """Return a parser for whole numbers within bounds, and 0."""
    bounded = whole(minimum, maximum)

    def parse(value: Any) -> int:
        try:
            return 0 if whole(0, maximum)(value) == 0 else bounded(value)
        except ValueError as error:
            raise ValueError(f"{error}, or 0") from error

    return parse


def seconds(minimum: float) -> Callable[[Any], float]:
    """Return a parser of a number of seconds, from a minimum to ten years."""

    def parse(value: Any) -> float:
        if isinstance(value, bool):
            raise ValueError(f"expected a number of seconds, found {value!r}")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"expected a number of seconds, found {value!r:.80}") from None
        # Written so that NaN fails, too.
        if not minimum <= number <= _MAX_SECONDS:
            raise ValueError(f"expected {minimum} to {_MAX_SECONDS} seconds, found {value}")
        return number

    return parse


def optional_seconds(value: Any) -> float | None:
    """Read a number of seconds; None for ``never`` or an empty string."""
    if value is None or str(value).strip().lower() in {"", "never"}:
        return None
    return seconds(0)(value)


def choice(*choices: str) -> Callable[[Any], str]:
    """Return a parser of one of these words."""

    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"expected {' or '.join(choices)}, found {value!r}")
        return str(value)

    return parse
