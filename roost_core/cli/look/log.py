"""A worker's log on a terminal: the time of day, what happened, and how bad it is."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text

from roost_core.cli import colours
from roost_core.shown.redaction import clean

_STYLES: Final = {
    logging.WARNING: colours.WARNING,
    logging.ERROR: colours.BAD,
    logging.CRITICAL: colours.VERY_BAD,
}
_ACTIONS: Final = {"done": colours.GOOD, "step_accepted": "", "steps_summed": colours.BUSY}
_BAD: Final = frozenset({"failed"})


class TerminalFormatter(logging.Formatter):
    """One line a record; a level below error is told by its colour and its words."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._console = Console(file=stream, highlight=False)

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines, in colours if the terminal has any."""
        said, *more = super().format(record).split("\n")
        action = getattr(record, "action", None)
        style = _STYLES.get(record.levelno, _ACTIONS.get(str(action), ""))
        if getattr(record, "state", None) in _BAD:
            style = colours.VERY_BAD
        at = datetime.fromtimestamp(record.created).astimezone()
        text = Text.assemble((f"{at:%H:%M:%S}", "dim"))
        text.append(" ")
        if record.levelno >= logging.ERROR:
            text.append(f"{record.levelname.lower()}: ", style)
        text.append(clean(said), style)
        for line in more:
            text.append("\n" + clean(line), "dim")
        with self._console.capture() as captured:
            self._console.print(text, soft_wrap=True, end="")
        return captured.get()


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether lines are read by a person, on something that can move its cursor."""
    if stream is None or not stream.isatty():
        return False
    return not Console(file=stream).is_dumb_terminal
