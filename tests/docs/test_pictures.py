"""The documentation's pictures: there, small, described in words, and made by one script."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.docs.pages import DOCS, ROOT, prose

PICTURES = DOCS / "pictures"
#: A picture of Markdown, and of HTML for what Markdown cannot: one for each theme.
_MARKDOWN = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_HTML = re.compile(r'<img src="([^"]+)" alt="([^"]*)">')
_OTHER_THEME = re.compile(r'<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">')
#: How large one may be, and all of them. Bytes.
MOST, MOST_IN_ALL = 150_000, 2_000_000


@attrs.frozen
class Shown:
    """One picture of a page: its file, and what stands for it where it is not seen."""

    page: Path
    file: Path
    alt: str


def shown() -> list[Shown]:
    """Return the pictures of the README and of all pages."""
    found = []
    for page in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))):
        text = prose(page.read_text(encoding="utf-8"))
        pairs = [(path, alt) for alt, path in _MARKDOWN.findall(text)] + _HTML.findall(text)
        found += [Shown(page, page.parent / path, alt) for path, alt in pairs if ":" not in path]
    return found


def others() -> list[Path]:
    """Return what is shown instead where people want it dark."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [ROOT / path for path in _OTHER_THEME.findall(text)]


def written(name: str) -> Any:
    """Return a constant of the script that makes the pictures."""
    tree = ast.parse((ROOT / "scripts" / "screenshots.py").read_text(encoding="utf-8"))
    (found,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name
    ]
    assert found is not None
    return ast.literal_eval(found)


@pytest.mark.parametrize("one", shown(), ids=lambda one: f"{one.page.stem}-{one.file.name}")
def test_a_picture_is_there_and_described(one):
    """Its file exists, and its words say what is seen: in sentences, unless it is a plot."""
    assert one.file.is_file()
    assert one.alt
    if one.file.parent != PICTURES:
        return
    assert one.alt.endswith(".")
    assert 8 <= len(one.alt.split())
    assert not re.match(r"(?i)(a |the )?(screenshot|picture|image|capture)\b", one.alt)


def test_the_readme_shows_both_in_both_themes():
    """Its first screen has the console and the command line, each for light and dark."""
    light = [one.file.name for one in shown() if one.page.name == "README.md"]
    assert ["overview-light.png", "list-light.svg"] == light
    assert ["overview-dark.png", "list-dark.svg"] == [path.name for path in others()]
    assert all(path.is_file() for path in others())


def test_the_script_makes_exactly_these():
    """What is shown can be made again, and nothing is kept that nobody sees."""
    made = {f"{name}-{theme}.png" for name, _, _, themes in written("PAGES") for theme in themes}
    made |= {f"{name}-{theme}.svg" for name, _, themes in written("COMMANDS") for theme in themes}
    assert made == {path.name for path in PICTURES.iterdir()}
    seen = {one.file for one in shown()} | set(others())
    assert made == {path.name for path in seen if path.parent == PICTURES}


def test_they_are_small():
    """A clone does not grow by megabytes with every new look."""
    sizes = {path.name: path.stat().st_size for path in PICTURES.iterdir()}
    assert {} == {name: size for name, size in sizes.items() if size > MOST}
    assert sum(sizes.values()) < MOST_IN_ALL


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.name)
def test_a_drawing_fetches_nothing(path):
    """No font, style or script of anybody else, and no script at all."""
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert [] == re.findall(r"https?:|@import|@font-face|<script|href=", text)
