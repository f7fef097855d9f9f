"""Which results of an engine become the next snapshot."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from types import MappingProxyType

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.codec.snapshots import decode_snapshot, encode_snapshot
from roost_core.errors import CodecError, InvalidStepResult
from roost_core.models import MAX_DELAY_SECONDS, Artifact, Snapshot, WorkItem
from roost_core.stepping.acceptance import accept, is_empty

ITEM = WorkItem("w-1", "demo", payload={"a": 1})
ARTIFACT = Artifact("0" * 64, 3)


def start(**fields):
    """Make a snapshot of the item."""
    return Snapshot.start(ITEM, **fields)


def refusal(result):
    """Return why a result is not accepted."""
    with pytest.raises(InvalidStepResult) as caught:
        accept(result, ITEM, 4)
    text = str(caught.value)
    assert "demo" in text
    assert "\n" not in text
    return text


def test_a_snapshot_is_accepted():
    """The data, label and artifacts stay; the version is the next one."""
    accepted = accept(start(data={"n": 1}, step="look", artifacts=(ARTIFACT,)), ITEM, 4)
    assert start(data={"n": 1}, step="look", artifacts=(ARTIFACT,), version=5) == accepted


@pytest.mark.parametrize("version", [0, -3, 4, 5, 99, None, "7", math.nan])
def test_the_engines_version_is_ignored(version):
    """The runtime alone numbers versions."""
    assert 5 == accept(start(version=version), ITEM, 4).version


def test_the_given_snapshot_is_no_next_one():
    """Returning what was given is no progress; an equal new one is accepted."""
    given = start(version=4, data={"n": 1})
    with pytest.raises(InvalidStepResult, match=r"demo returned the snapshot that it was given"):
        accept(given, ITEM, 4, given)
    assert {"n": 1} == accept(given.evolve(), ITEM, 4, given).data


@pytest.mark.parametrize("version", [1, 3])
def test_an_older_snapshots_child_is_no_next_one(version):
    """An engine that continues from a snapshot that it kept would undo what was accepted since."""
    old = start(version=version)
    with pytest.raises(
        InvalidStepResult, match=rf"demo .* made from version {version}, .*4: evolve"
    ):
        accept(old.evolve(data={"n": 1}), ITEM, 4, start(version=4))


@pytest.mark.parametrize("version", [0, -3, 4, 5, 99, None, "7", True, 3.0, math.nan])
def test_other_versions_are_ignored(version):
    """One made from nothing has version 0; any other number is the engine's invention."""
    assert 5 == accept(start(version=version), ITEM, 4, start(version=4)).version


def test_what_is_empty():
    """Nothing, or the very snapshot that was given; in init_snapshot there is none."""
    given = start(version=4)
    found = [is_empty(one, given) for one in (None, given, start(version=4), 0, {})]
    assert [True, True, False, False, False] == found
    assert [True, False] == [is_empty(one, None) for one in (None, given)]


def test_times_are_the_servers():
    """Times that the engine wrote are dropped."""
    now = datetime.now(UTC)
    accepted = accept(start(created_at=now, updated_at=now, finished_at="x"), ITEM, 4)
    assert (None, None, None) == (
        accepted.created_at,
        accepted.updated_at,
        accepted.finished_at,
    )


def test_nothing_returned():
    """A step without a return is reported, with a hint."""
    assert "returned None, not a Snapshot; did a branch forget its return?" in refusal(None)


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ({"n": 1}, "a dict"),
        ("done", "a str"),
        (1, "a int"),
        (True, "a bool"),
        ((start(), 1), "a tuple"),
        (ITEM, "a WorkItem"),
        (Snapshot, "a type"),
        (NotImplemented, "a NotImplementedType"),
    ],
)
def test_another_type(result, shown):
    """What is not a snapshot is named by its type."""
    assert f"returned {shown}, not a Snapshot" in refusal(result)


@pytest.mark.parametrize(
    "fields",
    [
        {"work_id": "w-2"},
        {"engine": "other"},
        {"work_id": None},
        {"engine": 5},
        {"work_id": ["w-1"]},
        {"work_id": "x" * 100_000},
        {"engine": "\ud800"},
    ],
)
def test_a_snapshot_of_another_item(fields):
    """A snapshot made for other work, or another engine, is not stored here."""
    text = refusal(attrs.evolve(start(), **fields))
    assert "not of w-1: make it with snapshot.evolve(...)" in text
    assert len(text) < 400


@pytest.mark.parametrize("data", [None, [], "x", 5, [("a", 1)], {1, 2}])
def test_data_is_an_object(data):
    """Data that is not a mapping is refused."""
    assert "data must be an object" in refusal(start(data=data))


