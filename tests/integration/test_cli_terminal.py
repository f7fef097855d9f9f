"""Commands on a terminal: colours, one screen, and a last line that stays."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import termios

import pytest

from tests.integration.cli_bench import LIMIT, ending
from tests.integration.test_cli import read_terminal

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(shell, *words, columns=80, **fields):
    """Run a command on a terminal; return what it shows, and the exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    try:
        with ending(shell.start(*words, stdin=theirs, stdout=theirs, stderr=theirs)) as process:
            os.close(theirs)
            text = read_terminal(ours)
            return text, process.wait(LIMIT)
    finally:
        os.close(ours)


@pytest.fixture
def coloured(shell, monkeypatch):
    """Give a shell on a terminal that has colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    return shell


@pytest.mark.parametrize("columns", [80, 120])
def test_looking_at_work(coloured, slow, columns):
    """A listing and a screen fit; pipes get neither colours nor what is for people only."""
    shell = coloured
    title = "A title that is much longer than there is room for on any usual terminal, " * 2
    work_id = shell.enqueue("slow", {"seconds": 0}, "--title", title[:190])
    for words in (["list"], ["status", work_id], ["events", "--work", work_id]):
        text, code = on_terminal(shell, *words, columns=columns)
        lines = _ESCAPES.sub("", text).replace("\r", "").splitlines()
        assert 0 == code
        assert "\x1b[" in text
        assert max(map(len, lines)) <= columns
        assert any("queued" in line for line in lines)
    assert any(line.startswith("try: ") for line in _lines(shell, "status", work_id))
    assert "\x1b" not in shell.ok("list") + shell.ok("status", work_id)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_an_edit_before_a_replay(coloured, slow, columns):
    """Each change has a line of its own, as wide as the terminal is."""
    shell = coloured
    work_id = shell.enqueue("slow", {"seconds": 0, "mark": str(shell.folder / "mark")})
    assert 0 == shell.run("worker", *slow, "--burst").returncode
    edit = f"note={'a long text that is cut ' * 9}"
    words = ("replay", work_id, "--from-version", "1", "-e", edit, "--dry-run")
    text, code = on_terminal(shell, *words, columns=columns)
    lines = _ESCAPES.sub("", text).replace("\r", "").splitlines()
    assert 0 == code
    (told,) = [one for one in lines if "/note" in one]
    assert columns - 12 < len(told) <= columns


def _lines(shell, *words):
    return _ESCAPES.sub("", on_terminal(shell, *words)[0]).replace("\r", "").splitlines()


def test_a_worker_tells_and_keeps_its_last_line(coloured, slow):
    """A line for each step, the last line below it, and nothing of that is left at the end."""
    shell = coloured
    work_id = shell.enqueue("slow", {"seconds": 2, "mark": str(shell.folder / "mark")})
    text, code = on_terminal(shell, "worker", *slow, "--burst")
    assert 0 == code
    plain = _ESCAPES.sub("", text)
    assert re.search(rf"\d\d:\d\d:\d\d .*{work_id} slow v\d+ \"done\" \S+ \S+, done in", plain)
    assert "1 running · 0 queued · 0 done" in text
    assert text.endswith("\r\x1b[K\r")


def test_a_worker_logs_json(shell, slow):
    """Each line is an object, from the first to the last."""
    work_id = shell.enqueue("slow", {"seconds": 0, "mark": str(shell.folder / "mark")})
    done = shell.run("worker", *slow, "--burst", "--log-format", "json")
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert [work_id] == [one["work_id"] for one in found if one.get("action") == "done"]
    assert {"time", "level", "logger", "message"} <= set(found[0])


def test_nobody_would_take_it(coloured, slow):
    """Enqueue says so on a terminal, besides the id."""
    text, code = on_terminal(coloured, "enqueue", *slow, "--engine", "slow", "--work-id", "w-1")
    assert 0 == code
    command = f"roost worker {' '.join(slow)} --engines slow"
    assert f"no live worker offers engine slow; try `{command}`" in " ".join(text.split())
    why = coloured.run("why", "w-1", *slow).stdout
    assert why.startswith("No live worker offers engine slow.\n")
    assert f"  try: {command}\n" in why
    listed = " ".join(_ESCAPES.sub("", on_terminal(coloured, "list", *slow)[0]).split())
    assert f"no live worker offers engine slow; try `{command}`" in listed


def test_watching_a_queue(coloured):
    """Its counts and its events, with ids; in a pipe as `roost events`; Ctrl-C ends it."""
    shell = coloured
    first = shell.enqueue("nobody", None)
    with ending(shell.start("watch", "--limit", "5")) as watch:
        assert ["enqueued", first] == watch.stdout.readline().split("\t")[1:3]
        second = shell.enqueue("nobody", None)
        assert ["enqueued", second] == watch.stdout.readline().split("\t")[1:3]
        watch.send_signal(signal.SIGINT)
        assert 130 == watch.wait(LIMIT)
    ours, theirs = pty.openpty()
    try:
        with ending(shell.start("watch", stdin=theirs, stdout=theirs, stderr=theirs)) as watch:
            os.close(theirs)
            text = b""
            while b"2 queued" not in text:
                text += os.read(ours, 65536)
            watch.send_signal(signal.SIGINT)
            text += read_terminal(ours).encode()
            assert 130 == watch.wait(LIMIT)
    finally:
        os.close(ours)
    for expected in ("queue default", "no live worker", first, second):
        assert expected.encode() in text
