"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


@attrs.frozen
class Block:
    """A fenced block of code."""

    language: str
    text: str


def page(name: str) -> str:
    """Return a page of ``docs``."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [Block(language, body) for language, body in _BLOCK.findall(text)]


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return _BLOCK.sub("", text)


def sections(text: str) -> dict[str, str]:
    """Return a page's sections by their headings, each up to the next heading of any level."""
    found = list(_HEADING.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return {
        match[2]: text[match.end() : end].strip() for match, end in zip(found, ends, strict=True)
    }


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows; a bar behind a backslash is part of a cell."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    split = (re.split(r"(?<!\\)\|", line.strip("|")) for line in lines)
    return [[cell.strip().replace("\\|", "|") for cell in cells] for cells in split]
