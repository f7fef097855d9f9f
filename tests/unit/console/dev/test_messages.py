"""What a worker's process and its supervisor say to each other."""

from __future__ import annotations

import pytest

from roost_plugins.console.dev.messages import (
    Beat,
    Broken,
    Lines,
    Loading,
    Ready,
    Seen,
    written,
)

SEEN = Seen({"/a/engine.py": (1, 2, 3), "/a/later.py": None}, ("/a",))
ALL = [
    Ready(SEEN, ("one", "two"), {"one": {"names": ["Ada"]}, "two": None}),
    Broken(SEEN, ("a.py:1: SyntaxError", "> 1 | x"), is_loaded=True),
    Loading("a.py:3"),
    Beat(),
]


@pytest.mark.parametrize("message", ALL, ids=lambda one: type(one).__name__)
def test_each_arrives_as_it_was(message):
    """Whatever the pipe cuts it into."""
    data, lines = written(message), Lines()
    found = [one for at in range(len(data)) for one in lines.feed(data[at : at + 1])]
    assert [_plain(message)] == [_plain(one) for one in found]


def _plain(message):
    return written(message)


def test_what_is_no_message_is_dropped():
    """A line that was cut off, or that code has written into the pipe, harms nobody."""
    junk = b'\xff\n{}\n[]\n{"is": "nothing"}\n{"is": "ready"}\n{"is": "ready", "seen": 1}\n'
    assert [Beat()] == list(Lines().feed(junk + written(Beat())))
