"""How much room texts take on a terminal, where some characters are two cells wide. Pure."""

from __future__ import annotations

import unicodedata


def width_of(text: str) -> int:
    """Return how many cells a text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def padded(text: str, width: int) -> str:
    """Return a text with blanks behind it, so that it takes this many cells or more."""
    return text + " " * (width - width_of(text))


def cut(text: str, width: int) -> str:
    """Return a text that takes at most this many cells, with ``…`` at its end if it is cut."""
    if width_of(text) <= width:
        return text
    room, kept = width - 1, []
    for one in text:
        room -= _cells(one)
        if room < 0:
            break
        kept.append(one)
    return f"{''.join(kept)}…"


def _cells(one: str) -> int:
    if unicodedata.category(one) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(one) in ("W", "F") else 1
