"""Standard error for a process that must never wait for whoever reads it.

A pipe that nobody reads blocks its writer for ever, and one whose reader is gone is an error. A
thread writes what a worker reports, so that neither affects its work.
"""

from __future__ import annotations

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


class Stderr:
    """Writes lines to standard error. Safe from any thread, and from a handler of signals."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._descriptor = _descriptor_of(self._stream)
        self._lines: queue.SimpleQueue[str | threading.Event | None] = queue.SimpleQueue()
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
            self._write(text)
            if self._dropped and self._lines.empty():
                dropped, self._dropped = self._dropped, 0
                self._write(f"roost: {dropped} lines were dropped: standard error was too slow")

    def _write(self, text: str) -> None:
        try:
            if self._descriptor is None:
                self._stream.write(f"{text}\n")
                self._stream.flush()
                return
            left = f"{text}\n".encode("utf-8", "backslashreplace")
            while left:
                # Not through the stream: it would keep what it cannot write and fail at exit.
                left = left[os.write(self._descriptor, left) :]
        except ValueError:
            return  # The stream is closed.
        except OSError as error:
            if error.errno == errno.EPIPE and self._descriptor is not None:
                _give_up(self._descriptor)


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


class _Formatter(logging.Formatter):
    """One line a record, safe for a terminal; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).split("\n")
        return "\n".join(clean(one) for one in lines)


class StderrHandler(logging.Handler):
    """Logs to standard error and never waits for it."""

    def __init__(self, stderr: Stderr) -> None:
        super().__init__()
        self._stderr = stderr
        self.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

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
