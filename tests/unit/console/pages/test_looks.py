"""Replays that were looked at, for a browser that goes back."""

from __future__ import annotations

from roost_plugins.console.pages.item.looks import Looked, Looks
from roost_plugins.console.pages.item.replaying import Form


def test_what_is_kept():
    """By work, as many as there is room for; the newest always."""
    looks = Looks(most=2, most_typed=1_000)
    for key in ("a", "b", "c"):
        looks.put(Looked("w-1", Form(request=key)))
    assert looks.get("a", "w-1") is None
    assert looks.get("c", "w-2") is None
    assert looks.get("b", "w-1") == Looked("w-1", Form(request="b"))
    looks.put(Looked("w-1", Form(request="d", lines="x" * 2_000)))
    assert looks.get("c", "w-1") is None
    assert looks.get("d", "w-1") is not None


def test_what_has_begun():
    """It is noted, if it is still known."""
    looks = Looks()
    looks.put(Looked("w-1", Form(request="a")))
    looks.begun("a", "w-1", "w-2 has begun")
    looks.begun("b", "w-1", "w-2 has begun")
    found = looks.get("a", "w-1")
    assert found is not None
    assert "w-2 has begun" == found.begun
    assert looks.get("b", "w-1") is None
