"""How each kind of event looks on pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import roost_plugins.console
from roost_core.models import Event, State
from roost_plugins.console.pages.kinds import KINDS, look_of

ICONS = Path(roost_plugins.console.__file__).parent / "static" / "vendor" / "lucide" / "icons.svg"


def test_every_documented_kind_has_a_look():
    """Pages have no leases of a trail among their events."""
    text = (Path(__file__).parents[4] / "docs" / "operations.md").read_text()
    table = text.partition("| kind | meaning |")[2].partition("\n\n")[0]
    kinds = {*re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)}
    assert "forked" in kinds
    assert kinds - {"leased"} == KINDS.keys() - {"unreadable"}


def test_every_icon_is_there():
    """A name that the file lacks would be an empty place."""
    icons = {*re.findall(r'<symbol id="([\w-]+)"', ICONS.read_text())}
    assert {icon for _tone, icon in KINDS.values()} <= icons


def test_what_a_person_did():
    """It has the tone of all that people do."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    for kind in ("forked", "rewound"):
        event = Event("1-0", at, kind, "w1", "agent", 3, State.QUEUED, {"who": "bob"})
        assert "person" == look_of(event)[0]
