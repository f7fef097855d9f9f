"""How requests are read: strictly, and never guessed at."""

from __future__ import annotations

import attrs
import pytest

from roost_core.errors import InvalidInput
from roost_core.models import State
from roost_plugins.console.api import kinds
from roost_plugins.console.api.kinds import given, read_body, read_query


@attrs.frozen
class Asked:
    """One field of each kind."""

    text: str = given(kinds.text(5, "[a-z]+"), "A text.", default="x")
    whole: int = given(kinds.whole(-3, 9), "A number.", default=0)
    flag: bool = given(kinds.FLAG, "A flag.", default=False)
    state: State | None = given(kinds.one_of(State), "A state.", default=None)
    seconds: float = given(kinds.SECONDS, "Seconds.", default=0.0)
    time: object = given(kinds.TIME, "A time.", default=None)
    words: object = given(kinds.WORDS, "Words.", default=())
    labels: object = given(kinds.LABELS, "Labels.", default=None)


def test_of_a_url():
    """Texts become what they say."""
    url = {"text": ["abc"], "whole": ["-3"], "flag": ["true"], "state": ["done"]}
    found = read_query(Asked, url)
    assert ("abc", -3, True, State.DONE) == (found.text, found.whole, found.flag, found.state)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", ""),
        ("text", "ABC"),
        ("text", "abcdef"),
        ("text", "abc\n"),
        ("whole", "10"),
        ("whole", "1.0"),
        ("whole", " 1"),
        ("whole", "\u0661"),
        ("whole", "9" * 5000),
        ("flag", "yes"),
        ("state", "over"),
        ("seconds", "1"),
        ("color", "red"),
    ],
)
def test_not_of_a_url(name, value):
    """The error names the field."""
    with pytest.raises(InvalidInput, match=name):
        read_query(Asked, {name: [value]})


def test_twice_in_a_url():
    """Which one is meant is not known."""
    with pytest.raises(InvalidInput, match="2 times"):
        read_query(Asked, {"text": ["a", "b"]})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", 1),
        ("text", None),
        ("whole", True),
        ("whole", "1"),
        ("whole", 1.5),
        ("whole", 10**30),
        ("flag", 1),
        ("state", 1),
        ("seconds", -1),
        ("seconds", float("nan")),
        ("seconds", float("inf")),
        ("seconds", True),
        ("seconds", 10**400),
        ("time", "2026-01-31"),
        ("time", "2026-01-31T12:00:00"),
        ("time", 5),
        ("words", "abc"),
        ("words", [1]),
        ("labels", []),
        ("labels", {"a": 1}),
    ],
)
def test_not_of_a_body(name, value):
    """Nothing is converted: what is sent wrongly is meant wrongly."""
    with pytest.raises(InvalidInput, match=name):
        read_body(Asked, {name: value})


@pytest.mark.parametrize("body", [[], "a", None, 1])
def test_a_body_is_an_object(body):
    """And nothing else."""
    with pytest.raises(InvalidInput, match="no JSON object"):
        read_body(Asked, body)


@pytest.mark.parametrize("value", [-1, True, "1", float("nan"), float("inf"), 315_360_001, 10**400])
def test_no_seconds(value):
    """Also none that the document does not allow: ten years are the most, for each of them."""
    with pytest.raises(InvalidInput, match="seconds: expected a number from 0 to 315360000"):
        read_body(Asked, {"seconds": value})


def test_a_whole_number_in_json():
    """JSON knows no difference between 1 and 1.0."""
    assert 1 == read_body(Asked, {"whole": 1.0}).whole
