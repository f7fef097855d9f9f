"""Differences between two JSON values, as people see them."""

from __future__ import annotations

import pytest

from roost_core.differences import Difference, Kind, compare, parse_patch, patch_between, patched
from roost_core.differences.comparing import is_same


def added(path, value):
    """Return the difference of a new value."""
    return Difference(Kind.ADDED, path, new=value)


def removed(path, value):
    """Return the difference of an old value."""
    return Difference(Kind.REMOVED, path, old=value)


def changed(path, old, new):
    """Return the difference of two values."""
    return Difference(Kind.CHANGED, path, old, new)


def message(number, text="hello"):
    """Make a message of a chat."""
    return {"role": "user", "id": number, "content": f"{text} {number}"}


MESSAGES = [message(number) for number in range(50)]
EDITED = [*MESSAGES[:20], {**MESSAGES[20], "content": "other"}, *MESSAGES[21:]]

CASES = {
    "nothing": ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, []),
    "order of keys": ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
    "a member": ({"a": 1}, {"a": 2}, [changed("/a", 1, 2)]),
    "types": (
        {"a": 1, "b": 1, "c": 0.0, "d": False},
        {"a": True, "b": 1.0, "c": -0.0, "d": 0},
        [
            changed("/a", 1, True),
            changed("/b", 1, 1.0),
            changed("/c", 0.0, -0.0),
            changed("/d", False, 0),
        ],
    ),
    "keys": ({"a": 1, "b/c": 2}, {"a": 1, "~": 3}, [removed("/b~1c", 2), added("/~0", 3)]),
    "appended": (MESSAGES, [*MESSAGES, message(50)], [added("/50", message(50))]),
    "dropped": (MESSAGES, MESSAGES[1:], [removed("/0", message(0))]),
    "a window": (
        MESSAGES,
        [*MESSAGES[1:], message(50)],
        [removed("/0", message(0)), added("/49", message(50))],
    ),
    "inside": (MESSAGES, EDITED, [changed("/20/content", "hello 20", "other")]),
    "inside, after one was dropped": (
        MESSAGES,
        EDITED[1:],
        [removed("/0", message(0)), changed("/19/content", "hello 20", "other")],
    ),
    "one moved to the front": (
        MESSAGES,
        [MESSAGES[-1], *MESSAGES[:-1]],
        [added("/0", message(49)), removed("/49", message(49))],
    ),
    "inserted": ([1, 2, 3], [1, 9, 2, 3], [added("/1", 9)]),
    "replaced": ([1, 2, 3], [7, 8], [changed("", [1, 2, 3], [7, 8])]),
    "emptied": ({"a": [1, 2]}, {"a": []}, [removed("/a/0", 1), removed("/a/1", 2)]),
    "filled": ({"a": []}, {"a": [1]}, [added("/a/0", 1)]),
    "another kind": ({"a": [1]}, {"a": {"0": 1}}, [changed("/a", [1], {"0": 1})]),
    "everything": (None, {"a": 1}, [changed("", None, {"a": 1})]),
    "a key moved in an element": (
        [{"a": 1, "b": 2}, 3],
        [{"b": 2, "a": 1}, 3, 4],
        [added("/2", 4)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_compare(name):
    """What has changed, where, and nothing besides."""
    old, new, expected = CASES[name]
    assert expected == [*compare(old, new)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("is_forward", [True, False])
def test_a_patch_between(name, is_forward):
    """It turns one into the other, in both directions."""
    old, new = CASES[name][:2] if is_forward else CASES[name][1::-1]
    assert is_same(new, patched(old, parse_patch(patch_between(old, new))))


def test_many_that_all_differ():
    """Not each is compared with each."""
    old, new = [[*range(start, start + 100_000)] for start in (0, 100_000)]
    assert [changed("", old, new)] == [*compare(old, new)]
