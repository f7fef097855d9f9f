"""What is odd about work, though no state tells."""

from __future__ import annotations

import pytest

from roost_core.backend import StepTally
from roost_core.codec.records import encode_model
from roost_core.codec.times import from_milliseconds
from roost_core.models import Heartbeat, State
from roost_core.shown.why import explain
from tests.unit.shown.test_why import HALT, NOW, at, event, facts, running, worker

WARNING = {"warning": "steps in a row have changed no data", "steps": 50}
BACK_AND_FORTH = {
    "warning": "steps in a row have gone back and forth between two states",
    "steps": 50,
    "since_version": 3,
    "since": "2026-01-01T00:00:00+00:00",
}


ODD = [
    (facts(ahead=0), [], []),
    (facts(ahead=0, work={"updated_ms": at(-300)}), [], ["it is next in line and has been"]),
    (facts(ahead=3, work={"updated_ms": at(-300)}), [], []),
    (facts(ahead=0, halt=HALT, work={"updated_ms": at(-300)}), [], []),
    (running(), [], []),
    (running(usual=StepTally("crawl", "read", 40, 4000, 1600)), [], []),
    (
        running(
            work={"leased_ms": at(-70), "committed_ms": at(-60)},
            usual=StepTally("crawl", "read", 40, 40_000, 19_000),
        ),
        [],
        ["its step has run for 60 s; within the last hour the longest of 40 like it took 19 s"],
    ),
    (
        running(
            work={"leased_ms": at(-70), "committed_ms": at(-60)},
            usual=StepTally("crawl", "read", 4, 100, 40),
        ),
        [],
        [
            "its step has run for 60 s; within the last hour the longest of 4 like it took 40 ms, "
            "and one 25 ms on average"
        ],
    ),
    # Three times nearly nothing is nothing odd.
    (
        running(work={"committed_ms": at(-9)}, usual=StepTally("crawl", "read", 40, 400, 10)),
        [],
        [],
    ),
    (
        running(work={"heartbeat": encode_model(Heartbeat(0.1, "x", from_milliseconds(at(-90))))}),
        [],
        ["its last heartbeat was 90 s ago"],
    ),
    # Steps of this engine usually take longer than that between two heartbeats.
    (
        running(
            work={"heartbeat": encode_model(Heartbeat(0.1, "x", from_milliseconds(at(-90))))},
            usual=StepTally("crawl", "read", 40, 4_000_000, 600_000),
        ),
        [],
        [],
    ),
    (
        running(holder=(worker()[0], at(-16))),
        [],
        ["its worker has not been heard of for 16 s"],
    ),
    (running(holder=(b"", 0)), [], ["its worker host-1 is not in the register"]),
    (
        running(work={"version": 60, "steps_in_row": 55}),
        [event("emitted", 50, State.RUNNING, **WARNING)],
        ["50 steps in a row had changed no data at version 50"],
    ),
    (
        running(work={"version": 60, "steps_in_row": 55}),
        [event("emitted", 50, State.RUNNING, **BACK_AND_FORTH)],
        [
            "50 steps in a row had gone back and forth between two states at version 50 "
            "(nothing new since version 3, "
        ],
    ),
    # What an engine emits may look like it.
    (
        running(work={"version": 60, "steps_in_row": 55}),
        [event("emitted", 50, State.RUNNING, **{**BACK_AND_FORTH, "since": "soon"})],
        [
            "50 steps in a row had gone back and forth between two states at version 50 "
            "(nothing new since version 3), and"
        ],
    ),
    # A poller: there was a delay since.
    (
        facts(State.SLEEPING, work={"version": 60, "steps_in_row": 0, "due_ms": at(9)}),
        [event("emitted", 50, State.RUNNING, **WARNING)],
        [],
    ),
    (
        running(work={"version": 60, "steps_in_row": 55}),
        [event("emitted", 50, State.RUNNING, note="my own")],
        [],
    ),
    (
        facts(State.DONE, work={"version": 60, "steps_in_row": 55}),
        [event("emitted", 50, State.RUNNING, **WARNING)],
        [],
    ),
]


@pytest.mark.parametrize(("known", "trail", "expected"), ODD)
def test_what_is_odd(known, trail, expected):
    """A sign that something is wrong, though no state tells; a healthy poller is not odd."""
    found = explain(known, NOW, trail).odd
    assert len(expected) == len(found), found
    assert all(line.startswith(begin) for line, begin in zip(found, expected, strict=True))
