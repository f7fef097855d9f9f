"""A worker's log on a terminal, and the line below it."""

from __future__ import annotations

import io
import os
import pty
import select
import sys

import pytest

from roost_core.cli.look.log import TerminalFormatter, is_terminal
from roost_core.cli.stderr import Stderr
from tests.unit.cli.test_worker_outcomes import record

#: Only a hang takes this long. Seconds.
LIMIT = 30.0


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


def test_lines_for_people(monkeypatch):
    """The time of day, and what was said; an error says so besides its colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    shown = TerminalFormatter(Terminal())
    assert "bad thing" == shown.format(record()).partition(" ")[2]
    assert "\x1b[3" not in shown.format(record())
    error = shown.format(record(levelname="ERROR", levelno=40))
    assert "error: bad thing" == error.partition(" ")[2]


def test_colours(monkeypatch):
    """Where the terminal has them, and nobody has switched them off."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[38;5;196m" in TerminalFormatter(Terminal()).format(
        record(levelname="ERROR", levelno=40)
    )


@pytest.mark.parametrize(
    ("term", "stream", "expected"),
    [
        ("xterm", Terminal(), True),
        ("dumb", Terminal(), False),
        ("xterm", io.StringIO(), False),
        ("xterm", None, False),
    ],
)
def test_what_is_a_terminal(monkeypatch, term, stream, expected):
    """One that can move its cursor."""
    monkeypatch.setenv("TERM", term)
    assert expected == is_terminal(stream)


def test_a_footer_stays_below(monkeypatch):
    """It is taken away before each line, drawn again behind it, and gone at the end."""
    ear, mouth = pty.openpty()
    with os.fdopen(ear, "rb", buffering=0) as reader, os.fdopen(mouth, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        stderr = Stderr()
        stderr.line("one")
        stderr.footer("1 running " + "x" * 500)
        stderr.line("two")
        stderr.footer("2 running")
        stderr.close(LIMIT)
        raw = b""
        # A terminal may hand it over in parts.
        while select.select([reader], [], [], 0.2)[0]:
            raw += reader.read(10_000)
    text = raw.decode().replace("\r\n", "\n")
    long = "1 running " + "x" * 69
    erase = "\r\x1b[K"
    assert (f"one\n{erase}{long}\r{erase}\rtwo\n{erase}{long}\r{erase}2 running\r{erase}\r") == text


def test_without_a_footer_nothing_is_erased(monkeypatch):
    """A file never sees what moves a cursor."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    stderr = Stderr()
    stderr.line("one")
    stderr.line("two")
    stderr.close(LIMIT)
    assert "one\ntwo\n" == stream.getvalue()
