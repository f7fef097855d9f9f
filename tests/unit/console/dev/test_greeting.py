"""What is said at the start and after a change."""

from __future__ import annotations

import shlex

from roost_core.models import State
from roost_plugins.console.dev import greeting


def test_the_line_that_gives_work():
    """It can be pasted as it is, whatever is in the example."""
    line = greeting.enqueue_line("my_agent", {"q": "it's"}, ["--home=a b"])
    assert [
        *("roost", "enqueue", "--home=a b", "--engine", "my_agent"),
        *("--payload", '{"q": "it\'s"}'),
    ] == shlex.split(line)
    assert greeting.enqueue_line("x", None).endswith("--payload JSON")


def test_what_waits_from_before():
    """Work at its end does not wait."""
    assert greeting.waiting({State.DONE: 5, State.FAILED: 1}) is None
    assert "1 work item is here" in str(greeting.waiting({State.QUEUED: 1, State.DONE: 2}))
    assert "3 work items are here" in str(greeting.waiting({State.QUEUED: 1, State.PAUSED: 2}))


def test_an_engine_that_is_gone():
    """Renamed, for one: its work would wait for ever, and nobody would know why."""
    assert ["the engine old is gone"] == greeting.gone(["old"], {"old": 0})
    assert ["the engine old is gone; 2 of its work items would wait: `roost list engine:old`"] == (
        greeting.gone(["old"], {"old": 2})
    )
    assert "its work would wait" in greeting.gone(["old"], {})[0]
