"""What a worker tells of its steps: lines up to a rate, then sums."""

from __future__ import annotations

import asyncio
import json
import logging
import threading

import pytest

from roost_core.cli.operate.log_format import JsonFormatter, TextFormatter, said_as_json
from roost_core.cli.operate.outcomes import MOST_LINES, Outcomes
from roost_core.models import Snapshot, State, WorkItem
from tests.event_loops import leaping
from tests.unit.cli.test_look_listing import NOW

ITEM = WorkItem("w1", "agent", {}, created_at=NOW)


@pytest.fixture
def lines(caplog):
    """Give a function that returns what was logged since it was last called."""
    caplog.set_level(logging.INFO, "roost")

    def take():
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return found

    return take


def accept(outcomes, count=1, state=State.RUNNING):
    """Accept some steps."""
    for version in range(1, count + 1):
        outcomes.accepted(ITEM, Snapshot("w1", "agent", version, "read"), state, 0.012)


def failure():
    """Return the record of a failed attempt."""
    record = logging.makeLogRecord({"name": "roost.stepper", "msg": "w1 failed"})
    record.action = "attempt_failed"
    return record


@leaping()
async def test_a_line_for_each_step(lines):
    """With version, label and time; the last one says after how many steps it is done."""
    outcomes = Outcomes(asyncio.get_running_loop())
    accept(outcomes)
    assert ['w1 agent v1 "read" 12 ms'] == lines()
    outcomes.accepted(ITEM, Snapshot("w1", "agent", 22, "end"), State.DONE, 1.5)
    assert ['w1 agent v22 "end" 1.5 s, done in 22 steps'] == lines()
    await asyncio.sleep(1.5)
    assert [] == lines()
    assert (1, 0) == (outcomes.done, outcomes.failed)


@leaping()
async def test_above_a_rate_a_sum_each_second(lines):
    """As long as there is this much to tell, no step has a line; then they have again."""
    outcomes = Outcomes(asyncio.get_running_loop())
    accept(outcomes, 500)
    accept(outcomes, 3, State.DONE)
    assert MOST_LINES == len(lines())
    await asyncio.sleep(1.1)
    assert ["in the last second: 503 steps · 3 done"] == lines()
    accept(outcomes, 30)
    outcomes.filter(failure())
    assert [] == lines()
    await asyncio.sleep(1)
    assert ["in the last second: 30 steps · 1 failed"] == lines()
    accept(outcomes, 5)
    await asyncio.sleep(1)
    assert ["in the last second: 5 steps"] == lines()
    accept(outcomes, 5)
    assert 5 == len(lines())


@leaping()
async def test_failures_are_limited_as_well(lines):
    """What is not about a step always gets through."""
    outcomes = Outcomes(asyncio.get_running_loop())
    passed = [outcomes.filter(failure()) for _ in range(100)]
    assert [True] * MOST_LINES + [False] * (100 - MOST_LINES) == passed
    assert outcomes.filter(logging.makeLogRecord({"msg": "the server is away"}))
    await asyncio.sleep(1.1)
    assert ["in the last second: 0 steps · 100 failed"] == lines()


@leaping()
async def test_an_idle_worker_wakes_for_nothing():
    """When all is told, no timer is left."""
    loop = asyncio.get_running_loop()
    outcomes = Outcomes(loop)
    accept(outcomes, 1)
    await asyncio.sleep(5)
    assert not outcomes._is_armed


@leaping()
async def test_a_failure_may_be_logged_by_another_thread(lines):
    """The keeper's, for one: the sum still comes from the loop."""
    outcomes = Outcomes(asyncio.get_running_loop())
    keeper = threading.Thread(target=lambda: [outcomes.filter(failure()) for _ in range(50)])
    keeper.start()
    keeper.join()
    await asyncio.sleep(1.2)
    assert ["in the last second: 0 steps · 50 failed"] == lines()


def record(**fields):
    """Return a log record."""
    given = {
        "name": "roost.x",
        "levelname": "WARNING",
        "levelno": 30,
        "msg": "bad \x1b[31m%s",
        "args": ("thing",),
    }
    return logging.makeLogRecord({**given, "created": 1767323045.5, **fields})


def test_json_lines():
    """Time, level, logger, message and the record's own fields; one line, nothing to obey."""
    line = JsonFormatter().format(record(action="lease_lost", work_id="w1", odd=object()))
    assert {
        "time": "2026-01-02T03:04:05.500Z",
        "level": "warning",
        "logger": "roost.x",
        "message": "bad thing",
        "action": "lease_lost",
        "work_id": "w1",
    } == json.loads(line)
    assert "roost" == json.loads(said_as_json("stopping\nnow"))["logger"]


def test_tracebacks():
    """They are a field of the JSON, and lines of the text."""
    try:
        raise RuntimeError("no\x1b[31m")
    except RuntimeError as error:
        info = (RuntimeError, error, error.__traceback__)
    line = JsonFormatter().format(record(exc_info=info))
    assert json.loads(line)["exception"].endswith("RuntimeError: no")
    assert "\n" not in line
    text = TextFormatter().format(record(exc_info=info)).splitlines()
    assert text[0].endswith(" WARNING roost.x: bad thing")
    assert "RuntimeError: no" == text[-1]
