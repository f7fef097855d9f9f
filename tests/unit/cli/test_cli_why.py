"""``roost why`` over a queue in memory."""

from __future__ import annotations

import pytest

from roost_core.cli import output
from tests.unit.cli.cli_harness import Bench


@pytest.fixture
def bench():
    """Give a queue in memory with a command line, and the work item w1."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    return bench


def test_what_it_prints(bench):
    """The answer first, then facts and commands, a line each."""
    expected = [
        "No live worker offers engine echo.",
        "  state queued, version 0",
        "  engine echo: 0 live workers",
        "  try: roost worker --plugin PATH --engines echo",
    ]
    assert expected == bench.ok("why", "w1").splitlines()


def test_json(bench):
    """One object, with the same."""
    expected = {
        "work_id": "w1",
        "state": "queued",
        "sentence": "No live worker offers engine echo.",
        "facts": ["state queued, version 0", "engine echo: 0 live workers"],
        "commands": ["roost worker --plugin PATH --engines echo"],
        "odd": [],
    }
    assert expected == bench.json("why", "w1", "--json")


def test_a_dead_letter_with_a_secret_and_terminal_commands(bench):
    """What code has written is shown on one line, and obeyed by no terminal."""
    bench.fail("no\x1b[2J\nat https://me:secret@example.com/x", error_type="OSError")
    for options in ((), ("--json",)):
        said = bench.ok("why", "w1", *options)
        assert "It is a dead letter, because OSError: no at https://" in said
        assert "secret" not in said
        assert "\x1b" not in said
        assert "roost retry w1" in said


def test_an_unknown_id(bench):
    """One line, and the exit code of whatever is missing."""
    result = bench.invoke("why", "w-none")
    assert (1, "") == (result.exit_code, result.stdout)
    assert 1 == len(result.stderr.splitlines())
    assert "w-none" in result.stderr


def test_it_changes_nothing(bench):
    """Not even an event."""
    before = bench.ok("events", "--json")
    bench.ok("why", "w1")
    assert before == bench.ok("events", "--json")


def test_an_id_that_is_typed_in_part(bench):
    """It is enough if no other begins like that."""
    bench.enqueue(work_id="long-0123456789")
    result = bench.invoke("why", "long-0")
    assert bench.ok("why", "long-0123456789") == result.stdout
    assert (0, "roost: long-0 stands for long-0123456789\n") == (result.exit_code, result.stderr)


def test_status_on_a_terminal_says_it_too(bench, monkeypatch):
    """The same answer stands below the heading."""
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    assert "No live worker offers engine echo." in bench.ok("status", "w1").splitlines()
