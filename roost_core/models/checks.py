"""What values of models may be: patterns, bounds, and checks that say what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from roost_core.errors import InvalidInput

WORK_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
ENGINE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
#: Visible ASCII characters without spaces, for texts that are split at spaces.
WORD: Final = re.compile(r"[\x21-\x7e]{1,200}")
RESOURCE: Final = WORD
ARTIFACT_ID: Final = re.compile(r"[0-9a-f]{64}")
EXTENSION: Final = re.compile(r"[a-z0-9]{1,8}")
#: Nothing in them that the language of queries gives a meaning, or that splits what is stored.
LABEL_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
LABEL_VALUE: Final = re.compile(r"[A-Za-z0-9_./:@+~-]{1,100}")
# What each of them requires, for people.
_IN_WORDS: Final = {
    WORK_ID: "1 to 128 letters, digits, '_', '.' or '-', the first a letter or a digit",
    ENGINE_ID: "1 to 64 letters, digits, '_', '.' or '-', the first a letter or a digit",
    WORD: "1 to 200 visible ASCII characters, no spaces",
    ARTIFACT_ID: "64 hexadecimal digits in lower case",
    EXTENSION: "1 to 8 lower-case letters or digits",
    LABEL_KEY: "1 to 63 letters, digits, '_', '.' or '-', the first a letter",
    LABEL_VALUE: "1 to 100 letters, digits, or any of _./:@+~-",
}
#: The longest delay, ten years in seconds: longer ones are mistakes.
MAX_DELAY_SECONDS: Final = 10 * 365 * 86400.0
#: The longest short text (title, step label, idempotency key), in characters.
MAX_LABEL: Final = 200
#: The longest name of a person or a program, in characters.
MAX_ACTOR: Final = 100
#: What a short text must not hold: control characters, line separators, lone surrogates. Everything
#: else is text: joiners, unusual spaces and emoji of any script. Not compiled yet, because that
#: takes longer than anything else here, and printable text never needs it.
_NOT_TEXT: Final = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
#: The most labels that one work item may have.
MAX_LABELS: Final = 16
#: The highest number of attempts, recoveries or steps in a row that a new work item may ask for.
MAX_COUNT: Final = 1_000_000_000


def in_words(pattern: re.Pattern[str]) -> str:
    """Return what one of the patterns above requires, for people."""
    return _IN_WORDS[pattern]


def matching(pattern: re.Pattern[str], what: str) -> Any:
    """Return an attrs validator: the value is a string that the whole pattern matches."""

    def validate(_instance: object, _attribute: object, value: object) -> None:
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise InvalidInput(f"{shown(value)} is not a valid {what}: {in_words(pattern)}")

    return validate


def label(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate a field that holds a short text, or None."""
    if value is not None:
        check_label(value, attribute.name)


def check_label(value: object, what: str, most: int = MAX_LABEL) -> None:
    """Check a short text that people are shown.

    :param what: its name in the error.
    :param most: the longest that it may be, in characters.
    :raises InvalidInput: it is not a string, or is empty, too long, or holds control characters.
    """
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= most
        # Nearly all are printable, and that check is far faster.
        or not (value.isprintable() or re.search(_NOT_TEXT, value) is None)
    ):
        raise InvalidInput(
            f"{what} must be 1 to {most} printable characters without "
            f"control characters and line breaks, not {shown(value)}"
        )


def labels(_instance: object, _attribute: object, value: object) -> None:
    """Validate a field that holds labels: a mapping of keys to values."""
    if not isinstance(value, Mapping):
        raise InvalidInput(f"labels must be keys with values, not {shown(value)}")
    if len(value) > MAX_LABELS:
        raise InvalidInput(f"a work item may have at most {MAX_LABELS} labels, not {len(value)}")
    for key, text in value.items():
        for part, pattern, what in ((key, LABEL_KEY, "key"), (text, LABEL_VALUE, "value")):
            if not isinstance(part, str) or pattern.fullmatch(part) is None:
                raise InvalidInput(
                    f"{shown(part)} is not a valid {what} of a label: {in_words(pattern)}"
                )


def shown(value: object) -> str:
    """Show a refused value briefly; a whole number may be too large to print."""
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a huge number"
    try:
        return f"{value!r:.80}"
    except ValueError:  # a list, say, that holds such a number
        return f"a {type(value).__name__}"


def check_whole(value: object, what: str) -> int:
    """Return ``value``, a whole number.

    :raises InvalidInput: it is none; True and False are none, either.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{what} must be a whole number, not {shown(value)}")
    return value


def check_limit(value: object, what: str = "limit") -> int:
    """Return how many there may be at most.

    :raises InvalidInput: it is no whole number, or negative.
    """
    found = check_whole(value, what)
    if found < 0:
        raise InvalidInput(f"{what} must not be negative")
    return found


def check_count(value: object, what: str, least: int = 0) -> int:
    """Return a number of attempts, recoveries or steps for a new work item.

    :raises InvalidInput: it is no whole number, below ``least`` or above :data:`MAX_COUNT`.
    """
    value = check_whole(value, what)
    if value < least:
        raise InvalidInput(f"{what} must be at least {least}, not {shown(value)}")
    if value > MAX_COUNT:
        raise InvalidInput(f"{what} must be at most {MAX_COUNT}, not {shown(value)}")
    return value


def instance(kind: type, wanted: str) -> Any:
    """Return an attrs validator: the value is a ``kind``, which people call ``wanted``."""

    def validate(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            raise InvalidInput(f"{attribute.name} must be {wanted}, not {shown(value)}")

    return validate


def check_seconds(value: object, what: str) -> float:
    """Return ``value`` as a delay in seconds.

    :raises InvalidInput: it is not a finite number between 0 and ten years.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{what} must be a number of seconds, not {shown(value)}")
    # NaN fails every comparison; a whole number may be too large to print, or to be a float.
    if not 0 <= value <= MAX_DELAY_SECONDS:
        found = value if isinstance(value, float) or abs(value) < 10**20 else "a huge number"
        raise InvalidInput(
            f"{what} must be finite, not negative and at most {MAX_DELAY_SECONDS:.0f} s, "
            f"not {found}"
        )
    return float(value)


def milliseconds(seconds: float) -> int:
    """Round a checked delay up to whole milliseconds: nothing comes early."""
    # The inner rounding takes 0.1 + 0.2 back to 300 ms before the ceiling makes it 301.
    return math.ceil(round(seconds * 1000, 6))


def positive(_instance: object, attribute: attrs.Attribute[float], value: float) -> None:
    """Validate a field that holds a number of seconds above 0."""
    if check_seconds(value, attribute.name) <= 0:
        raise InvalidInput(f"{attribute.name} must be more than 0 seconds")


def at_least(minimum: int) -> Any:
    """Return an attrs validator: the value is a whole number, and not below ``minimum``."""

    def validate(_instance: object, attribute: attrs.Attribute[int], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise InvalidInput(
                f"{attribute.name} must be a whole number of at least {minimum}, not {shown(value)}"
            )

    return validate
