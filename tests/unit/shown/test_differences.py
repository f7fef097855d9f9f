"""Differences as lines."""

from __future__ import annotations

import json

import pytest

from roost_core.differences import compare, parse_patch, patch_between, patched
from roost_core.errors import InvalidInput
from roost_core.shown.differences import Line, hidden_patch, lines


def shown(old, new, width=80, **options):
    """Return the lines of what differs."""
    return [*lines(compare(old, new), width, **options)]


def test_marks():
    """What was there is told apart from what is new."""
    old, new = {"a": 1, "b": [1, 2], "c": "x"}, {"b": [1, 2, {"d": None}], "c": "y"}
    expected = [
        Line("-", "/a  1"),
        Line("+", '/b/2  {"d": null}'),
        Line("~", '/c  "x" → "y"'),
    ]
    assert expected == shown(old, new)


def test_a_long_text_is_cut():
    """It says how much is left out."""
    (line,) = shown({}, {"text": "x" * 5000})
    assert line.text.startswith('/text  "xxxx')
    assert line.text.endswith(" more")
    assert 70 < len(line.text) <= 78


def test_what_differs_in_long_texts():
    """It is shown with what is around it, not their common beginning."""
    text = "the quick brown fox jumps over the lazy dog " * 50
    (line,) = shown({"t": text}, {"t": text.replace("lazy dog the", "lazy cat the", 1)})
    assert "lazy dog" in line.text
    assert "lazy cat" in line.text
    assert len(line.text) <= 78


def test_too_many():
    """They are summed up."""
    found = shown({}, {str(number): number for number in range(1210)}, most=6)
    assert 7 == len(found)
    assert Line("", "and 1,204 more") == found[-1]


@pytest.mark.parametrize("key", ["password", "api_key"])
def test_secrets(key):
    """They are hidden, unless somebody asks."""
    old, new = {"login": {key: "hunter2"}}, {"login": {key: "hunter3"}}
    assert [Line("~", f"/login/{key}  *** (changed)")] == shown(old, new)
    assert [Line("~", f'/login/{key}  "hunter2" → "hunter3"')] == shown(old, new, is_revealed=True)


def test_nothing_that_a_terminal_obeys():
    """Neither in paths nor in values, revealed or not."""
    for is_revealed in (True, False):
        (line,) = shown({}, {"a\x1b[31mb\n": "\x1b]0;owned\x07 \u202e x"}, is_revealed=is_revealed)
        assert line.text.isprintable()


def test_what_is_in_a_secret():
    """Whatever is below a field with such a name is hidden, numbers too."""
    for value in (5, True, "x", [1]):
        old, new = {"token": {"inner": None}}, {"token": {"inner": value}}
        assert [Line("~", "/token  *** (changed)")] == shown(old, new), value


def test_names_in_a_secret():
    """Nor is what is in such a field named: that it has changed is told once, at its place."""
    old = {"a": 1, "by_token": {"tok-1": 1, "tok-2": {"n": 1}}, "l": [{"cookies": ["x"], "b": 1}]}
    new = {
        "a": 2,
        "by_token": {"tok-3": 1, "tok-2": {"n": 2}},
        "l": [{"cookies": [], "b": 1}],
        "z": 0,
    }
    expected = [
        Line("~", "/a  1 → 2"),
        Line("~", "/by_token  *** (changed)"),
        Line("~", "/l/0/cookies  *** (changed)"),
        Line("+", "/z  0"),
    ]
    assert expected == shown(old, new)
    assert [*expected[:2], Line("", "and 2 more")] == shown(old, new, most=2)
    assert any("tok-3" in one.text for one in shown(old, new, is_revealed=True))
    found = hidden_patch(patch_between(old, new))
    assert "tok" not in json.dumps(found).replace("by_token", "")
    hidden = {"op": "replace", "path": "/by_token", "value": "***", "is_hidden": True}
    assert 1 == found.count(hidden)
    assert [True, True] == [one["is_hidden"] for one in found if "is_hidden" in one]


def test_a_patch_in_which_something_is_hidden_is_refused():
    """However it is hidden: as a field, within one, or in a text."""
    for name, value in [
        ("api_key", "hunter2"),
        ("login", {"user": "bob", "pwd": "hunter2"}),
        ("note", "sk-0123456789abcdefgh"),
        ("url", "redis://:hunter2@h"),
        ("by_token", {"hunter2": 1}),
    ]:
        patch = patch_between({name: None, "n": 1}, {name: value, "n": 2})
        assert {name: value, "n": 2} == patched({name: None, "n": 1}, parse_patch(patch))
        with pytest.raises(InvalidInput, match="make the patch with --reveal"):
            parse_patch(hidden_patch(patch))


def test_what_differs_far_behind():
    """However long the texts are, and how much is left out is right."""
    text = "x" * 100_000
    (line,) = shown({"t": f"{text} old"}, {"t": f"{text} new"})
    assert 'x old" → …' in line.text
    assert line.text.endswith('x new"')
    (line,) = shown({}, {"t": text})
    kept = line.text.count("x")
    assert line.text.endswith(f"… {100_002 - 1 - kept:,} more")
