"""A table that fits its terminal: what matters is kept whole, the rest is cut or left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from rich.console import Console
from rich.text import Text

_GAP: Final = 2
_ELLIPSIS: Final = "…"


@attrs.frozen
class Column:
    """A column, and what becomes of it where there is little room.

    :ivar least: it is cut to no less than this many cells; None: it is never cut.
    :ivar rank: the lower, the sooner it gets what room there is; 0 is never left out.
    """

    heading: str
    least: int | None = None
    rank: int = 0
    is_right: bool = False


def draw(
    console: Console, columns: Sequence[Column], rows: Sequence[Sequence[Text | None]]
) -> None:
    """Print rows of one line each; a column that is empty in every row is left out."""
    cells = [[row[place] or Text() for row in rows] for place in range(len(columns))]
    shown = [place for place in range(len(columns)) if any(cell.plain for cell in cells[place])]
    natural = {
        place: max(Text(columns[place].heading).cell_len, *(one.cell_len for one in cells[place]))
        for place in shown
    }
    widths = fit([columns[place] for place in shown], list(natural.values()), console.width)
    kept = [(place, width) for place, width in zip(shown, widths, strict=True) if width]
    heading = [Text(columns[place].heading, "dim") for place, _ in kept]
    for line in (heading, *([cells[place][at] for place, _ in kept] for at in range(len(rows)))):
        parts = [
            _padded(text, width, is_right=columns[place].is_right)
            for text, (place, width) in zip(line, kept, strict=True)
        ]
        whole = Text(" " * _GAP).join(parts)
        whole.rstrip()
        # An id is copied: if it alone is wider than the terminal, the terminal breaks the line.
        console.print(whole, soft_wrap=True)


def fit(columns: Sequence[Column], natural: Sequence[int], room: int) -> list[int]:
    """Return how wide each column becomes; 0 if it is left out.

    :param natural: how wide each would like to be.
    """
    widths = list(natural)
    least = [
        width if column.least is None else min(width, column.least)
        for column, width in zip(columns, natural, strict=True)
    ]
    present: list[int] = []
    # One that is too wide makes room for narrower ones that matter less.
    for place in sorted(range(len(columns)), key=lambda place: columns[place].rank):
        if not columns[place].rank or _total(least, [*present, place]) <= room:
            present.append(place)
        else:
            widths[place] = least[place] = 0
    surplus = _total(widths, present) - room
    # What is widest gives way first, so that short columns stay whole.
    while surplus > 0:
        widest = max(present, key=lambda place: (widths[place] - least[place], widths[place]))
        give = widths[widest] - least[widest]
        if give <= 0:
            break
        step = min(surplus, max(1, give // 4))
        widths[widest] -= step
        surplus -= step
    return widths


def _total(widths: Sequence[int], present: Sequence[int]) -> int:
    return sum(widths[place] for place in present) + _GAP * max(0, len(present) - 1)


def _padded(text: Text, width: int, *, is_right: bool) -> Text:
    cut = text.copy()
    cut.truncate(width, overflow="ellipsis")
    blank = width - cut.cell_len
    if is_right:
        cut.pad_left(blank)
    else:
        cut.pad_right(blank)
    return cut
