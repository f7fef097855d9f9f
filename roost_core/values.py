"""Making, comparing, hashing and showing frozen classes without code generated for each."""

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
    """Equal to another of its class with equal fields, and shows them.

    For classes declared with ``@attrs.frozen(eq=False, repr=False)``. attrs would give each the
    same methods, but as separate code that it writes and compiles when the class is made: half the
    cost of making a class, and making classes is most of the cost of importing Roost. Most commands
    compare and show none. Classes compared in each step are better off with attrs' own methods.
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
    """Return a function that makes objects of a frozen class from all field values, in order.

    It skips defaults and validators, and so takes half as long as the class itself: for checked
    values that each step would otherwise check again.
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
    exec("\n".join(lines), known)  # noqa: S102 - our own code, and the names of fields
    return cast("Callable[..., _T]", known["make"])


def _fields(kind: type) -> tuple[attrs.Attribute[Any], ...]:
    return cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(kind))


@cache
def _getter(kind: type) -> Callable[[Any], Any]:
    names = [field.name for field in _fields(kind) if field.eq]
    # One value comes as it is, several as a tuple; there is no getter for none.
    return operator.attrgetter(*names) if names else lambda _: ()


def _shown(how: bool | Callable[[Any], str], value: Any) -> str:
    return how(value) if callable(how) else repr(value)
