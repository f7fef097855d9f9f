"""JSON pointers (RFC 6901): paths to values within a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roost_core.errors import InvalidInput
from roost_core.values import Json
from roost_core.wording.secrets import is_secret
from roost_core.wording.suggestions import did_you_mean

#: How much of a long pointer is quoted in an error. Characters.
_QUOTED: Final = 80
#: No list has an index with more digits.
_DIGITS: Final = 9


def written(parts: Sequence[str | int]) -> str:
    """Return the pointer to what these keys and indices lead to."""
    return "".join(f"/{escaped(part)}" for part in parts)


def escaped(part: str | int) -> str:
    """Return a key or an index as a part of a pointer."""
    return str(part).replace("~", "~0").replace("/", "~1")


def parts_of(pointer: str) -> tuple[str, ...]:
    """Return the keys and indices in a pointer.

    :raises InvalidInput: it is not one.
    """
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        raise InvalidInput(f"{quoted(pointer)} is not a JSON pointer: it has to begin with /")
    found = pointer[1:].split("/")
    if any("~" in one.replace("~0", "").replace("~1", "") for one in found):
        raise InvalidInput(
            f"{quoted(pointer)} is not a JSON pointer: write ~0 for ~, and ~1 for / in a key"
        )
    return tuple(one.replace("~1", "/").replace("~0", "~") for one in found)


def quoted(pointer: str) -> str:
    """Return a pointer for an error."""
    return pointer if len(pointer) <= _QUOTED else f"{pointer[:_QUOTED]}…"


def index_of(part: str, length: int, at: str) -> int:
    """Return the index that a part is in a list.

    :param length: the list's.
    :param at: the pointer to the list, for errors.
    :raises InvalidInput: it is none, or the list has no such element.
    """
    if not _is_up_to(length - 1, part, at):
        raise InvalidInput(f"{_place(at)} has {_elements(length)}, and no {quoted(part)}")
    return int(part)


def new_index_of(part: str, length: int, at: str) -> int:
    """Return the index that a new element of a list is to have: behind the last one at most.

    :raises InvalidInput: as :func:`index_of`.
    """
    if not _is_up_to(length, part, at):
        raise InvalidInput(
            f"{_place(at)} has {_elements(length)}, and a new one cannot be {quoted(part)}: "
            f"{length} is the end"
        )
    return int(part)


def _is_up_to(most: int, part: str, at: str) -> bool:
    is_number = part.isascii() and part.isdigit() and (part == "0" or part[0] != "0")
    if not is_number:
        raise InvalidInput(f"{_place(at)} is a list, and {quoted(part)!r} is no index of it")
    return len(part) <= _DIGITS and int(part) <= most


def _elements(count: int) -> str:
    return f"{count} element{'' if count == 1 else 's'}"


def child(value: Json, part: str, at: str) -> Json:
    """Return the member or element of a value.

    :param at: the pointer to the value, for errors.
    :raises InvalidInput: there is none; the text says how far the path leads.
    """
    if isinstance(value, dict):
        if part not in value:
            # What is in a hidden field has names that nobody is told, either.
            is_told = len(part) <= _QUOTED and not any(is_secret(one, "") for one in parts_of(at))
            meant = did_you_mean(part, value) if is_told else ""
            raise InvalidInput(f"{_place(at)} has no {quoted(part)!r}{meant}")
        return value[part]
    if isinstance(value, list):
        return value[index_of(part, len(value), at)]
    raise InvalidInput(f"{_place(at)} is neither an object nor a list: nothing is in it")


def _place(pointer: str) -> str:
    return quoted(pointer) if pointer else "the document"
