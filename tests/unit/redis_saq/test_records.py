"""The scripts' answers, sound and broken, as the core's vocabulary."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.backend import Ack, StoredWork
from roost_core.cli.work.event_lines import event_json, event_text
from roost_core.errors import BackendError, CorruptRecord, LeaseLost, VersionConflict
from roost_core.models import State
from roost_core.shown import views
from roost_core.shown.plain import row_json
from roost_core.shown.sentences import sentence
from roost_plugins.redis_saq.record import acks, claims, events, standing
from tests import rows

#: A record as the scripts show it: what is not text is in digits.
RECORD = {
    "state": b"running",
    "engine": b"demo",
    "worker": b"worker-1",
    "step": b"look",
    "blocked_on": b"a",
    "blame": b"4,1,1,0,17,worker-0",
    "version": b"3",
    "fence": b"2",
    "attempts": b"1",
    "updated": b"1700000000001",
    "committed": b"1700000000002",
    "deadline": b"1900000000000",
    "priority": b"-5",
    "created": b"1700000000000",
    "started": b"1700000000003",
    "max_attempts": b"6",
    "max_recoveries": b"7",
    "row": b"8",
    "max_steps": b"9",
    "since": b"1700000000004",
    "base": b"2",
}
#: A new one: '-' is no text, '0' no number.
NEW = RECORD | {
    "state": b"queued",
    "worker": b"-",
    "step": b"",
    "blocked_on": b"-",
    "blame": b"-",
    "version": b"0",
    "committed": b"0",
    "deadline": b"0",
    "started": b"0",
    "row": b"0",
    "max_steps": b"0",
    "since": b"0",
    "base": b"0",
}
NUMBERS = list(RECORD)[6:]


def row(record, due=None, expires=None, item=b"{}", error=None, *rest):
    """Make a row of the scripts ``list`` and, with a snapshot and a heartbeat, ``read``."""
    return [b"w-1", record and rows.shown(record), due, expires, item, error, *rest]


def test_acks():
    """An answer tells the state, and when the free lane should claim."""
    found = acks.ack(b"ok sleeping 3 0 1000 1500 40", "w")
    assert (Ack(State.SLEEPING, 3, 0, 1000, 1500), 40) == found
    found = acks.ack(b"ok done 3 0 1000 -1 -1", "w")
    assert (Ack(State.DONE, 3, 0, 1000, None), None) == found
    found = acks.ack(b"ok retry_wait 3 2 1000 1500 0", "w")
    assert (Ack(State.RETRY_WAIT, 3, 2, 1000, 1500), 0) == found


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"lost", LeaseLost),
        (b"version", VersionConflict),
        (b"corrupt", CorruptRecord),
        (b"ok", BackendError),
        (b"", BackendError),
        (b"late", BackendError),
        (b"surprise" * 1000, BackendError),
        (b"lost lost", BackendError),
        (b"ok done 3 0 1000 -1", BackendError),
        (b"ok done 3 0 1000 -1 -1 5", BackendError),
        (b"ok resting 3 0 1000 -1 -1", BackendError),
        (b"ok done x 0 1000 -1 -1", BackendError),
        (b"ok done 3 0 1000 -1 ", BackendError),
        (b"ok done 3 0 \xff -1 -1", BackendError),
    ],
)
def test_refusals(answer, error):
    """Each refusal is its own error and names the work item, in few words."""
    with pytest.raises(error, match="w-9") as caught:
        acks.ack(answer, "w-9")
    assert type(caught.value) is error
    assert len(str(caught.value)) < 300


def read_claim(row, worker_id, asked_at):
    """Read a claim that is not broken."""
    (found,), broken = claims.claims([row], worker_id, asked_at)
    assert [] == broken
    return found


def test_a_claim():
    """Token, engine and numbers come as one text, the bytes as they are."""
    standing = rows.claimed(b"token", blame=b"2,0,1,0,0,-")
    found = read_claim([b"w-1", standing, b"item", b"snapshot"], "worker-1", 1.5)
    assert ("w-1", "worker-1", "token", 4, 16.0) == (
        found.lease.work_id,
        found.lease.worker_id,
        found.lease.token,
        found.lease.fence,
        found.lease.expires_at.timestamp(),
    )
    assert ("demo", 5, 1, 2, 1000, 2000, 3000) == (
        found.engine,
        found.version,
        found.attempts,
        found.recoveries,
        found.created_ms,
        found.committed_ms,
        found.deadline_ms,
    )
    assert (b"item", b"snapshot", 1.5) == (found.item, found.snapshot, found.asked_at)
    assert found.is_solo


@pytest.mark.parametrize(
    ("blame", "is_solo"),
    [
        (b"0,2,1,0,0,-", True),
        (b"0,2,0,0,0,-", True),
        (b"0,1,0,0,7,worker-9", True),
        (b"0,1,0,0,0,-", False),
        (b"1,1,2,0,0,-", False),
    ],
)
def test_the_claim_of_something_suspected(blame, is_solo):
    """Alone or with others like it, it has the worker for itself; not where all run alone."""
    standing = rows.claimed(b"token", blame=blame)
    found = read_claim([b"w-1", standing, b"item", None], "worker-1", 1.5)
    assert is_solo == found.is_solo


def test_the_claim_of_a_new_item():
    """Missing numbers and a missing snapshot come as None; a lost item as empty bytes."""
    standing = rows.claimed(b"t", version=b"0", committed=b"0", deadline=b"0")
    found = read_claim([b"w", standing, None, None], "worker-1", 0.0)
    assert (None, None) == (found.committed_ms, found.deadline_ms)
    assert (b"", None) == (found.item, found.snapshot)
    assert (0, False) == (found.recoveries, found.is_solo)


def test_a_record():
    """Every value is read from its own place."""
    found = standing.stored_work(row(RECORD, None, b"1.7e12", b"item", b"error", b"snap", b"beat"))
    expected = StoredWork(
        work_id="w-1",
        engine="demo",
        state=State.RUNNING,
        priority=-5,
        version=3,
        step="look",
        attempts=1,
        max_attempts=6,
        recoveries=4,
        max_recoveries=7,
        suspicions=2,
        steps_in_row=8,
        max_steps=9,
        leased_ms=1_700_000_000_004,
        leased_version=2,
        fence=2,
        worker_id="worker-1",
        expires_ms=1_700_000_000_000,
        due_ms=None,
        deadline_ms=1_900_000_000_000,
        blocked_on="a",
        created_ms=1_700_000_000_000,
        updated_ms=1_700_000_000_001,
        finished_ms=None,
        started_ms=1_700_000_000_003,
        committed_ms=1_700_000_000_002,
        item=b"item",
        snapshot=b"snap",
        error=b"error",
        heartbeat=b"beat",
    )
    assert expected == found


def test_a_new_record():
    """What has not happened yet is None, not a word or number that stands for it."""
    found = standing.stored_work(row(NEW, b"1700000000500"))
    assert (State.QUEUED, 0, 1_700_000_000_500) == (found.state, found.version, found.due_ms)
    assert [None] * 9 == [
        found.step,
        found.worker_id,
        found.blocked_on,
        found.deadline_ms,
        found.started_ms,
        found.committed_ms,
        found.finished_ms,
        found.snapshot,
        found.heartbeat,
    ]


@pytest.mark.parametrize("state", State)
def test_the_end_of_a_record(state):
    """Terminal work ended when it was last changed; the rest has not ended."""
    found = standing.stored_work(row(RECORD | {"state": state.value.encode()}))
    assert state is found.state
    assert (1_700_000_000_001 if state.is_terminal else None) == found.finished_ms


def test_a_label_in_any_script():
    """A step's label is text; one that is not comes with marks in it."""
    assert "schön 🦉" == standing.stored_work(row(RECORD | {"step": "schön 🦉".encode()})).step
    assert "�a" == standing.stored_work(row(RECORD | {"step": b"\xffa"})).step