def test_data_may_be_any_mapping():
    """Any mapping passes here; whether it is JSON is for the codec to decide."""
    assert {"a": 1} == dict(accept(start(data=MappingProxyType({"a": 1})), ITEM, 0).data)


@pytest.mark.parametrize(
    "artifacts",
    [None, "abc", 5, ["0" * 64], (ARTIFACT, None), [{"artifact_id": "0" * 64}], {"a": ARTIFACT}],
)
def test_artifacts_are_what_the_store_gave(artifacts):
    """Ids, dictionaries and other things are not artifacts."""
    assert "artifacts must hold" in refusal(start(artifacts=artifacts))


def test_a_generator_of_artifacts_is_refused():
    """Looking at a generator would use it up, and the artifacts would be lost silently."""
    assert "artifacts must hold" in refusal(start(artifacts=(one for one in [ARTIFACT])))


def test_a_list_of_artifacts_becomes_a_tuple():
    """A list that the engine keeps cannot change the snapshot afterwards."""
    mine = [ARTIFACT]
    accepted = accept(start(artifacts=mine), ITEM, 0)
    mine.clear()
    assert (ARTIFACT,) == accepted.artifacts


@pytest.mark.parametrize("fields", [{"is_finished": 1}, {"is_finished": None}, {"step": None}])
def test_flags_and_labels_have_their_types(fields):
    """A truthy value is not True, and a label has to be text."""
    assert "wrong type" in refusal(start(**fields))


@pytest.mark.parametrize(
    "delay",
    [
        math.nan,
        math.inf,
        -math.inf,
        -1,
        -1e-9,
        MAX_DELAY_SECONDS * 1.01,
        10**400,
        -(10**5000),
        True,
        False,
        "5",
        "",
        [],
        b"",
        {},
        1 + 1j,
    ],
    ids=lambda value: type(value).__name__,
)
def test_bad_delays(delay):
    """A delay is a finite number of seconds, not negative, at most ten years; nothing else."""
    assert "next_step_delay_seconds must be" in refusal(start(next_step_delay_seconds=delay))
    finished = start(next_step_delay_seconds=delay, is_finished=True)
    assert "next_step_delay_seconds must be" in refusal(finished)


@pytest.mark.parametrize(
    ("delay", "expected"),
    [(None, None), (0, None), (0.0, None), (-0.0, None), (1, 1.0), (0.9, 0.9), (5e-324, 5e-324)],
)
def test_good_delays(delay, expected):
    """A delay is kept as it is; without one it is None."""
    accepted = accept(start(next_step_delay_seconds=delay), ITEM, 0)
    assert expected == accepted.next_step_delay_seconds


def test_a_finished_snapshot_has_no_delay():
    """Nothing comes after the end."""
    accepted = accept(start(is_finished=True, next_step_delay_seconds=5), ITEM, 0)
    assert (True, None) == (accepted.is_finished, accepted.next_step_delay_seconds)


@pytest.mark.parametrize("extra", [None, 5, {"schema": 2}, {"version": 9}, {"is_finished": True}])
def test_extra_cannot_stand_in_for_a_field(extra):
    """What a newer Roost wrote is carried along; it must not shadow what this one writes."""
    assert "an engine must not write to extra" in refusal(start(extra=extra))


def test_unknown_fields_are_carried_along():
    """Fields that a newer Roost wrote survive the step."""
    assert {"novelty": [1]} == accept(start(extra={"novelty": [1]}), ITEM, 0).extra


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers()
    | st.dates()
    | st.just(ARTIFACT)
    | st.just(ITEM)
    | st.just(object())
    | st.just(10**400),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.iterables(inner)
    ),
    max_leaves=6,
)
#: Fields that an engine can fill with anything, since they have no validator of their own.
FIELDS = ("work_id", "engine", "version", "data", "artifacts", "is_finished", "extra")


@given(anything)
def test_garbage_is_only_ever_an_invalid_result(result):
    """Whatever an engine returns, the one error is InvalidStepResult."""
    with pytest.raises(InvalidStepResult):
        accept(result, ITEM, 0)


@given(
    st.dictionaries(
        st.sampled_from((*FIELDS, "next_step_delay_seconds", "created_at")), anything, max_size=4
    )
)
def test_garbage_in_fields(fields):
    """A snapshot with garbage in it is refused, or accepted and then stores and decodes."""
    try:
        accepted = accept(attrs.evolve(start(), **fields), ITEM, 2)
    except InvalidStepResult:
        return
    assert (3, "w-1", "demo") == (accepted.version, accepted.work_id, accepted.engine)
    try:
        raw = encode_snapshot(accepted)
    except CodecError:
        return
    assert 3 == decode_snapshot(raw).version
