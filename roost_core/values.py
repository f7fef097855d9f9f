"""Making, comparing, hashing and showing frozen classes without code that is written for each."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import attrs

_T = TypeVar("_T")

#: Anything that JSON can hold. Engines see what a JSON round trip leaves.
Json = Any


class Value:
    """What equals another of its class with equal fields, and shows them.

    For classes declared with ``@attrs.frozen(eq=False, repr=False)``. attrs would give each
    the same methods, but as code of its own that it writes and compiles when the class is
    made: half of what making a class takes, and Roost's are most of what importing Roost
    takes. Most commands compare none and show none. What is compared in each step is better
    off with attrs' own.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        kind: type = type(self)
        fields_of = _getter(kind)
        return bool(fields_of(self) == fields_of(other))

    def __hash__(self) -> int:
        kind: type = type(self)
        return hash((kind, _getter(kind)(self)))

    def __repr__(self) -> str:
        kind = type(self)
        shown = ", ".join(
            f"{field.name}={_shown(field.repr, getattr(self, field.name))}"
            for field in _fields(kind)
            if field.repr
        )
        return f"{kind.__qualname__}({shown})"


def unchecked(kind: type[_T]) -> Callable[..., _T]:
    """Return what makes objects of a frozen class from the values of all fields, in their order.

    It leaves out defaults and validators, and so takes half as long as the class itself: for
    values that have been checked before, where each step would check them anew.
    """
    names = [field.name for field in _fields(kind)]
    # As attrs makes its own: written and compiled once. The slots' own setters, because a
    # frozen class refuses setattr().
    lines = [
        f"def make({', '.join(names)}):",
        "    made = new(kind)",
        *(f"    put_{name}(made, {name})" for name in names),
        "    return made",
    ]
    known: dict[str, Any] = {f"put_{name}": getattr(kind, name).__set__ for name in names}
    known.update(new=kind.__new__, kind=kind)
    exec("\n".join(lines), known)  # noqa: S102 - our own words, and the names of fields
    return cast("Callable[..., _T]", known["make"])


def _fields(kind: type) -> tuple[attrs.Attribute[Any], ...]:
    return cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(kind))


@cache
def _getter(kind: type) -> Callable[[Any], Any]:
    names = [field.name for field in _fields(kind) if field.eq]
    # One value comes as it is, several as a tuple; of none there is no getter.
    return operator.attrgetter(*names) if names else lambda _: ()


def _shown(how: bool | Callable[[Any], str], value: Any) -> str:
    return how(value) if callable(how) else repr(value)
