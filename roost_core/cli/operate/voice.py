"""What a command says that runs until it is stopped, among the lines of workers beside it.

On a terminal its lines have its name in a colour of its own. A worker keeps a last line at the
bottom; whatever is written replaces that, and the worker draws it again.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TextIO

from rich.console import Console
from rich.text import Text

from roost_core.cli import colours
from roost_core.cli.look.log import is_terminal
from roost_core.cli.operate.log_format import JsonFormatter, TextFormatter
from roost_core.cli.stderr import Stderr, StderrHandler
from roost_core.shown.redaction import clean

_STYLES: Final = {logging.WARNING: colours.WARNING, logging.ERROR: colours.VERY_BAD}
#: Stands for a URL until a line is cleaned.
_URL: Final = "<url>"
#: Where the text of a line begins on a terminal: after the time and the name.
_INDENT: Final = " " * 13


class VoiceFormatter(logging.Formatter):
    """A line or a block: time, name and text; what belongs to it is below the text."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._console = Console(file=stream, highlight=False)
        self._erase = "\r\x1b[K" if is_terminal(stream) else ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines, in colours if the terminal has any."""
        first, *more = super().format(record).split("\n")
        at = datetime.fromtimestamp(record.created).astimezone()
        text = Text.assemble((f"{at:%H:%M:%S}", "dim"), " ")
        name = record.name.removeprefix("roost.")
        text.append(f"{name:<4}" if len(name) < 4 else f"{name} ", f"bold {colours.BUSY}")
        text.append(clean(first), _STYLES.get(record.levelno, ""))
        for line in more:
            is_marked = line.startswith(">")
            text.append(f"\n{_INDENT}")
            text.append(_kept(line), "bold" if is_marked else "")
        with self._console.capture() as captured:
            self._console.print(text, soft_wrap=True, end="")
        return self._erase + captured.get()


def _kept(line: str) -> str:
    """Return a line of code or a command, clean, with its indentation."""
    left = line.lstrip(" ")
    return " " * (len(line) - len(left)) + clean(left)


class Voice:
    """Says things on standard error; it never waits for whoever reads them.

    :param name: that of the command.
    :param is_json: a line of JSON each.
    :param is_quiet: only warnings, errors and the console's URL.
    """

    def __init__(self, name: str, *, is_json: bool = False, is_quiet: bool = False) -> None:
        self._log = logging.getLogger(f"roost.{name}")
        self._stderr = Stderr()
        formatter: logging.Formatter = TextFormatter()
        if is_json:
            formatter = JsonFormatter()
        elif sys.stderr is not None and sys.stderr.isatty():
            formatter = VoiceFormatter(sys.stderr)
        self._is_json, self._is_quiet = is_json, is_quiet
        self._formatter = formatter
        handler = StderrHandler(self._stderr, formatter)
        logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
        logging.captureWarnings(True)
        logging.getLogger("roost").setLevel(logging.INFO)

    def say(self, text: str, action: str, *more: str, **fields: Any) -> None:
        """Say what happens.

        :param action: one word for programs.
        :param more: lines below it.
        :param fields: more for programs.
        """
        if not self._is_quiet:
            self._write(logging.INFO, text, action, more, fields)

    def console(self, url: str) -> None:
        """Say where the console is, however quiet it shall be.

        :param url: printed as it is, with its token, which any other line would hide.
        """
        extra = {"action": "console", "url": _URL}
        record = self._log.makeRecord(
            self._log.name, logging.INFO, __file__, 0, "console: %s", (_URL,), None, extra=extra
        )
        self._stderr.line(self._formatter.format(record).replace(_URL, url))

    def warn(self, text: str, action: str, *more: str, **fields: Any) -> None:
        """Say what is odd."""
        self._write(logging.WARNING, text, action, more, fields)

    def fail(self, text: str, action: str, *more: str, **fields: Any) -> None:
        """Say what is wrong."""
        self._write(logging.ERROR, text, action, more, fields)

    def close(self) -> None:
        """Write what waits to be written."""
        logging.captureWarnings(False)
        self._stderr.close()

    def _write(
        self, level: int, text: str, action: str, more: Sequence[str], fields: dict[str, Any]
    ) -> None:
        if self._is_json and more:
            fields["more"] = "\n".join(more)
            more = ()
        said = "\n".join((text, *more))
        self._log.log(level, "%s", said, extra={"action": action, **fields})
