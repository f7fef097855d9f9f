"""The console's third-party files: each is listed, is what the list says, and may be given away."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.sources import ROOT

VENDOR = ROOT / "roost_plugins/console/static/vendor"
LISTED: list[dict[str, Any]] = json.loads((VENDOR / "files.json").read_text(encoding="utf-8"))
#: Licences that let us pass a file on within an MIT distribution: as npm spells them.
FREE = {"MIT", "ISC", "BSD-0-Clause", "0BSD"}
#: A page should come at once, over a slow line too: kilobytes of all of them, gzipped.
MOST_KB = 40


def files() -> set[str]:
    """Return the files of the folder, but for the list."""
    found = (path for path in VENDOR.rglob("*") if path.is_file())
    return {path.relative_to(VENDOR).as_posix() for path in found} - {"files.json"}


def test_each_file_is_listed_once():
    """Nothing came in by another way."""
    names = [one["file"] for one in LISTED]
    assert len(set(names)) == len(names)
    assert files() == set(names)


@pytest.mark.parametrize("one", LISTED, ids=lambda one: one["file"])
def test_a_file_is_what_the_list_says(one):
    """Nobody has edited it: changes belong into scripts/vendor_console.py."""
    content = (VENDOR / one["file"]).read_bytes()
    assert one["sha256"] == hashlib.sha256(content).hexdigest()
    assert re.fullmatch(r"\d+\.\d+\.\d+", one["version"])
    assert one["made_from"]


@pytest.mark.parametrize("one", LISTED, ids=lambda one: one["file"])
def test_a_licence_comes_along(one):
    """Each package's folder has the text of its licence, and the licence lets us."""
    assert one["licence"] in FREE
    folder = Path(one["file"]).parent
    text = (VENDOR / folder / "LICENSE.txt").read_text(encoding="utf-8")
    assert "permission" in text.lower()


def test_they_stay_small():
    """Together they weigh less than one photograph."""
    scripts = [VENDOR / name for name in files() if not name.endswith(".txt")]
    size = sum(len(gzip.compress(path.read_bytes())) for path in scripts)
    assert MOST_KB * 1000 > size


def test_nothing_comes_from_elsewhere():
    """No style sheet, script or template of the console names another host, nor evaluates text."""
    console = VENDOR.parent.parent
    for path in sorted(console.rglob("*")):
        is_own = path.suffix in (".css", ".js", ".html") and VENDOR not in path.parents
        if not is_own:
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:src|href|url\(|import)\s*[=(]?\s*[\"']?(?:https?:)?//", text), (
            path
        )
        assert not re.search(r"\beval\(|new Function|style=\"|<style|\bon[a-z]+=\"", text), path


def test_every_icon_that_is_used_is_in_the_sprite():
    """A name that is spelt wrongly would show nothing."""
    sprite = (VENDOR / "lucide/icons.svg").read_text(encoding="utf-8")
    there = set(re.findall(r'<symbol id="([a-z0-9-]+)"', sprite))
    console = VENDOR.parent.parent
    used = set()
    for path in console.rglob("*.html"):
        used |= set(re.findall(r'icon\("([a-z0-9-]+)"', path.read_text(encoding="utf-8")))
    for path in (console / "kit").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r'Look\("[a-z]+", "([a-z0-9-]+)"\)', text))
        used |= set(re.findall(r'Place\("[a-z]+", "[^"]+", "([a-z0-9-]+)"', text))
    assert len(used) > 15
    assert set() == used - there
