"""Standard error for a process that must never wait for whoever reads it.

A pipe that nobody reads blocks its writer for ever, and one whose reader is gone is an error. A
thread writes what a worker reports, so that neither affects its work.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import queue
import sys
import threading
from typing import Any, Final

from roost_core.shown.redaction import clean

#: This many lines may wait to be written; more are counted and dropped.
_MOST_WAITING: Final = 10_000
#: The width of a terminal that does not tell it, less one.
_USUAL_WIDTH: Final = 79


class Stderr:
    """Writes lines to standard error. Safe from any thread, and from a handler of signals."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._descriptor = _descriptor_of(self._stream)
        self._lines: queue.SimpleQueue[str | threading.Event | _Footer | None]
        self._lines = queue.SimpleQueue()
        self._footer = ""
        self._dropped = 0
        self._is_closed = False
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="roost-stderr", daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """Write a line soon; lines beyond the limit are dropped, and counted in a later line."""
        if self._is_closed or os.getpid() != self._pid:
            self._write(text)  # Its thread is gone, or does not exist in this forked child.
        elif self._lines.qsize() < _MOST_WAITING:
            self._lines.put(text)
        else:
            self._dropped += 1

    def note(self, text: str) -> None:
        """Write a line for people, with the program's name."""
        self.line(f"roost: {clean(text)}")

    def footer(self, text: str) -> None:
        """Keep a line below all others, on a terminal; the next one replaces it, "" removes it.

        It is cut to the terminal's width. The cursor stays at its beginning, so that what a step
        prints replaces it until it is drawn again.
        """
        if not self._is_closed and os.getpid() == self._pid:
            self._lines.put(_Footer(text))

    def flush(self, seconds: float = 1.0) -> None:
        """Wait until everything so far is written, or for this many seconds."""
        if self._is_closed or os.getpid() != self._pid or not self._thread.is_alive():
            return
        written = threading.Event()
        self._lines.put(written)
        written.wait(seconds)

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits, or stop after this many seconds."""
        self._lines.put(None)
        self._thread.join(seconds)
        # Not if it hangs: another writer would hang as well.
        self._is_closed = not self._thread.is_alive()

    def _run(self) -> None:
        while (text := self._lines.get()) is not None:
            if isinstance(text, threading.Event):
                text.set()
                continue
            if isinstance(text, _Footer):
                self._draw(text.text)
                continue
            footer = self._footer
            self._draw("")
            self._write(text)
            self._draw(footer)
            if self._dropped and self._lines.empty():
                dropped, self._dropped = self._dropped, 0
                self._write(f"roost: {dropped} lines were dropped: standard error was too slow")

        self._draw("")

    def _draw(self, footer: str) -> None:
        if footer or self._footer:
            # Erased in either case: the line may have been longer.
            self._write(f"\r\x1b[K{clean(footer)[: _width(self._descriptor)]}\r", end="")
        self._footer = footer

    def _write(self, text: str, end: str = "\n") -> None:
        try:
            if self._descriptor is None:
                self._stream.write(f"{text}{end}")
                self._stream.flush()
                return
            left = f"{text}{end}".encode("utf-8", "backslashreplace")
            while left:
                # Not through the stream: it would keep what it cannot write and fail at exit.
                left = left[os.write(self._descriptor, left) :]
        except ValueError:
            return  # The stream is closed.
        except OSError as error:
            if error.errno == errno.EPIPE and self._descriptor is not None:
                _give_up(self._descriptor)


class _Footer:
    """A request for another last line."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def _width(descriptor: int | None) -> int:
    """Return how many characters fit in a line, less one: a full line may move the cursor."""
    with contextlib.suppress(OSError):
        if descriptor is not None:
            # Some terminals, of a program, have no size.
            columns = os.get_terminal_size(descriptor).columns
            return columns - 1 if columns > 1 else _USUAL_WIDTH
    return _USUAL_WIDTH


def _descriptor_of(stream: Any) -> int | None:
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def _give_up(descriptor: int) -> None:
    """Discard what goes to a pipe without a reader, on standard output as well.

    So neither a step that prints nor the process at its end fails for it.
    """
    gone = os.fstat(descriptor)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for one in {1, descriptor}:
            try:
                is_same = os.path.samestat(os.fstat(one), gone)
            except OSError:
                continue
            if is_same:
                os.dup2(nowhere, one)
    finally:
        os.close(nowhere)


class StderrHandler(logging.Handler):
    """Logs to standard error and never waits for it."""

    def __init__(self, stderr: Stderr, formatter: logging.Formatter) -> None:
        super().__init__()
        self._stderr = stderr
        self.setFormatter(formatter)

    def flush(self) -> None:
        """Wait briefly until it is written: called before the process ends."""
        self._stderr.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the line over."""
        try:
            text = self.format(record)
        except Exception as error:  # noqa: BLE001 - as logging itself does; arguments may be anything
            text = f"a log record of {record.name} cannot be shown: {type(error).__name__}"
        self._stderr.line(text)
