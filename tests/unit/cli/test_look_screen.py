"""``roost status`` on a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import attrs
from rich.console import Console

from roost_core.cli.look.screen import show
from roost_core.models import (
    Artifact,
    ErrorRecord,
    Fork,
    Heartbeat,
    Lease,
    Snapshot,
    State,
    Verb,
    WorkItem,
    WorkStatus,
)
from roost_core.models.control import Act, Actor
from roost_core.models.work import ForkedFrom
from roost_core.models.worker import Stuck
from roost_core.shown.verbs import told
from roost_core.shown.why import Why
from tests.unit.cli.test_look_listing import ID, NOW, row

TRACE = 'Traceback (most recent call last):\n  File "/src/flaky.py", line 8, in step\n'


def screen(
    width=80, snapshot=None, stuck=None, why=None, payload=None, forks=(), origin=None, **fields
):
    """Return the lines of a screen."""
    meta = attrs.evolve(row().meta, created_at=NOW - timedelta(hours=2), **fields)
    item = WorkItem(ID, "echo", payload or {}, created_at=NOW, title="A title", forked_from=origin)
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    show(console, WorkStatus(meta, item, snapshot, stuck, forks), (), now=NOW, why=why)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def fact(lines, name):
    """Return what stands behind a name."""
    return next(one[len(name) :].strip() for one in lines if one.startswith(f"{name} "))


def test_running_work():
    """Progress, step and lease, and what it has been asked for."""
    lines = screen(
        state=State.RUNNING,
        wish=Verb.PAUSE,
        version=3,
        step="read",
        attempts=1,
        lease=Lease(ID, "worker-1", "", 1, NOW + timedelta(seconds=12)),
        heartbeat=Heartbeat(0.25, "page 1 \x1b[31mof 4", NOW - timedelta(seconds=3)),
        stuck=Stuck(NOW - timedelta(seconds=90), "engine.py:9 in step"),
    )
    assert f"{ID}  running (pausing, after this step)  A title" == lines[0]
    assert "█████░░░░░░░░░░░░░░░ 25%  page 1 of 4 (3 s ago)" == fact(lines, "progress")
    assert 'v3 "read"' == fact(lines, "step")
    assert "1 of 5 failed" == fact(lines, "attempts")
    assert "worker-1, ends in 12 s unless renewed" == fact(lines, "lease")
    assert "its worker hangs at engine.py:9 in step, for 90 s" == fact(lines, "hangs")
    assert f"follow: roost watch {ID}" in lines


def test_failed_work():
    """The error in one line, with its place, and the two commands that help."""
    lines = screen(
        state=State.FAILED,
        error=ErrorRecord("exception", "upstream said 500", "RuntimeError", TRACE),
        finished_at=NOW - timedelta(seconds=120),
        why=Why(ID, State.FAILED, "a sentence", commands=(f"roost retry {ID}",)),
    )
    assert "a sentence" not in lines
    assert "RuntimeError: upstream said 500 (flaky.py:8)" == fact(lines, "error")
    assert "created 2 h ago, ended 2 m ago, after 2 h" == fact(lines, "times")
    assert [f"retry: roost retry {ID}", f"the whole error: roost status {ID} --traceback"] == lines[
        lines.index("") + 1 :
    ][:2]


def test_who_did_what_is_said_once():
    """A pause is told by the sentence, a burial by hand; what the sentence lacks is told below."""
    alice = Actor("alice@laptop", "roost pause", "wait for the list")
    act = Act(Verb.PAUSE, alice, NOW, NOW)
    said = f"It was {told(act)} (0 s ago)."
    paused = screen(state=State.PAUSED, act=act, why=Why(ID, State.PAUSED, said))
    assert [said] == [line for line in paused if "alice" in line]
    unsaid = screen(state=State.PAUSED, act=act, why=Why(ID, State.PAUSED, "It is paused."))
    assert f"{told(act)}, now" == fact(unsaid, "by hand")
    act = Act(Verb.BURY, alice, NOW, NOW)
    error = ErrorRecord("buried", "buried by alice@laptop: wait for the list")
    buried = screen(state=State.FAILED, act=act, error=error)
    assert [f"by hand    {told(act)}, now"] == [line for line in buried if "alice" in line]


def test_why_it_does_not_run():
    """The answer stands first, what is odd below it, and what would change it at the end."""
    why = Why(
        ID,
        State.QUEUED,
        "No live worker offers engine echo.",
        facts=("not shown",),
        commands=("roost worker --plugin PATH", f"roost watch {ID}"),
        odd=("it is late",),
    )
    lines = screen(state=State.QUEUED, why=why)
    assert ["No live worker offers engine echo.", "odd: it is late"] == lines[1:3]
    after = lines[lines.index("") + 1 :]
    # What is told anyway is not told twice.
    assert ["try: roost worker --plugin PATH", f"follow: roost watch {ID}"] == after[:2]
    assert 1 == sum("roost watch" in line for line in lines)


def test_long_things_are_cut():
    """Payload and data take a line each, without secrets; old artifacts are counted."""
    artifacts = tuple(Artifact(f"{at:064x}", 5000, "json") for at in range(7))
    snapshot = Snapshot(ID, "echo", 3, data={"text": "x" * 500}, artifacts=artifacts)
    lines = screen(snapshot=snapshot, payload={"api_key": "s3cret"})
    assert '{"api_key": "***"}' == fact(lines, "payload")
    assert fact(lines, "data").endswith("…")
    assert "000000000000….json, 4.9 KiB" == fact(lines, "artifacts")
    assert "           and 2 older ones" in lines
    assert max(map(len, lines)) <= 80
    assert f"artifacts: roost artifacts {ID}" in lines


def test_forks():
    """Where it comes from, and the newest that came from it; the others are counted."""
    forks = tuple(Fork(f"f{n}", n, NOW - timedelta(minutes=n)) for n in (2, 3, 4, 5, 6))
    lines = screen(forks=forks, origin=ForkedFrom("w-0", 31))
    assert "w-0 v31" == fact(lines, "fork of")
    at = lines.index(next(line for line in lines if line.startswith("forks ")))
    assert [
        "forks      f2 from v2, 2 m ago",
        "           f3 from v3, 3 m ago",
        "           f4 from v4, 4 m ago",
        "           and 2 older ones",
    ] == lines[at : at + 4]
    assert not any("fork" in line for line in screen())


def test_times_are_this_machines_if_not_given():
    """The clock is read when nobody gives a time."""
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    meta = attrs.evolve(row().meta, created_at=datetime.now(UTC) - timedelta(hours=2))
    show(console, WorkStatus(meta, WorkItem(ID, "echo", {}, created_at=NOW), None), ())
    assert "created 2 h ago" in console.file.getvalue()
