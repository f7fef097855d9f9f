"""``roost overview`` over a queue in memory, and how it looks on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from roost_core.cli.look.overview import show
from roost_core.codec.times import from_milliseconds
from roost_core.models import ErrorRecord, State, WorkerInfo
from roost_core.models.overview import (
    FailureGroup,
    Minute,
    OddThing,
    Overview,
    ResourceNow,
    RunningNow,
    WaitingGroup,
    WorkerNow,
)
from tests.unit.cli.cli_harness import Bench

NOW = from_milliseconds(1_800_000_000_000)
EARLIER = from_milliseconds(1_799_999_880_000)
LATER = from_milliseconds(1_800_000_012_000)


@pytest.fixture
def bench():
    """Give a queue in memory with a command line."""
    return Bench()


def drawn(found, width=80):
    """Return the lines that a terminal shows."""
    out = io.StringIO()
    show(Console(file=out, width=width, color_system=None), found)
    return out.getvalue().splitlines()


def busy(**fields):
    """Make an overview of a queue in which much happens."""
    query = "state:failed error:#0123456789ab"
    group = FailureGroup(
        "0123456789ab",
        1200,
        "HTTPError: 429 \x1b[31mtoo many requests, and a text that needs two lines",
        ("crawl", "summarize"),
        EARLIER,
        "w1",
        query,
        f"roost retry '{query}'",
        ErrorRecord("exception", "x"),
    )
    info = WorkerInfo("box-1-a", "box", 1, ("crawl",), 10, 15.0, "1", EARLIER)
    runs = RunningNow("w2", "crawl", "the [b]index[/b]", "s", 7, "box-1-a", NOW, LATER, 3.0)
    known = {
        "counts": {State.RUNNING: 2, State.FAILED: 1200},
        "failures": (group,),
        "more_failures": 3,
        "odd": (OddThing(("its step has run for 2 h",), "roost why w2", "w2"),),
        "waiting": (WaitingGroup("no_worker", 30, "No live worker offers engine x.", ("run",)),),
        "hour": tuple(Minute(NOW, n % 7, n % 2) for n in range(60)),
        "workers": (WorkerNow(info, 2, (runs,), is_behind=True),),
        "resources": (ResourceNow("domain:a", "w2", "crawl", "box-1-a", LATER, 3, "w3"),),
        "more_resources": 5,
    }
    return Overview(NOW, **{**known, **fields})


def test_json_of_an_empty_queue(bench):
    """Every part is there, and all is well."""
    bench.roost()
    found = bench.json("overview", "--json")
    assert (True, [], []) == (found["is_well"], found["failures"], found["waiting"])
    assert {str(state) for state in State} == set(found["counts"])


def test_a_pipe_gets_json_and_secrets_are_hidden(bench):
    """As `status` does."""
    bench.enqueue(work_id="w1")
    bench.fail("no login for postgres://me:hunter2@db/x")
    text = bench.ok("overview")
    assert "hunter2" not in text
    assert bench.json("overview")["failures"][0]["count"] == 1


@pytest.mark.parametrize("width", [40, 80, 120])
def test_it_fits_its_terminal(width):
    """Only commands may be longer, because they are copied: the terminal breaks those."""
    lines = drawn(busy(), width)
    assert [] == [line for line in lines if len(line) > width and "roost " not in line]
    assert "\x1b" not in "".join(lines)


def test_what_it_says():
    """The verdict first, then each part with its commands, and how much more there is."""
    lines = drawn(busy())
    assert "needs you: 1200 dead letters, 1 odd, 30 cannot run" == lines[0]
    assert "2 running · 1200 failed" == lines[1]
    assert lines[2].startswith("steps     ▁▂")
    assert lines[3].startswith("failures  ▁█")
    for expected in (
        "        roost retry 'state:failed error:#0123456789ab'",
        "and 3 more: roost overview --json",
        "    w2  its step has run for 2 h",
        "    30  No live worker offers engine x.",
        "box-1-a   2/10  the [b]index[/b] v7, 3 s and 1 more  older: 1",
        "domain:a        3  w2       in 12 s  w3",
        "and 5 more: roost overview --json",
    ):
        assert expected in lines


def test_all_is_well():
    """One glance at one line is enough."""
    lines = drawn(Overview(NOW, {State.DONE: 3}))
    assert ["all is well", "3 done"] == lines
