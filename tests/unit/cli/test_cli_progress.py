"""Bars, sums, and the hint that nobody works here."""

from __future__ import annotations

import io
import json
import sys

import pytest

from roost_core.cli import progress
from roost_core.cli.progress import Progress, bar
from roost_core.cli.work import sending
from roost_core.codec.records import encode_model
from tests.unit.cli.cli_harness import Bench
from tests.unit.cli.test_cli_register import WORKER


@pytest.mark.parametrize(
    ("done", "seconds", "expected"),
    [
        (0, 9, "send ░░░░░░░░░░░░░░░░░░░░ 0 of 3,000"),
        (1500, 0.1, "send ██████████░░░░░░░░░░ 1,500 of 3,000"),
        (1500, 2, "send ██████████░░░░░░░░░░ 1,500 of 3,000  750/s  2 s left"),
        (3000, 4, "send ████████████████████ 3,000 of 3,000  750/s  0 s left"),
    ],
)
def test_bars(done, seconds, expected):
    """How far, how fast, and how long it will take, once that is known."""
    assert expected == bar("send", done, 3000, seconds)


class Terminal(io.StringIO):
    """Standard error that a person reads."""

    def isatty(self):
        """Say so."""
        return True


def test_a_bar_is_drawn_now_and_then(monkeypatch):
    """Not for each item, not where nobody reads it, and it is gone at the end."""
    times = iter([0, *(at / 100 for at in range(1, 50))])
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress("send", 30, clock=lambda: next(times)) as shown:
        for _ in range(20):
            shown.advance()
    drawn = sys.stderr.getvalue().split("\r\x1b[K")[1:]
    assert 2 <= len(drawn) <= 5
    assert "" == drawn[-1]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress("send", 1, clock=iter(range(99)).__next__) as shown:
        shown.advance()
    assert "" == sys.stderr.getvalue()


def lines(count):
    """Return a batch; each id is there twice."""
    rows = [{"engine": "echo", "work_id": f"w{at // 2}"} for at in range(count)]
    return "\n".join(map(json.dumps, rows))


def test_at_most_ten_refusals_are_named():
    """The others are counted, and the last line has the totals."""
    result = Bench().invoke("enqueue", "--batch", "-", stdin=lines(50))
    told = result.stderr.splitlines()
    assert (1, 25) == (result.exit_code, len(result.stdout.split()))
    assert [f"roost: line {2 * at + 2}: work id w{at} is taken" for at in range(10)] == [
        line[: len(f"roost: line {2 * at + 2}: work id w{at} is taken")]
        for at, line in enumerate(told[:10])
    ]
    assert "roost: 15 more lines were refused" == told[10]
    assert told[11].startswith("roost: enqueued 25 of 50, 25 refused, in ")
    assert 12 == len(told)


def test_people_are_told_that_nobody_works_here(monkeypatch):
    """Programs are not: they see the id and nothing else."""
    bench = Bench()
    bench.ok("enqueue", "--engine", "echo")
    monkeypatch.setattr(sending, "on_stderr", lambda: True)
    monkeypatch.setattr(progress, "on_stderr", lambda: True)
    command = "roost worker --plugin PATH --engines echo"
    hint = f"no live worker offers engine echo; try `{command}`"
    assert f"roost: {hint}\n" == bench.invoke("enqueue", "--engine", "echo").stderr
    batch = bench.invoke("enqueue", "--batch", "-", "--engine", "echo", stdin="{}\n{}\n").stderr
    assert 1 == batch.count(hint)
    assert "roost: enqueued 2 of 2, in " in batch
    bench.ledger.renewer().renew(encode_model(WORKER), (), 15_000)
    bench.ok("enqueue", "--engine", "echo")
    bench.ok("pause", "--engine", "echo", "--as", "alice", "--reason", "down")
    held = "engine echo has been held by alice for 0 s: down; try `roost resume --engine echo`"
    assert f"roost: {held}\n" == bench.invoke("enqueue", "--engine", "echo").stderr
    bench.ok("resume", "--engine", "echo")
