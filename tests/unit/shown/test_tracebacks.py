"""Where in an engine's own code an error was."""

from __future__ import annotations

import pytest

from roost_core.models import ErrorRecord
from roost_core.shown.tracebacks import brief, place, runs, without_runtime

CORE = "/home/me/env/lib/python3.12/site-packages/roost_core/stepping/attempt.py"
LIBRARY = "/home/me/env/lib/python3.12/site-packages/httpx/_client.py"


def frame(path, line=1, bar=""):
    """Return the two lines of a frame, as Python writes them."""
    return f'{bar}  File "{path}", line {line}, in step\n{bar}    call(\n{bar}    ~~~~^'


def text(*frames, error="RuntimeError: upstream said 500"):
    """Return a whole traceback."""
    return "\n".join(("Traceback (most recent call last):", *frames, error))


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ((frame(CORE, 90), frame("/src/flaky.py", 8)), "flaky.py:8"),
        ((frame(CORE, 90), frame("/src/flaky.py", 8), frame(LIBRARY, 99)), "flaky.py:8"),
        ((frame("/src/flaky.py", 8), frame(CORE, 90)), "flaky.py:8"),
        ((frame(CORE, 90), frame(LIBRARY, 99)), "_client.py:99"),
        ((frame(CORE, 90),), None),
        ((), None),
    ],
)
def test_the_place_is_in_the_engine(frames, expected):
    """A library that it calls is not where people look first; the runtime never is."""
    assert expected == place(text(*frames))
    assert place(None) is None


def test_the_runtime_is_left_out():
    """What stays is a traceback of the engine's own code and its libraries."""
    own, library = frame("/src/flaky.py", 8), frame(LIBRARY, 9)
    assert text(own, library) == without_runtime(text(frame(CORE), own, frame(CORE), library))
    chained = f"{text(own)}\n\nDuring handling ...:\n\n{text(frame(CORE), own)}"
    assert 2 == without_runtime(chained).count("flaky.py")
    assert "roost_core" not in without_runtime(chained)


def test_groups_keep_their_bars():
    """Frames in an exception group stand behind bars."""
    grouped = text(frame(CORE, bar="  | "), frame("/src/flaky.py", 8, bar="  | "))
    assert text(frame("/src/flaky.py", 8, bar="  | ")) == without_runtime(grouped)
    assert "flaky.py:8" == place(grouped)


def test_a_traceback_of_the_runtime_alone_stays():
    """Nothing would be left of it."""
    assert text(frame(CORE)) == without_runtime(text(frame(CORE)))


def test_the_runtime_stands_apart():
    """Its frames that follow each other are one part, which says how many they are."""
    own, core = frame("/src/flaky.py", 8), frame(CORE)
    parts = runs(text(core, core, own, core))
    assert [0, 2, 0, 1, 0] == [frames for _, frames in parts]
    assert text(core, core, own, core) == "\n".join(part for part, _ in parts)
    assert own == parts[2][0]
    assert [] == list(runs(""))


def test_an_error_in_one_line():
    """Type, message and place; none of them twice, and lines are joined."""
    trace = text(frame("/src/flaky.py", 8))
    for record, expected in (
        (ErrorRecord("exception", "a\nb", "ValueError", trace), "ValueError: a b (flaky.py:8)"),
        (ErrorRecord("deadline", "it was late"), "deadline: it was late"),
        (ErrorRecord("exception", "KeyError", "KeyError"), "KeyError"),
        (ErrorRecord("corrupt", ""), "corrupt"),
    ):
        assert expected == brief(record)
