"""Which places are hidden, and what stands there instead: that must not get into any data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from roost_core.differences.pointers import quoted, written
from roost_core.errors import InvalidInput
from roost_core.values import Json
from roost_core.wording.secrets import HIDDEN, is_secret

#: What an operation has besides, and as true, if something is hidden in it: it is there to be read.
MARK: Final = "is_hidden"


def hidden_above(parts: Sequence[str]) -> tuple[str, ...] | None:
    """Return the way to the first field that hides all that is in it, and so the last part, too.

    :param parts: the keys and indices that lead to a place.
    :returns: None if the place is in no such field; it may be one itself.
    """
    for depth, part in enumerate(parts[:-1], 1):
        if is_secret(part, ""):
            return tuple(parts[:depth])
    return None


def no_stand_in(parts: tuple[str, ...], value: Json, advice: str) -> None:
    """See that a value has no ``***`` where a secret would be hidden.

    A text with ``***`` in it is one like any other, and so is one in a place that is not hidden.

    :param parts: where the value is to be put.
    :param advice: what to do.
    :raises InvalidInput: it has.
    """
    for place in _stand_ins(parts, value):
        shown = quoted(written(hidden_above(place) or place))
        raise InvalidInput(f"{HIDDEN} only stands for what is hidden at {shown}: {advice}")


def _stand_ins(parts: tuple[str, ...], value: Json) -> Iterator[tuple[str, ...]]:
    if value == HIDDEN:
        if any(is_secret(part, HIDDEN) for part in parts):
            yield parts
        return
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for part, one in inner:
        if one == HIDDEN or isinstance(one, dict | list):
            yield from _stand_ins((*parts, str(part)), one)
