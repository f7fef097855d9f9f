"""Differences of random JSON: what is said is true and complete, and safe to read."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.differences import compare, parse_patch, patch_between, patched
from roost_core.differences.comparing import is_same
from roost_core.errors import InvalidInput
from roost_core.shown.cells import width_of
from roost_core.shown.differences import hidden_patch, lines
from roost_core.shown.redaction import UNSEEN

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KEYS = st.one_of(st.sampled_from(["a", "b", "a/b", "~", "", "0", "-", "__proto__"]), TEXTS)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-1, 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0]),
    TEXTS,
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=25,
)


@st.composite
def _edited(draw, value):
    """Make a value that has something in common with another."""
    if isinstance(value, dict) and value:
        found = {key: one for key, one in value.items() if draw(st.integers(0, 5))}
        for key in [*found]:
            if draw(st.booleans()):
                found[key] = draw(_edited(found[key]))
        return {**found, **draw(st.dictionaries(KEYS, LEAVES, max_size=2))}
    if isinstance(value, list) and value:
        found = [one for one in value if draw(st.integers(0, 5))]
        at = draw(st.integers(0, len(found)))
        middle = draw(st.lists(VALUES, max_size=2))
        changed = [draw(_edited(one)) for one in found[at : at + 1]]
        return [*found[:at], *middle, *changed, *found[at + 1 :]]
    return draw(VALUES)


PAIRS = VALUES.flatmap(lambda old: st.tuples(st.just(old), st.one_of(VALUES, _edited(old))))


def _canonical(value):
    return json.dumps(value, sort_keys=True)


@given(PAIRS)
def test_a_patch_turns_one_into_the_other(pair):
    """Exactly, types included."""
    old, new = pair
    before = _canonical(old)
    found = patched(old, parse_patch(patch_between(old, new)))
    assert _canonical(new) == _canonical(found)
    assert before == _canonical(old)


@given(PAIRS)
def test_no_difference_means_equal(pair):
    """And the other way round."""
    old, new = pair
    assert (_canonical(old) == _canonical(new)) == (not compare(old, new)) == is_same(old, new)


@given(PAIRS)
def test_as_many_as_operations(pair):
    """What is told is what would be done."""
    assert len(compare(*pair)) == len(patch_between(*pair))


@given(PAIRS, st.integers(40, 100), st.booleans())
def test_lines(pair, width, is_revealed):
    """None is wider, and none holds what a terminal obeys."""
    for one in lines(compare(*pair), width, is_revealed=is_revealed):
        assert width_of(f"{one.mark} {one.text}") <= width
        assert re.search(UNSEEN, one.text) is None


@given(PAIRS, st.sampled_from(["by_token", "cookies", "auth"]))
def test_a_hidden_patch_is_refused(pair, name):
    """What is in a hidden field shows nowhere, and its stand-in gets into no data."""
    old, new = ({"x": {"y": one}, name: {f"n{SECRET}": one}} for one in pair)
    patch = patch_between(old, new)
    shown = hidden_patch(patch)
    assert SECRET not in f"{shown} {[*lines(compare(old, new))]}"
    if shown == patch:
        assert not compare(old, new)
        return
    with pytest.raises(InvalidInput):
        parse_patch(shown)


SECRET = "Tr0ub4dor-and-3"


@given(PAIRS, st.sampled_from(["password", "api_key", "client_secret"]), st.booleans())
def test_no_secret_is_shown(pair, name, is_nested):
    """By the name of the field, wherever it is; yet it is told that it has changed."""
    texts = (SECRET, f"{SECRET}!")
    old, new = ({"x": one, name: text} for one, text in zip(pair, texts, strict=True))
    if is_nested:
        old, new = {"o": [1, old]}, {"o": [1, new]}
    found = [*lines(compare(old, new), 80)]
    assert found
    assert not any(SECRET in one.text for one in found)
