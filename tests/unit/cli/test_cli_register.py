"""``roost workers`` and ``roost artifacts``."""

from __future__ import annotations

import io
from datetime import timedelta

import attrs
import pytest
from rich.console import Console

from roost_core.cli import output
from roost_core.cli.look import register
from roost_core.codec.records import encode_model
from roost_core.models import Artifact, WorkerInfo
from roost_core.models.worker import Stuck
from tests.unit.cli.cli_harness import Bench
from tests.unit.cli.test_look_listing import NOW

WORKER = WorkerInfo(
    "worker-1", "host", 42, ("echo", "other"), 10, 15.0, "1.0", NOW, queues=("default", "mail")
)
STUCK = Stuck(NOW - timedelta(seconds=30), "engine.py:9 in step")
ARTIFACT = Artifact("a" * 64, 5000, "json", "answer")


@pytest.fixture
def bench():
    """Give a queue in memory with one live worker, which runs one work item."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    bench.claim()
    bench.ledger.renewer().renew(encode_model(WORKER), (), 15_000)
    return bench


def test_workers_for_programs(bench):
    """A row each, and the same as JSON with all that is known."""
    row = ["worker-1", "host", "42", "default,mail", "echo,other", "10", "1"]
    assert row == bench.ok("workers").rstrip("\n").split("\t")[:7]
    (found,) = bench.json("workers", "--json")
    assert ("worker-1", 1, ["default", "mail"]) == (
        found["worker_id"],
        found["running"],
        found["queues"],
    )


def test_workers_for_people():
    """What hangs or is lost is told in words; nobody there is told, too."""
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    later = NOW + timedelta(hours=2)
    bad = attrs.evolve(WORKER, stuck=STUCK, lost=2)
    register.show(console, [WORKER], {"worker-1": 1}, later)
    register.show(console, [bad], {}, NOW)
    register.show(console, [], {}, NOW)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert "worker    running  since    engines      queues         pid  host" == lines[0]
    assert "worker-1  1 of 10  2 h ago  echo, other  default, mail   42  host" == lines[1]
    assert ["hangs", "echo, other"] == [one for one in lines[3].split("  ") if one][3:5]
    assert "worker-1 hangs at engine.py:9 in step, for 30 s: roost doctor" == lines[4]
    assert "worker-1 has lost 2 steps: they were ended and still run" == lines[5]
    assert "no live worker: start one with `roost worker`" == lines[-1]


def test_no_worker_is_no_row():
    """And no error."""
    assert "" == Bench().ok("workers")


def test_artifacts(monkeypatch):
    """Rows for programs, with the id first; for people how to see one."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    assert "" == bench.ok("artifacts", "w1")
    bench.finish("w1", artifacts=(ARTIFACT,))
    assert f"{'a' * 64}\tjson\t5000\tanswer\n" == bench.ok("artifacts", "w1")
    assert ["answer"] == [one["name"] for one in bench.json("artifacts", "w1", "--json")]
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    lines = bench.ok("artifacts", "w1").splitlines()
    assert [f"{'a' * 64}  answer  json", "", f"print one: roost artifact-show {'a' * 64}"] == [
        line.rstrip() for line in lines[1:]
    ]
    assert 1 == bench.invoke("artifacts", "w2").exit_code
