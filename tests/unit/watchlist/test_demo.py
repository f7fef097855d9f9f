"""What the demo counts."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from roost_core.models import Event, State
from roost_plugins.watchlist.demo import Story, _tell


def event(kind: str) -> Event:
    """Make an event of the demo's work item."""
    return Event("1-0", datetime(2026, 1, 1, tzinfo=UTC), kind, "w1", "watchlist", 2, State.RUNNING)


def test_the_first_workers_own_claim_is_no_takeover(capsys):
    """Its event may arrive after the kill; the claim after the recovery is what counts."""
    story = Story(killed_at=time.monotonic())

    _tell(story, event("claimed"))
    assert None is story.resumed_after
    _tell(story, event("recovered"))
    assert None is story.resumed_after
    _tell(story, event("claimed"))
    assert story.resumed_after is not None
    first = story.resumed_after
    _tell(story, event("claimed"))
    assert first == story.resumed_after
    assert 4 == len(capsys.readouterr().out.splitlines())
