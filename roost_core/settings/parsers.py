"""What reads a setting's value, whether it is a text or came from TOML or a program.

Each is a function that returns the value and raises ``ValueError`` with what it
expected. A plugin may bring functions of its own.
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
    """Read a text; blanks around it are left out.

    :raises ValueError: it is no text.
    """
    if not isinstance(value, str):
        raise ValueError("expected a text")
    return value.strip()


def name(value: Any) -> str:
    """Read a name that can be part of a key: 1 to 64 letters, digits, ``_``, ``.`` or ``-``.

    :raises ValueError: it is none.
    """
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise ValueError(f"expected 1 to 64 letters, digits, '_', '.' or '-', found {value!r}")
    return value


def path(value: Any) -> Path | None:
    """Read a path, ``~`` expanded; None for an empty text.

    :raises ValueError: it is no path, or names nobody's home folder.
    """
    if value in ("", None):
        return None
    if not isinstance(value, str | os.PathLike):
        raise ValueError("expected a path")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{value} names nobody's home folder") from error


def words(value: Any) -> tuple[str, ...]:
    """Read texts separated by commas, or a list of texts.

    :raises ValueError: it is neither.
    """
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
        raise ValueError("expected a list of texts")
    return tuple(one.strip() for one in value if one.strip())


def yes_no(value: Any) -> bool:
    """Read ``yes`` or ``no``, and what else people write for them.

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
    """Return what reads a whole number in a range, its ends included."""

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


def seconds(minimum: float) -> Callable[[Any], float]:
    """Return what reads a number of seconds, from a minimum to ten years."""

    def parse(value: Any) -> float:
        if isinstance(value, bool):
            raise ValueError(f"expected a number of seconds, found {value!r}")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"expected a number of seconds, found {value!r:.80}") from None
        # Written so that NaN fails too.
        if not minimum <= number <= _MAX_SECONDS:
            raise ValueError(f"expected {minimum} to {_MAX_SECONDS} seconds, found {value}")
        return number

    return parse


def optional_seconds(value: Any) -> float | None:
    """Read a number of seconds; None for ``never`` or an empty text."""
    if value is None or str(value).strip().lower() in {"", "never"}:
        return None
    return seconds(0)(value)


def choice(*choices: str) -> Callable[[Any], str]:
    """Return what reads one of these words."""

    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"expected {' or '.join(choices)}, found {value!r}")
        return str(value)

    return parse