def test_far_deadlines():
    """The year 9999 is still a time."""
    work = standing.stored_work(row(RECORD | {"deadline": b"253402300799000"}))
    assert 9999 == views.meta(work).deadline_at.year


#: Numbers that a person chose, and that earlier releases took as they came.
ASKED = ("deadline", "max_attempts", "max_recoveries", "max_steps")


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("number", [b"253402300800000", b"1000000000000000", b"9" * 19])
def test_numbers_beyond_all_sense(name, number):
    """A sound work item that was enqueued with a huge number is shown as what it is."""
    work = standing.stored_work(row(RECORD | {name: number}))
    assert ("demo", State(RECORD["state"].decode())) == (work.engine, work.state)
    assert views.meta(work) is not None


BROKEN = [
    None,
    RECORD | {"state": b"resting"},
    RECORD | {"state": b""},
    *(
        RECORD | {"blame": word}
        for word in (b"", b"1", b"a,0,0,0,0,-", b"9" * 5000 + b",0,0,0,0,-")
    ),
    *(RECORD | {name: b"253402300800000"} for name in NUMBERS if name not in ASKED),
    *(RECORD | {name: b"9" * 400} for name in NUMBERS),
    RECORD | {"created": b"1" * 16},
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda value: str(value)[:40])
def test_broken_records(broken):
    """One that does not decode is shown as failed, of no engine; its bytes can be inspected."""
    found = standing.stored_work(row(broken, None, None, b"item", b"error", b"snapshot", None))
    expected = StoredWork(
        work_id="w-1",
        engine="?",
        state=State.FAILED,
        item=b"item",
        error=b"error",
        snapshot=b"snapshot",
    )
    assert expected == found
    assert "failed" == row_json(views.row(found))["state"]


WORDS = st.binary(max_size=20)
DIGITS = st.from_regex(rb"[0-9]{1,30}", fullmatch=True)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(list(RECORD)[:6], WORDS)
        | dict.fromkeys(NUMBERS, DIGITS)
        | {"priority": st.from_regex(rb"-?[0-9]{1,30}", fullmatch=True)},
    )
)
def test_any_record_can_be_listed(values):
    """Whatever words and digits are in a record, it makes a row."""
    found = standing.stored_work(row(RECORD | values))
    assert "w-1" == row_json(views.row(found))["work_id"]


