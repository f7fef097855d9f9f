"""The files keep to what .editorconfig says."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path

from tests.packaging.sources import PACKAGES, ROOT

#: Folders with files that people write, and those in them that programs write.
FOLDERS = [".ci", "benchmarks", "changes", "docs", "examples", "scripts", "tests", *PACKAGES]
MADE = {"performance", "_build", "__pycache__"}
KINDS = {
    *("", ".cfg", ".css", ".html", ".ini", ".js", ".lua", ".md", ".py", ".sh", ".toml", ".yaml")
}


def files() -> Iterator[Path]:
    """Yield the text files that people write."""
    top = (path for path in ROOT.iterdir() if path.is_file() and path.suffix in KINDS)
    is_sdist = (ROOT / "PKG-INFO").exists()  # in which setuptools has written to these two
    yield from (path for path in top if not is_sdist or path.name not in ("PKG-INFO", "setup.cfg"))
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            is_made = not MADE.isdisjoint(path.relative_to(ROOT).parts)
            if path.is_file() and path.suffix in KINDS and not is_made:
                yield path


def test_spaces_and_line_ends():
    """UTF-8, line feeds, one at the end, no tabs, and no trailing white space."""
    told = configparser.ConfigParser()
    told.read_string("[top]\n" + (ROOT / ".editorconfig").read_text(encoding="utf-8"))
    assert "lf" == told["*"]["end_of_line"]
    assert "space" == told["*"]["indent_style"]
    assert "true" == told["*"]["insert_final_newline"] == told["*"]["trim_trailing_whitespace"]
    broken = []
    for path in files():
        text = path.read_bytes().decode("utf-8")
        lines = text.split("\n")
        is_sound = (
            (not text or (text.endswith("\n") and not text.endswith("\n\n")))
            and "\r" not in text
            and not any(line != line.rstrip() or line.startswith("\t") for line in lines)
        )
        if not is_sound:
            broken.append(path.relative_to(ROOT).as_posix())
    assert [] == broken


def test_what_people_write_is_looked_at():
    """Packages' own modules and the console's files too; what programs write is not."""
    found = {path.relative_to(ROOT).as_posix() for path in files()}
    assert {"roost_core/__init__.py", "tests/packaging/test_editorconfig.py", "tox.ini"} <= found
    assert [] == [name for name in found if "__pycache__" in name]
