"""Events on a terminal: aligned, a sentence each."""

from __future__ import annotations

import re
import textwrap
from datetime import date
from typing import Final

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from roost_core.cli.look.styles import of_event, plain
from roost_core.models.events import Event
from roost_core.shown.redaction import clean
from roost_core.shown.sentences import sentence

_TIME_WIDTH: Final = 8
#: As wide as the ids that Roost makes; a longer one takes the room it needs.
_ID_WIDTH: Final = 18
_VERSION_WIDTH: Final = 4
#: Narrower than this, words are broken as well.
_LEAST_WIDTH: Final = 20
_MEASURE: Final = re.compile(r"(\d) (?=(?:ms|s|m|h|d)\b)")


class Happening:
    """Prints events as they come; the date stands where it changes.

    :param of_one: all of them are of the same work item, so that its id is not repeated.
    """

    def __init__(self, console: Console, *, of_one: bool) -> None:
        self._console = console
        self._of_one = of_one
        self._day: date | None = None

    def __call__(self, event: Event) -> None:
        """Print an event."""
        if event.at.date() != self._day:
            self._day = event.at.date()
            self._console.print(day(event))
        self._console.print(line(event, self._console.width, of_one=self._of_one))


def day(event: Event) -> Text:
    """Draw the date of an event: what a worker logs is in the time of its own zone."""
    return Text(f"{event.at.date()} (UTC)", "dim")


def line(event: Event, console_width: int, *, of_one: bool) -> RenderableType:
    """Draw an event; what does not fit continues below its beginning."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=_TIME_WIDTH)
    cells = [Text(f"{event.at:%H:%M:%S}", "dim")]
    left = _TIME_WIDTH + _VERSION_WIDTH + 4
    if not of_one:
        grid.add_column(no_wrap=True, min_width=_ID_WIDTH)
        cells.append(plain("" if event.is_of_engine else event.work_id, "bold"))
        left += max(_ID_WIDTH, cells[-1].cell_len) + 2
    grid.add_column(no_wrap=True, min_width=_VERSION_WIDTH)
    grid.add_column(overflow="fold")
    has_none = event.kind == "leased" or event.is_of_engine
    version = "" if has_none else f"v{event.version}"
    said = _folded(clean(sentence(event)), console_width - left)
    grid.add_row(*cells, Text(version, "dim"), Text(said, of_event(event)))
    return grid


def _folded(text: str, width: int) -> str:
    """Break a text into lines; a number stays with its unit."""
    if width < _LEAST_WIDTH or cell_len(text) != len(text):
        return text  # then rich breaks it, which knows how wide each character is
    held = _MEASURE.sub("\\1\xa0", text)
    return "\n".join(textwrap.wrap(held, width)).replace("\xa0", " ")
