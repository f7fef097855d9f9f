"""How two versions differ, as a page shows it."""

from __future__ import annotations

import json
import random

import pytest

from roost_core.differences import compare
from roost_plugins.console.pages.item.compared import MOST, differences_of


def shown(old, new):
    """Return what is shown, with what identifies each line."""
    found = differences_of(compare(old, new), old, new)
    return [
        (one.word, one.path, one.old and one.old.text, one.new and one.new.text)
        for one in found.lines
    ]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"a": 1}, {"a": 2}, [("changed", "/a", "1", "2")]),
        ({}, {"a": 1}, [("added", "/a", None, "1")]),
        ({"a": 1}, {}, [("removed", "/a", "1", None)]),
        ({"p": ["a", "b"]}, {"p": ["q", "b"]}, [("replaced", "/p/0", '"a"', '"q"')]),
        ({"p": ["a", "b"]}, {"p": ["a", "q", "b"]}, [("inserted", "/p/1", None, '"q"')]),
        ({"p": ["a", "b"]}, {"p": ["b"]}, [("taken out", "/p/0", '"a"', None)]),
        (
            {"p": ["a", "b", "c"]},
            {"p": ["a", "x", "y", "c"]},
            [("replaced", "/p/1", '"b"', '"x"'), ("inserted", "/p/2", None, '"y"')],
        ),
        (
            {"p": ["a", "b"], "q": [1, 2]},
            {"p": ["b"], "q": [3, 2]},
            [("taken out", "/p/0", '"a"', None), ("replaced", "/q/0", "1", "3")],
        ),
        (
            {"p": ["a", {"q": [1], "r": 1, "s": 1}, "b", "c"]},
            {"p": ["x", "a", {"q": [1, 2], "r": 1, "s": 1}, "y", "c"]},
            [
                ("inserted", "/p/0", None, '"x"'),
                ("inserted", "/p/2/q/1", None, "2"),
                ("replaced", "/p/3", '"b"', '"y"'),
            ],
        ),
        ({"1": {"0": "a"}}, {"1": {"0": "b"}}, [("changed", "/1/0", '"a"', '"b"')]),
    ],
)
def test_words(old, new, lines):
    """In lists, what was inserted is told from what was replaced."""
    assert lines == shown(old, new)


def test_lists_can_be_made_from_what_is_shown():
    """Whatever they are: taken out of the old one, inserted and replaced in the new one."""
    chance = random.Random(7)
    for _ in range(2_000):
        old, new = ([chance.choice("abcd") for _ in range(chance.randint(0, 7))] for _ in range(2))
        lines = shown({"p": old}, {"p": new})
        if [("changed", "/p")] == [line[:2] for line in lines]:
            continue
        out = {int(path[3:]) for word, path, _, _ in lines if word == "taken out"}
        made = [one for place, one in enumerate(old) if place not in out]
        for word, path, before, after in lines:
            place = int(path[3:])
            if word == "inserted":
                made.insert(place, json.loads(after))
            elif word == "replaced":
                assert json.loads(before) in old
        for word, path, before, after in lines:
            if word == "replaced":
                assert made[int(path[3:])] == json.loads(before)
                made[int(path[3:])] = json.loads(after)
        assert new == made, (old, lines)


def test_secrets_are_hidden():
    """By the field's name, and in texts; what is the same then is said to have changed."""
    old = {"api_key": "hunter1", "url": "redis://me:hunter1@db/0", "n": {"token": {"x": "hunter1"}}}
    new = {"api_key": "hunter2", "url": "redis://me:hunter2@db/0", "n": {"token": {"x": "hunter2"}}}
    found = differences_of(compare(old, new), old, new)
    assert "hunter" not in repr(found)
    assert [True] * 3 == [one.is_hidden for one in found.lines]


def test_names_in_secrets_are_hidden():
    """All that differs in such a field is one difference."""
    old = {"by_token": {"tok-1": 1, "tok-2": 2}, "cookies": ["a", "b"]}
    new = {"by_token": {"tok-3": 1, "tok-2": 3}, "cookies": ["b"]}
    lines = [("changed", place, "***", "***") for place in ("/by_token", "/cookies")]
    assert lines == shown(old, new)


def test_long_values_are_cut_and_can_be_opened():
    """To what differs, if something was there before."""
    text = "word " * 500
    old, new = {"a": text, "l": [1]}, {"a": f"{text}!{text}", "l": [1, {"k": "x" * 40_000}]}
    changed, inserted = differences_of(compare(old, new), old, new).lines
    assert max(len(side.text) for side in (changed.old, changed.new, inserted.new)) < 300
    assert (text, 0) == (changed.old.whole, changed.old.more)
    assert 16_000 == len(inserted.new.whole)
    assert 24_000 < inserted.new.more < 25_000


def test_a_page_has_an_end():
    """However many differences there are, and however long they are."""
    new = {f"k{n}": "x" * 20_000 for n in range(1_000)}
    found = differences_of(compare({}, new), {}, new)
    assert (1_000, MOST, 1_000 - MOST) == (found.total, len(found.lines), found.left)
    assert sum(len(one.new.whole) for one in found.lines) <= 1_000_000
