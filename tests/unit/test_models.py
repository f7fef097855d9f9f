"""What the models accept, and what they refuse."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from roost_core.errors import InvalidInput
from roost_core.models import (
    MAX_DELAY_SECONDS,
    MAX_LABEL,
    MAX_PRIORITY,
    MAX_RESOURCES,
    MIN_PRIORITY,
    TERMINAL_STATES,
    Artifact,
    RetryPolicy,
    Snapshot,
    State,
    WorkItem,
    check_seconds,
    milliseconds,
)

SHA = "0" * 64


def item(**fields: Any) -> WorkItem:
    """Make a work item."""
    return WorkItem(**{"work_id": "a", "engine": "e", **fields})


@pytest.mark.parametrize("work_id", ["a", "A-1_2.3", "0", "x" * 128])
def test_work_ids(work_id: str) -> None:
    """Letters, digits and three signs, up to 128."""
    assert work_id == item(work_id=work_id).work_id


@pytest.mark.parametrize(
    "work_id", ["", "-a", ".", "..", "a/b", "a b", "a\n", "ä", "x" * 129, "a:b", "{a}", None, 1]
)
def test_bad_work_ids(work_id: Any) -> None:
    """Nothing that could be a path, part of a key, or a line."""
    with pytest.raises(InvalidInput, match="work id"):
        item(work_id=work_id)


@pytest.mark.parametrize("engine", ["", "a b", "a\n", "x" * 65, "é", None])
def test_bad_engine_ids(engine: Any) -> None:
    """Engine ids hold no space, because they are parts of index members."""
    with pytest.raises(InvalidInput, match="engine id"):
        item(engine=engine)


@pytest.mark.parametrize("priority", [MIN_PRIORITY, 0, MAX_PRIORITY])
def test_priorities(priority: int) -> None:
    """Both ends are in the range."""
    assert priority == item(priority=priority).priority


@pytest.mark.parametrize("priority", [MIN_PRIORITY - 1, MAX_PRIORITY + 1, 0.5, True, "1", None])
def test_bad_priorities(priority: Any) -> None:
    """Whole numbers in the range, and no booleans."""
    with pytest.raises(InvalidInput, match="priority"):
        item(priority=priority)


def test_resources_become_a_tuple() -> None:
    """A list of names is kept in its order."""
    assert ("b", "domain:example.com") == item(resources=["b", "domain:example.com"]).resources


@pytest.mark.parametrize(
    "resources",
    [
        "abc",
        b"abc",
        {"a": 1},
        5,
        None,
        [""],
        ["a b"],
        ["a\n"],
        ["ü"],
        [1],
        ["a", "a"],
        ["x" * 201],
        [f"r{number}" for number in range(MAX_RESOURCES + 1)],
    ],
)
def test_bad_resources(resources: Any) -> None:
    """A string is not a list of letters; names are visible ASCII, each once, not too many."""
    with pytest.raises(InvalidInput, match="resource"):
        item(resources=resources)


@pytest.mark.parametrize("field", ["title", "idempotency_key"])
@pytest.mark.parametrize("label", ["", "x" * (MAX_LABEL + 1), "a\nb", "a\x1b[1m", "\ud800", 5])
def test_bad_labels(field: str, label: Any) -> None:
    """Short texts are printable, not empty, and short."""
    with pytest.raises(InvalidInput, match=field):
        item(**{field: label})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("deadline_at", "2030-01-01"),
        ("deadline_at", 5),
        ("retry", None),
        ("retry", {"max_attempts": 1}),
        ("max_recoveries", -1),
        ("max_recoveries", 1.0),
        ("max_recoveries", True),
        ("step_timeout_seconds", 0),
        ("step_timeout_seconds", math.nan),
        ("step_timeout_seconds", math.inf),
        ("step_timeout_seconds", "5"),
        ("parent", "a/b"),
    ],
)
def test_bad_fields(field: str, value: Any) -> None:
    """Every field of a work item is checked, and named."""
    with pytest.raises((InvalidInput, TypeError), match=field if field != "parent" else "work id"):
        item(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_attempts", 0),
        ("max_attempts", 1.5),
        ("base_seconds", 0),
        ("base_seconds", -1),
        ("factor", 0.5),
        ("factor", math.inf),
        ("max_seconds", MAX_DELAY_SECONDS + 1),
        ("jitter", 1.1),
        ("jitter", -0.1),
        ("jitter", math.nan),
    ],
)
def test_bad_retry_policies(field: str, value: Any) -> None:
    """A policy that could not be followed is refused."""
    with pytest.raises(InvalidInput, match=field):
        RetryPolicy(**{field: value})


@pytest.mark.parametrize(
    "fields",
    [
        {"artifact_id": "A" * 64},
        {"artifact_id": "0" * 63},
        {"artifact_id": SHA + "\n"},
        {"artifact_id": "../" + SHA},
        {"size_bytes": -1},
        {"ext": ""},
        {"ext": "JSON"},
        {"ext": "../x"},
        {"ext": "x" * 9},
        {"name": "a\nb"},
    ],
)
def test_bad_artifacts(fields: dict[str, Any]) -> None:
    """Ids and extensions that become file names hold nothing else."""
    with pytest.raises(InvalidInput):
        Artifact(**{"artifact_id": SHA, "size_bytes": 0, **fields})


@pytest.mark.parametrize(
    "value", [-1, -0.001, math.nan, math.inf, -math.inf, MAX_DELAY_SECONDS + 1, 10**400, "1", True]
)
def test_bad_seconds(value: Any) -> None:
    """A delay is a finite number of seconds from 0 to ten years."""
    with pytest.raises(InvalidInput, match="the delay must be"):
        check_seconds(value, "the delay")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0, 0), (0.9, 900), (0.0001, 1), (1.0, 1000), (0.1 + 0.2, 300), (1.2341, 1235)],
)
def test_milliseconds_round_up(seconds: float, expected: int) -> None:
    """Nothing comes early, and what looks whole stays so."""
    assert expected == milliseconds(seconds)


def test_terminal_states() -> None:
    """Three states are terminal; all others are not."""
    assert {State.DONE, State.FAILED, State.CANCELLED} == TERMINAL_STATES
    assert {one for one in State if one.is_terminal} == TERMINAL_STATES


def test_a_snapshot_starts_from_its_item() -> None:
    """The first snapshot has the item's id and engine, and no version yet."""
    snapshot = Snapshot.start(item(), data={"n": 0})
    expected = ("a", "e", 0, "init", {"n": 0})
    assert expected == (
        snapshot.work_id,
        snapshot.engine,
        snapshot.version,
        snapshot.step,
        snapshot.data,
    )


