"""How commands print: data to standard output, notes to standard error.

On a terminal tables are drawn with rich; elsewhere a row is one line, its cells separated by tabs,
without a heading, and ``-`` for what is missing. Whatever comes from data is stripped of control
characters.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from roost_core.models.standing import WorkMeta
from roost_core.models.work import State
from roost_core.shown.redaction import clean
from roost_core.values import Json

if TYPE_CHECKING:
    from rich.console import Console

#: The exit code when work was stored and its id cannot be printed: ``EX_IOERR`` of ``sysexits.h``.
UNTOLD: Final = 74
#: Modules whose own calls into C do nothing but print: an unbuffered stream keeps nothing back, so
#: a failed write cannot be detected by trying again.
_PRINTERS: Final = ("click.utils", "rich.console", "roost_core.cli.work.artifact_show")
#: A time as a cell shows it.
_TIME: Final = r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\dZ)$"
#: Words up to this many characters, such as a state or a date, are not broken in a table if that
#: fits.
_WHOLE_WORD: Final = 10

#: What JSON leaves as it is and a terminal might obey, or show in another order, and what no
#: stream can be written with: lone surrogates, from bytes of a command line that are no UTF-8.
#: A text, not a compiled pattern: that takes long, and most JSON is plain ASCII.
_UNSAFE_IN_JSON: Final = r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"


#: What a line for people on standard error begins with.
NOTE: Final = "roost: "


def on_terminal() -> bool:
    """Return whether standard output is a terminal."""
    # It is missing if it was closed before the start: `>&-`.
    return sys.stdout is not None and sys.stdout.isatty()


def note(text: object) -> None:
    """Print one line for people on standard error, with the program's name."""
    # Where nobody can read it, the exit code still counts: printing decides nothing.
    with contextlib.suppress(OSError):
        click.echo(f"{NOTE}{clean(text)}", err=True)


def error_columns(otherwise: int = 80) -> int:
    """Return how many columns the terminal has that standard error goes to.

    Standard output's may be another, or none: in ``NEW=$(roost replay …)`` a shell reads it.

    :param otherwise: the answer if standard error goes to no terminal.
    """
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or otherwise
    except (AttributeError, ValueError, OSError):
        return otherwise


class _Message(logging.Formatter):
    """A record as a message like any other."""

    def format(self, record: logging.LogRecord) -> str:
        return f"roost: {clean(record.getMessage())}"


def warn_as_messages() -> None:
    """Show warnings like messages where no log is kept: that of a misspelt variable, for one."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Message())


def show_traceback(error: BaseException, without: Callable[[str], str] = str) -> None:
    """Print an error's traceback on standard error, clean of control characters.

    :param without: takes secrets out of it.
    """
    lines = without("".join(traceback.format_exception(error))).splitlines()
    with contextlib.suppress(OSError):
        click.echo("\n".join(clean(line) for line in lines), err=True)


def give_up_printing(error: OSError) -> bool:
    """Report in one line that standard output cannot be written, if that is what the error means.

    What is still to be written is dropped then, so that the process can end cleanly.

    :returns: whether that is what it means.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    last = frames[-1][0].f_globals.get("__name__") if frames else None
    if last not in _PRINTERS and not _still_fails(error):
        return False
    note(_not_written(error))
    _write_nowhere()
    return True


def _not_written(error: OSError) -> str:
    return f"cannot write to standard output: {os.strerror(error.errno or errno.EIO)}"


