"""JSON pointers (RFC 6901): names of parts of a value. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from roost_core.models import Json

#: A place in a list.
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")


def steps(pointer: str) -> Sequence[str]:
    """Return the names that a pointer goes through."""
    return [unescaped(name) for name in pointer.split("/")[1:]]


def child(value: Json, name: str) -> Json:
    """Return what a name leads to from a value.

    :raises LookupError: nothing.
    """
    if isinstance(value, Mapping):
        return value[name]
    if isinstance(value, list | tuple) and _INDEX.fullmatch(name):
        return value[int(name)]
    raise LookupError(name)


def escaped(name: str) -> str:
    """Return a name as a pointer has it."""
    return name.replace("~", "~0").replace("/", "~1")


def unescaped(name: str) -> str:
    """Return the name that a part of a pointer stands for."""
    return name.replace("~1", "/").replace("~0", "~")
