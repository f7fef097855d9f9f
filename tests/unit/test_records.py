"""The scripts' answers, sound and broken, as the core's vocabulary."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core import views
from roost_core.backend import Ack
from roost_core.errors import BackendError, CorruptRecord, LeaseLost, VersionConflict
from roost_core.models import State
from roost_plugins.redis_saq import records

RECORD = {
    "engine": "demo",
    "state": "running",
    "priority": 5,
    "seq": 7,
    "version": 3,
    "step": "look",
    "fence": 2,
    "token": "t",
    "worker": "worker-1",
    "attempts": 1,
    "max_attempts": 5,
    "recoveries": 1,
    "max_recoveries": 3,
    "deadline": 1_900_000_000_000,
    "resources": ["a"],
    "blocked_on": "a",
    "created": 1_700_000_000_000,
    "updated": 1_700_000_000_001,
    "committed": 1_700_000_000_002,
    "started": 1_700_000_000_003,
    "finished": 1_700_000_000_004,
}

BARE = {
    name: RECORD[name]
    for name in ("engine", "state", "seq", "created", "updated", "max_attempts", "max_recoveries")
}


def row(record, **other):
    """Make a row of the scripts ``read`` and ``list``."""
    raw = record if isinstance(record, bytes) else json.dumps(record).encode()
    found = {"due": None, "expires": None, "item": b"{}", "snapshot": None, "error": None} | other
    return [b"w-1", raw, *found.values()]


def test_acks():
    """An answer tells the state, and when the free lane should claim."""
    answer = [b"ok", b"sleeping", 3, 0, 1000, 1500, 40]
    assert (Ack(State.SLEEPING, 3, 0, 1000, 1500), 40) == records.ack(answer, "w")
    answer = [b"ok", b"done", 3, 0, 1000, -1, -1]
    assert (Ack(State.DONE, 3, 0, 1000, None), None) == records.ack(answer, "w")
    answer = [b"ok", b"queued", 3, 0, 1000, -1, 0]
    assert (Ack(State.QUEUED, 3, 0, 1000, None), 0) == records.ack(answer, "w")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ([b"lost"], LeaseLost),
        ([b"version"], VersionConflict),
        ([b"corrupt"], CorruptRecord),
        ([b"ok"], BackendError),
        ([], BackendError),
        ([b"surprise" * 1000], BackendError),
        ([b"ok", b"done", 3, 0, 1000, -1, -1, 5], BackendError),
    ],
)
def test_refusals(answer, error):
    """Each refusal is its own error and names the work item, in few words."""
    with pytest.raises(error, match="w-9") as caught:
        records.ack(answer, "w-9")
    assert type(caught.value) is error
    assert len(str(caught.value)) < 300


def test_a_claim():
    """Numbers that are not there come as None; a lost item as no bytes."""
    found = records.claim(
        [b"w", b"t", b"demo", 4, 0, 0, 0, 1000, -1, -1, 16_000, None, None], "worker-1", 1.5
    )
    assert ("w", "t", 4, "worker-1") == (
        found.lease.work_id,
        found.lease.token,
        found.lease.fence,
        found.lease.worker_id,
    )
    assert 16 == found.lease.expires_at.timestamp()
    assert (None, None, b"", None, 1.5) == (
        found.committed_ms,
        found.deadline_ms,
        found.item,
        found.snapshot,
        found.asked_at,
    )


def test_a_record():
    """Every field is read; what was left out is 0 or None."""
    work = records.stored_work(row(RECORD, due=b"1700000000500", expires=b"1.7e12"))
    assert ("w-1", "demo", State.RUNNING, 5, 3, "look", 1, 5, 1, 3, 2, "worker-1") == (
        work.work_id,
        work.engine,
        work.state,
        work.priority,
        work.version,
        work.step,
        work.attempts,
        work.max_attempts,
        work.recoveries,
        work.max_recoveries,
        work.fence,
        work.worker_id,
    )
    assert (1_700_000_000_500, 1_700_000_000_000) == (work.due_ms, work.expires_ms)
    bare = records.stored_work(row(BARE))
    assert (0, 0, 0, None, None, None) == (
        bare.priority,
        bare.version,
        bare.fence,
        bare.worker_id,
        bare.due_ms,
        bare.deadline_ms,
    )


def test_far_deadlines():
    """The server writes numbers of 15 digits as floats: still a time."""
    work = records.stored_work(row(RECORD | {"deadline": 2.53402300799e14}))
    assert 9999 >= views.meta(work).deadline_at.year >= 9998


BROKEN = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"5",
    b"\xff",
    {},
    {"engine": "demo", "state": "done"},
    RECORD | {"state": "resting"},
    RECORD | {"state": []},
    *({key: value for key, value in RECORD.items() if key != name} for name in BARE),
    *(RECORD | {name: "x"} for name, value in RECORD.items() if isinstance(value, int)),
    *(RECORD | {name: 5} for name, value in RECORD.items() if isinstance(value, str)),
    *(RECORD | {name: None} for name in RECORD),
    RECORD | {"resources": [1]},
    RECORD | {"resources": {"a": 1}},
    RECORD | {"acks": "x"},
    RECORD | {"created": float("nan")},
    RECORD | {"created": float("inf")},
    RECORD | {"created": 10**400},
    RECORD | {"created": 1.5},
    RECORD | {"version": True},
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda value: str(value)[:40])
def test_broken_records(broken):
    """A record that does not decode is shown as failed, of no engine; nobody stumbles over it."""
    work = records.stored_work(row(broken))
    assert ("w-1", "?", State.FAILED) == (work.work_id, work.engine, work.state)
    assert "failed" == views.row_json(views.row(work))["state"]


@given(
    st.dictionaries(
        st.sampled_from(sorted(RECORD)),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    )
)
def test_any_record_can_be_listed(fields):
    """Whatever stands in a record, it makes a row."""
    views.row_json(views.row(records.stored_work(row(RECORD | fields))))


def entry(data, **fields):
    """Make an entry of the stream."""
    raw = {"kind": "claimed", "work": "w", "engine": "?", "version": "2", "state": "failed"}
    return b"1700000000123-4", {
        key.encode(): value.encode() for key, value in (raw | fields | {"data": data}).items()
    }


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('{"a":1}', {"a": 1}),
        ("[1]", {"value": [1]}),
        ("{", {"undecodable": "{"}),
        ("", {"undecodable": ""}),
    ],
)
def test_events(data, expected):
    """An event's data is an object, whatever was stored; its time is the stream's."""
    found = records.event(entry(data))
    assert expected == found.data
    assert ("1700000000123-4", 1_700_000_000.123) == (found.event_id, found.at.timestamp())
    assert ("claimed", "w", "?", 2, State.FAILED) == (
        found.kind,
        found.work_id,
        found.engine,
        found.version,
        found.state,
    )
