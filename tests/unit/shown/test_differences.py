"""Differences as lines."""

from __future__ import annotations

import pytest

from roost_core.differences import compare
from roost_core.shown.differences import Line, lines


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
        assert [Line("~", "/token/inner  *** (changed)")] == shown(old, new), value


def test_what_differs_far_behind():
    """However long the texts are, and how much is left out is right."""
    text = "x" * 100_000
    (line,) = shown({"t": f"{text} old"}, {"t": f"{text} new"})
    assert 'x old" → …' in line.text
    assert line.text.endswith('x new"')
    (line,) = shown({}, {"t": text})
    kept = line.text.count("x")
    assert line.text.endswith(f"… {100_002 - 1 - kept:,} more")
