"""The changelog's fragments: named and written so that a release can gather them."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.docs.pages import rows
from tests.packaging.sources import ROOT

FOLDER = ROOT / "changes"
FRAGMENTS = sorted(path for path in FOLDER.iterdir() if path.name != "README.md")
with (ROOT / "pyproject.toml").open("rb") as _file:
    TOWNCRIER = tomllib.load(_file)["tool"]["towncrier"]
TYPES = [one["directory"] for one in TOWNCRIER["type"]]


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_fragments_are_well_formed(path):
    """A name of words and a type that there is; one paragraph, which is a sentence or more."""
    assert re.fullmatch(rf"\+[a-z0-9]+(-[a-z0-9]+)*\.({'|'.join(TYPES)})\.md", path.name)
    text = path.read_text(encoding="utf-8")
    assert re.fullmatch(r"[A-Z`][^\n]*(\n[^\n]+)*\.\n", text)
    assert not re.search(r"^(#|[-*] )", text, re.MULTILINE), "no heading and no list"


def test_types_are_explained():
    """The folder's README has each type, and no other."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [f"`{one}`" for one in TYPES] == [row[0] for row in rows(text)[1:]]


def test_a_release_finds_its_place():
    """A release goes below the first line of the changelog, above what is there."""
    text = (ROOT / TOWNCRIER["filename"]).read_text(encoding="utf-8")
    assert text.startswith(TOWNCRIER["start_string"])
