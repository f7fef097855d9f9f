"""What frozen classes without generated code have in common with those that attrs equips."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest

from roost_core.models import Artifact, RetryPolicy
from roost_core.settings import Settings
from roost_core.values import Value, unchecked


@attrs.frozen(eq=False, repr=False)
class Point(Value):
    """Two numbers; a field that does not count, one that is hidden, one that is shown in part."""

    x: int
    y: int = 0
    note: str = attrs.field(default="", eq=False)
    secret: str = attrs.field(default="", repr=False)
    url: str = attrs.field(default="u", repr=lambda value: f"<{value}>")


@attrs.frozen(eq=False, repr=False)
class Other(Value):
    """The same fields in part."""

    x: int
    y: int = 0


@attrs.frozen(eq=False, repr=False)
class Nothing(Value):
    """No field at all."""


@attrs.frozen(eq=False, repr=False)
class One(Value):
    """A single field."""

    x: Any


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        (Point(1), Point(1), True),
        (Point(1), Point(2), False),
        (Point(1, secret="a"), Point(1, secret="b"), False),
        (Point(1, note="a"), Point(1, note="b"), True),
        (Other(1), Point(1), False),
        (Other(1), (1, 0), False),
        (One((1, 2)), One((1, 2)), True),
        (One(1), One(2), False),
        (Nothing(), Nothing(), True),
        (Nothing(), One(1), False),
    ],
)
def test_equal_fields_make_equals(one: object, other: object, are_equal: bool) -> None:
    """Only within a class; a field that says so does not count; equal ones hash alike."""
    assert (are_equal, not are_equal) == (one == other, one != other)
    assert are_equal == (len({one, other}) == 1)


def test_fields_are_shown_as_they_ask_for() -> None:
    """By name, hidden, or by a function of their own."""
    assert "Point(x=1, y=2, note='n', url=<u>)" == repr(Point(1, 2, "n", "s"))
    assert "***" in repr(Settings(extra={"redis_url": "redis://:hunter2@h"}))


def test_what_cannot_be_hashed_says_so() -> None:
    """A mutable field makes the whole unhashable."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(One([]))


@pytest.mark.parametrize("value", [Point(1, note="n"), RetryPolicy(), Artifact("0" * 64, 1)])
def test_copies_are_equal(value: Value) -> None:
    """However they are made; and nothing can be set."""
    assert value == copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == attrs.evolve(value)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        value.x = 1  # type: ignore[attr-defined]


def test_what_has_been_checked_is_made_without_a_look() -> None:
    """It equals one that the class makes, in all fields, and is just as frozen."""
    made = unchecked(Point)(1, 2, "note", "secret", "url")
    assert Point(1, 2, "note", "secret", "url") == made
    assert "note" == made.note
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.x = 2  # type: ignore[misc] # this is what is tested
    with pytest.raises(TypeError):
        unchecked(Point)(1)
