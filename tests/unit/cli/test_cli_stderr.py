"""Standard error from a thread: nobody waits for it, and a missing reader is no error."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time

import pytest

from roost_core.cli import stderr as module
from roost_core.cli.operate.log_format import TextFormatter
from roost_core.cli.stderr import Stderr, StderrHandler

#: Only a hang takes this long. Seconds.
LIMIT = 30.0


@pytest.fixture
def pipe():
    """Give a pipe: the end to read, and a stream on the other."""
    ear, mouth = os.pipe()
    with os.fdopen(ear, "rb", buffering=0) as reader, os.fdopen(mouth, "w") as stream:
        yield reader, stream


def stderr_on(stream, monkeypatch):
    """Make what the tests are about, on a stream."""
    # In the test itself, because pytest installs a stream of its own when a test begins.
    monkeypatch.setattr(sys, "stderr", stream)
    return Stderr()


def test_lines_come_in_order(pipe, monkeypatch):
    """What is said before the end is written, notes with the program's name."""
    reader, stream = pipe
    stderr = stderr_on(stream, monkeypatch)
    stderr.line("one")
    stderr.note("two\x1b[31m")
    stderr.close(LIMIT)
    stderr.line("after the end")
    text = reader.read(1000).decode()
    assert ["one", "after the end"] == [text.splitlines()[0], text.splitlines()[-1]]
    assert text.splitlines()[1].startswith("roost: two")
    assert "\x1b" not in text


def test_a_stream_without_descriptor(monkeypatch):
    """A program may have put anything there that can be written to."""
    stream = io.StringIO()
    stderr = stderr_on(stream, monkeypatch)
    stderr.line("here")
    stderr.close(LIMIT)
    assert "here\n" == stream.getvalue()


def test_a_reader_that_is_gone(pipe, monkeypatch):
    """What comes then goes nowhere, and the stream can be written to without an error."""
    reader, stream = pipe
    reader.close()
    stderr = stderr_on(stream, monkeypatch)
    stderr.line("nobody hears it")
    stderr.close(LIMIT)
    stream.write("nor that\n")
    stream.flush()


def test_a_reader_that_reads_nothing(pipe, monkeypatch):
    """Nobody waits; lines beyond the bound are dropped and counted."""
    monkeypatch.setattr(module, "_MOST_WAITING", 10)
    reader, stream = pipe
    stderr = stderr_on(stream, monkeypatch)
    for _ in range(100):
        stderr.line("x" * 100_000)
    assert stderr._dropped >= 80
    drained = threading.Thread(target=_read_all, args=(reader,), daemon=True)
    drained.start()
    ends = time.monotonic() + LIMIT
    while stderr._dropped:
        assert time.monotonic() < ends
        time.sleep(0.01)
    stderr.close(LIMIT)
    stream.close()
    drained.join(LIMIT)


def _read_all(reader) -> None:
    while reader.read(65536):
        pass


def test_records_of_logging(pipe, monkeypatch):
    """Each is a line of its own without control characters; one that cannot be shown says so."""
    reader, stream = pipe
    stderr = stderr_on(stream, monkeypatch)
    handler = StderrHandler(stderr, TextFormatter())
    for message, args in (("bad \x1b[31m %s", ("word",)), ("%d", ("no number",))):
        handler.handle(logging.LogRecord("roost.x", logging.INFO, "f", 1, message, args, None))
    stderr.close(LIMIT)
    first, second = reader.read(1000).decode().splitlines()
    assert "INFO roost.x: bad" in first
    assert "\x1b" not in first
    assert "a log record of roost.x cannot be shown: TypeError" == second


def test_flushing_waits_until_it_is_written(pipe, monkeypatch):
    """Before an immediate exit everything is written; a pipe that nobody reads does not block."""
    reader, stream = pipe
    stderr = stderr_on(stream, monkeypatch)
    handler = StderrHandler(stderr, TextFormatter())
    handler.emit(logging.LogRecord("roost", logging.CRITICAL, __file__, 1, "over", None, None))
    handler.flush()
    assert b"CRITICAL roost: over" in reader.read(1000)
    stderr.line("x" * 1_000_000)
    stderr.flush(0.01)
    reader.close()
    stderr.close(LIMIT)
    handler.flush()
