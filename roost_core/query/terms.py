"""What a query is made of, and how it is written."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import Final

import attrs

from roost_core.values import Value

#: The key of a word without one, which is looked for in several places.
TEXT: Final = "text"
#: Keys of numbers, and of times.
NUMBERS: Final = ("priority", "attempts")
AGES: Final = ("older", "newer", "idle")
#: All keys that can be written.
KEYS: Final = ("state", "engine", "id", "label", "error", "title", *NUMBERS, *AGES)
#: Of these a work item has one: two terms with the same key would find nothing.
SINGLE: Final = ("state", "engine", "id")
#: A text that needs no quotes.
_BARE: Final = re.compile(r"[\w.@/+%&;][\w.@/+%&;-]*")
_UNITS: Final = (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000))


class Op(enum.StrEnum):
    """How a value is compared with what a work item has."""

    IS = "is"
    STARTS = "starts"  #: it begins so
    HAS = "has"  #: it contains the text, in capitals or not
    ANY = "any"  #: there is one; of a label: one with this key
    ALIKE = "alike"  #: an error has this fingerprint
    EQUAL = "="
    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="
    AGO = "ago"  #: milliseconds


@attrs.frozen(eq=False, repr=False)
class Test(Value):
    """One value of a term, and how it is compared."""

    # pytest takes what is called so for a class of tests.
    __test__ = False

    op: Op
    value: str | int = ""


@attrs.frozen(eq=False, repr=False)
class Term(Value):
    """A key and its values, of which one has to be true; ``is_negated``: of which none may."""

    key: str
    tests: tuple[Test, ...]
    is_negated: bool = False

    def __str__(self) -> str:
        values = ",".join(_written(self.key, test) for test in self.tests)
        key = "" if self.key == TEXT else f"{self.key}:"
        return f"{'-' if self.is_negated else ''}{key}{values}"


@attrs.frozen(eq=False, repr=False)
class Query(Value):
    """What is asked for: work items of which every term is true. ``str()`` writes it.

    :func:`roost_core.query.parse` reads it. One without terms is true of all work.
    """

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))

    @classmethod
    def beginning(cls, begin: str) -> Query:
        """Return what is true of work whose id begins so; of all work if that is empty."""
        return cls((Term("id", (Test(Op.STARTS, begin),)),)) if begin else cls()

    def of(self, key: str) -> Sequence[Term]:
        """Return the terms with a key that are not negated."""
        return [term for term in self.terms if term.key == key and not term.is_negated]

    def uses(self, *keys: str) -> bool:
        """Return whether a term has one of these keys."""
        return any(term.key in keys for term in self.terms)

    def narrowed(self, key: str, value: str) -> Query:
        """Return this query with one more term: the key has exactly this value."""
        return Query((*self.terms, Term(key, (Test(Op.IS, value),))))


def _written(key: str, test: Test) -> str:
    if test.op is Op.AGO:
        return _age(int(test.value))
    if key in NUMBERS:
        return f"{'' if test.op is Op.EQUAL else test.op}{test.value}"
    if test.op is Op.STARTS:
        return f"{test.value}*"
    if test.op is Op.ANY:
        return str(test.value) if key == "label" else "*"
    if test.op is Op.ALIKE:
        return f"#{test.value}"
    text = str(test.value)
    if test.op is Op.IS or _BARE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _age(value: int) -> str:
    for unit, size in _UNITS:
        if value and value % size == 0:
            return f"{value // size}{unit}"
    whole, rest = divmod(value, 1000)
    return f"{whole}.{rest:03}s" if rest else f"{whole}s"