def _write_nowhere() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # Python writes what is left when it ends, complains once more and changes the exit code.
    with contextlib.suppress(AttributeError, OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _still_fails(error: OSError) -> bool:
    try:
        sys.stdout.flush()
    except OSError as again:
        return again.errno == error.errno
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False
    return False


def data(text: object) -> None:
    """Print one line of data on standard output."""
    click.echo(clean(text))


def stored(ids: Sequence[str], *, then: str = "") -> None:
    """Print the ids of what was just stored, one per line: nothing else knows them.

    :param then: what to add to the ids if they cannot be printed.
    :raises click.exceptions.Exit: they cannot; they are named on standard error. The exit code is
        not 1, which would invite storing it all again.
    """
    try:
        click.echo("\n".join(ids))
    except OSError as error:
        note(f"{_not_written(error)}; still stored: {' '.join(ids)}{then and f'; {then}'}")
        _write_nowhere()
        raise click.exceptions.Exit(UNTOLD) from None


def json_line(value: Json, *, indent: int | None = None) -> None:
    """Print JSON on standard output; its values are whole, unsafe characters are escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if not text.isascii() or "\x7f" in text:
        text = re.sub(_UNSAFE_IN_JSON, lambda match: f"\\u{ord(match[0]):04x}", text)
    click.echo(text)


def failure(meta: WorkMeta) -> str:
    """Describe how a work item ended without being done: who ended it, or what the error is."""
    error, act = meta.error, meta.act
    if meta.state is State.CANCELLED and act is not None and act.verb == "cancel":
        from roost_core.shown import verbs

        return f"{meta.work_id} is {verbs.told(act)}"
    # What was cancelled may have an error from an attempt before, which has not ended it.
    if error is None or meta.state is State.CANCELLED:
        return f"{meta.work_id} is {meta.state}"
    what = error.error_type or error.kind
    return f"{meta.work_id} is {meta.state}: {what}{': ' if error.message else ''}{error.message}"


def when(time: datetime | None) -> str:
    """Return a time for people: UTC, to the second."""
    return "-" if time is None else f"{time:%Y-%m-%dT%H:%M:%SZ}"


def cell(value: Any) -> str:
    """Return a table's cell for a value."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return when(value)
    return clean(value)


def console() -> Console:
    """Return a rich console on standard output; rich is imported here, not earlier."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print a table: drawn on a terminal, tab-separated lines elsewhere.

    A terminal is narrow: there, a column that is empty in every row is left out, and the first
    column, which people copy from, is never broken into two lines.

    :param styles: the colours of some cells on a terminal, by the whole cell: ``bold red``.
    """
    values = [list(row) for row in rows]
    if not on_terminal():
        for row in values:
            click.echo("\t".join(cell(value) for value in row))
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns = [
        (heading, [cell(row[place]) for row in values]) for place, heading in enumerate(headings)
    ]
    columns = [one for one in columns if not values or set(one[1]) != {"-"}]
    if _width(columns) > (room := console().width):
        # A time may take two lines: date, and time of day.
        columns = [
            (heading, [re.sub(_TIME, "\\1\n\\2", one) for one in cells])
            for heading, cells in columns
        ]
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        # Short words stay whole if there is room for them all.
        is_whole = place == 0 or (_width([column]) <= _WHOLE_WORD and _least(columns) <= room)
        drawn.add_column(column[0], overflow="fold", no_wrap=is_whole)
    for line in zip(*(cells for _, cells in columns), strict=True):
        # As Text, because brackets in a cell are not markup.
        drawn.add_row(*(Text(one, (styles or {}).get(one, "")) for one in line))
    console().print(drawn)


def _width(columns: Sequence[tuple[str, Sequence[str]]]) -> int:
    """Return how wide columns are, with the two blanks between them."""
    return sum(_longest(heading, *cells) + 2 for heading, cells in columns) - 2


def _least(columns: Sequence[tuple[str, Sequence[str]]]) -> int:
    """Return how wide columns are if the long ones are broken: all but the first."""
    first, *others = (_longest(heading, *cells) for heading, cells in columns)
    kept = [one if one <= _WHOLE_WORD else _WHOLE_WORD // 2 for one in others]
    return first + sum(kept) + 2 * len(kept)


def _longest(*texts: str) -> int:
    return max(len(line) for text in texts for line in text.split("\n"))


def data_row(cells: Sequence[Any]) -> None:
    """Print one line of cells separated by tabs: for endless output, which has no columns."""
    click.echo("\t".join(cell(value) for value in cells))