def test_the_next_snapshot_inherits_no_delay() -> None:
    """A delay is for one step; the data stay until they are changed."""
    first = Snapshot.start(item(), data={"n": 1}, next_step_delay_seconds=5.0)
    second = first.evolve(step="two")
    assert (None, {"n": 1}, "two") == (
        second.next_step_delay_seconds,
        second.data,
        second.step,
    )
    assert 5.0 == first.next_step_delay_seconds


def test_steps_that_say_nothing_are_labelled() -> None:
    """``init`` is the first step only, and the last one is ``done``."""
    first = Snapshot.start(item())
    second = first.evolve()
    last = second.finish(data={"n": 2})
    assert ["init", "step", "done"] == [first.step, second.step, last.step]
    assert last.is_finished
    assert "proved" == second.finish(step="proved").step


@pytest.mark.parametrize("changes", [{"other": 1}, {"step": ""}, {"step": "a\nb"}])
def test_the_next_snapshot_is_checked_for_what_is_new(changes: dict[str, Any]) -> None:
    """An unknown field, or an invalid label, fails where it is written."""
    with pytest.raises(TypeError if "other" in changes else InvalidInput):
        Snapshot.start(item()).evolve(**changes)


def test_models_are_frozen() -> None:
    """What was accepted does not change."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        item().priority = 1  # type: ignore[misc]  # that it is refused is the point
    aware = datetime(2030, 1, 1, tzinfo=UTC)
    assert aware == attrs.evolve(item(), deadline_at=aware).deadline_at