def entry(raw):
    """Make an entry of the stream."""
    return b"1700000000123-4", {b"event": raw}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'{"a": "b c  d"}', {"a": "b c  d"}),
        ('{"ü":"🦉"}'.encode(), {"ü": "🦉"}),
        (b"[1]", {"value": [1]}),
        (b"null", {"value": None}),
        (b"{", {"undecodable": "{"}),
        (b"", {"undecodable": ""}),
        (b"\xff", {"undecodable": "�"}),
    ],
)
def test_events(data, expected):
    """An event's data is an object, whatever was stored; its time is the stream's."""
    found = events.event(entry(b"claimed w ? 2 failed " + data))
    assert expected == found.data
    assert ("1700000000123-4", 1_700_000_000.123) == (found.event_id, found.at.timestamp())
    assert ("claimed", "w", "?", 2, State.FAILED) == (
        found.kind,
        found.work_id,
        found.engine,
        found.version,
        found.state,
    )


UNREADABLE = [
    b"",
    b"claimed",
    b"claimed w demo 1 failed",
    b"claimed w demo x failed {}",
    b"claimed w demo " + b"9" * 4300 + b" failed {}",
    b"claimed w demo 1 resting {}",
    b"claimed \xff demo 1 failed {}",
    b"\xff w demo 1 failed {}",
    b"purged an id with spaces ? 0 failed {}",
]


@pytest.mark.parametrize("raw", UNREADABLE, ids=lambda value: str(value)[:40])
def test_unreadable_events(raw):
    """A damaged entry is shown as one, with its id and time: the others can be read."""
    found = events.event(entry(raw))
    assert ("unreadable", "?", "?", 0) == (found.kind, found.work_id, found.engine, found.version)
    assert ("1700000000123-4", 1_700_000_000.123) == (found.event_id, found.at.timestamp())
    assert 1 == len(found.data)


def test_a_kind_of_a_newer_roost():
    """What this Roost does not know is still an event, also if it is of a whole engine."""
    raw = b'engine_moved - demo 0 paused {"who":"alice"}'
    found = events.event(entry(raw))
    assert ("engine_moved", "-", "demo", 0) == (
        found.kind,
        found.work_id,
        found.engine,
        found.version,
    )
    assert {"who": "alice"} == found.data
    assert found.is_of_engine
    assert "engine moved who=alice" == sentence(found)


def test_entries_of_the_stream_that_are_not_ours():
    """One without the field, or with an id far beyond all times, is an event anyway."""
    assert "unreadable" == events.event((b"1-0", {b"\xff": b"\xfe"})).kind
    far = events.event((b"%d-%d" % (2**64 - 1, 2**64 - 1), {b"event": b"claimed w e 1 done {}"}))
    assert (9999, f"{2**64 - 1}-{2**64 - 1}") == (far.at.year, far.event_id)


@given(st.binary(max_size=60))
def test_any_entry_is_an_event(raw):
    """Whatever is in an entry, it can be printed."""
    for text in (raw, b"claimed w demo 1 failed " + raw, raw.replace(b"\0", b" ")):
        found = events.event(entry(text))
        assert isinstance(event_text(found), str)
        json.dumps(event_json(found), allow_nan=False)


@pytest.mark.parametrize(
    ("score", "year"),
    [(b"inf", 9999), (b"1e18", 9999), (b"-inf", 1970), (b"-1e300", 1970), (b"1.5e12", 2017)],
)
def test_any_score_is_a_time(score, year):
    """A damaged time lies at one end of all times; it does not break a listing."""
    found = row_json(views.row(standing.stored_work(row(RECORD, score, score))))
    assert str(year) == found["due_at"][:4] == found["lease"]["expires_at"][:4]


def test_an_id_that_is_no_text():
    """It is shown with escapes for what cannot be read."""
    broken = [b"a\xffb", *row(RECORD)[1:]]
    assert r"a\xffb" == standing.stored_work(broken).work_id


SOUND = rows.claimed(b"token-%d")


@pytest.mark.parametrize(
    "bad",
    [
        [b"w-\xff", SOUND % 1, b"item", None],
        [b"w-1", rows.claimed(b"token-1", deadline=b"9" * 4300), b"item", None],
        [b"w-1", rows.claimed(b"token-1", created=b"9" * 15), b"item", None],
        [b"w-1", rows.claimed(b"token-1", blame=b"x"), b"item", None],
        [b"w-1", rows.claimed(b"token-1", engine=b"d\xff"), b"item", None],
    ],
    ids=["id", "digits", "time", "engine", "blame"],
)
def test_a_broken_claim_spoils_no_other(bad):
    """The others of a batch are claims; the broken one tells what gives it back."""
    rows = [[b"w-0", SOUND % 0, b"", None], bad, [b"w-2", SOUND % 2, b"", None]]
    found, broken = claims.claims(rows, "worker-1", 1.5)
    assert ["w-0", "w-2"] == [one.lease.work_id for one in found]
    assert [(bad[0], b"token-1")] == [(one.work_id, one.token) for one in broken]
    assert broken[0].reason.startswith("the stored record does not decode: ")
