"""The map of the code names each room, and no room that is not there."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, page

#: A room, or a folder, at the beginning of a line or in its text.
ROOM = re.compile(r"`([a-z_]+(?:/[a-z_]+)*)`")


def rooms(package: str) -> set[str]:
    """Return a package's own modules, and every package and folder below it, by their paths."""
    top = ROOT / package
    folders = [path for path in top.rglob("*") if path.is_dir() and any(path.glob("*.*"))]
    found = {
        path.relative_to(top).as_posix() for path in folders if "__pycache__" not in path.parts
    }
    return found | {path.stem for path in top.glob("*.py") if not path.stem.startswith("__")}


def section(heading: str) -> str:
    """Return a section of the map."""
    return page("map").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("package", ["roost_core", "roost_plugins"])
def test_map_has_each_room(package):
    """Each module at the top of a package, and each package in it, has its place on the map."""
    known = {word for word in ROOM.findall(section(f"`{package}`")) if word != package}
    assert rooms(package) == known


def test_map_has_each_folder():
    """The folders around the packages are on the map, and are there."""
    named = re.findall(r"^\| `([a-z_/]+)` \|", section("Around them"), re.MULTILINE)
    assert [] == [name for name in named if not (ROOT / name).is_dir()]
    tests = {
        f"tests/{path.name}"
        for path in (ROOT / "tests").iterdir()
        if path.is_dir() and path.name != "__pycache__"
    }
    assert tests <= set(named)
