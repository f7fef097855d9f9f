"""The unit tests are in rooms that are named like those of the code."""

from __future__ import annotations

from tests.packaging.sources import ROOT

UNIT = ROOT / "tests" / "unit"
#: Plugins that tests load as if they were people's own.
SAMPLES = "plugins/plugin_samples"


def test_each_room_of_unit_tests_is_one_of_the_code():
    """A reader who knows the room of a module knows where its tests are."""
    rooms = {
        path.parent.relative_to(UNIT).as_posix()
        for path in UNIT.rglob("*.py")
        if path.parent != UNIT
    }
    found = {
        room
        for room in rooms
        if (ROOT / "roost_core" / room).is_dir() or (ROOT / "roost_plugins" / room).is_dir()
    }
    assert {SAMPLES} == rooms - found
