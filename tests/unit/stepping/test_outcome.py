"""What a step comes to, and what is requested for it: rules, with no event loop."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from roost_core.backend import Ack, Finish, GoOn, Sleep, Yield
from roost_core.codec.records import decode_model
from roost_core.codec.snapshots import decode_snapshot
from roost_core.errors import CorruptRecord, InvalidStepResult, PermanentError, RetryLater
from roost_core.models import ErrorRecord, Lease, RetryPolicy, Snapshot, State, WorkItem
from roost_core.stepping import outcome
from roost_core.stepping.outcome import Ending, Failed, GivenBack, Later, Lost, Unwanted
from roost_core.stepping.standstill import Standstill

ITEM = WorkItem("w-1", "demo", step_timeout_seconds=2.5)
LEASE = Lease("w-1", "worker-1", "token", 7, datetime(2026, 1, 1, tzinfo=UTC))


def accepted(**fields):
    """Return an accepted snapshot of version 3."""
    return outcome.accepted(Snapshot.start(ITEM, version=3, **fields), (b"{}",))


# -- what an attempt comes to ------------------------------------------------------------------


def of_attempt(brought, *, ending=None, is_ended=False):
    """Judge an attempt of the item."""
    return outcome.of_attempt(brought, ending=ending, is_ended=is_ended, item=ITEM, lease=LEASE)


@pytest.mark.parametrize("brought", [accepted(), Later("", 100), GivenBack(), None])
@pytest.mark.parametrize("is_ended", [False, True])
def test_without_the_lease_nothing_counts(brought, is_ended):
    """Whatever a step returned, and however slow it was: it is dropped."""
    assert Lost() == of_attempt(brought, ending=Ending.LOST, is_ended=is_ended)


@pytest.mark.parametrize("brought", [accepted(), Later("", 100), GivenBack(), None])
@pytest.mark.parametrize("is_ended", [False, True])
def test_of_unwanted_work_nothing_counts(brought, is_ended):
    """Work that people want ended is not blamed for anything either."""
    assert Unwanted() == of_attempt(brought, ending=Ending.WANTED, is_ended=is_ended)


@pytest.mark.parametrize(
    ("state", "version", "attempts", "is_dropped"),
    [
        (State.CANCELLED, 3, 1, True),
        (State.FAILED, 3, 1, True),
        (State.FAILED, 3, 2, False),  # the last attempt
        (State.FAILED, 4, 0, False),  # accepted, and the last step in a row
        (State.PAUSED, 4, 0, False),
        (State.PAUSED, 3, 2, False),
        (State.QUEUED, 3, 1, False),  # given back
        (State.DONE, 4, 0, False),
    ],
)
def test_answers_that_drop_what_a_step_brought(state, version, attempts, is_dropped):
    """People have cancelled or buried the work, and neither step nor attempt counts."""
    ack = Ack(state, version, attempts, 0)
    assert is_dropped == outcome.is_dropped(ack, 3, 1)


@pytest.mark.parametrize("brought", [accepted(), Later("", 100), GivenBack(), None])
def test_a_step_that_was_ended_has_timed_out(brought):
    """What it returns after that is too late."""
    found = of_attempt(brought, is_ended=True)
    assert isinstance(found, Failed)
    assert ("timeout", "the step took longer than 2.5 s", "worker-1") == (
        found.record.kind,
        found.record.message,
        found.record.worker_id,
    )


@pytest.mark.parametrize("brought", [accepted(), Later("", 100), GivenBack()])
def test_what_a_step_brings_in_time_counts(brought):
    """It is taken as it is."""
    assert brought is of_attempt(brought)


def test_a_cancelled_task_is_the_engines_doing():
    """A step whose task was cancelled, but not by the worker, has failed."""
    found = of_attempt(None)
    assert isinstance(found, Failed)
    assert ("exception", "EngineError") == (found.record.kind, found.record.error_type)
    assert "the step's own task was cancelled" in found.record.message


# -- what an error means -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "delay_ms"), [(0, 100), (0.05, 100), (0.1001, 101), (2, 2000), (3600.0, 3_600_000)]
)
def test_retry_later_waits_as_asked_but_never_not_at_all(seconds, delay_ms):
    """Rounded up to milliseconds, and at least a tenth of a second."""
    found = outcome.judged(RetryLater(seconds, "busy"), "worker-1")
    assert ("busy", delay_ms) == (found.reason, found.delay_ms)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "soon", None])
def test_a_wait_that_makes_no_sense_is_a_failed_attempt(seconds):
    """The record says what is wrong with it."""
    error = RetryLater(1)
    error.seconds = seconds
    found = outcome.judged(error, "worker-1")
    assert isinstance(found, Failed)
    assert "RetryLater(seconds) must be" in found.record.message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("no"), "exception"),
        (PermanentError("no"), "permanent"),
        (InvalidStepResult("no"), "invalid_result"),
        (ExceptionGroup("both", [RetryLater(1), PermanentError("no")]), "permanent"),
        (KeyboardInterrupt("no"), "exception"),
    ],
)
def test_other_errors_are_failed_attempts(error, kind):
    """Their kind is in the record, and so is the worker."""
    found = outcome.judged(error, "worker-1")
    assert (kind, "worker-1") == (found.record.kind, found.record.worker_id)


def test_of_several_waits_the_longest_counts():
    """A group waits for the latest of them."""
    group = ExceptionGroup("both", [RetryLater(1, "a"), RetryLater(5, "b"), ValueError()])
    found = outcome.judged(group, "worker-1")
    assert ("b", 5000) == (found.reason, found.delay_ms)


@pytest.mark.parametrize("bad", [float("nan"), {1: 2}, object(), "\ud800"])
def test_data_that_is_not_json_is_refused(bad):
    """The error names the engine."""
    with pytest.raises(InvalidStepResult, match="engine demo: the snapshot"):
        accepted(data={"x": bad})


# -- what is asked for it ----------------------------------------------------------------------


def commit_of(step, *, is_last=False, lease_ttl_ms=0, warning=None):
    """Commit a step from version 2."""
    return outcome.commit_of(step, 2, is_last=is_last, lease_ttl_ms=lease_ttl_ms, warning=warning)


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"is_finished": True}, Finish()),
        ({"next_step_delay_seconds": 0.0001}, Sleep(1)),
        ({"next_step_delay_seconds": 1.5}, Sleep(1500)),
    ],
)
def test_a_snapshot_says_what_follows(fields, expected, is_last):
    """The end, or a wait: whether the slice is over changes nothing."""
    assert expected == commit_of(accepted(**fields), is_last=is_last).next


@pytest.mark.parametrize(("is_last", "expected"), [(False, GoOn()), (True, Yield())])
def test_the_slice_decides_about_a_step_without_a_delay(is_last, expected):
    """The next step follows under the same lease until the slice is over."""
    assert expected == commit_of(accepted(), is_last=is_last).next


def test_a_commit_carries_the_snapshot_and_where_it_started_from():
    """Its id is the version's, so that a repeat is known; a warning is one more event."""
    step = accepted(step="looking", data={"n": 1})
    found = commit_of(step, lease_ttl_ms=500, warning=b"[]")
    assert ("c2", 2, "looking", GoOn(500)) == (
        found.commit_id,
        found.expected_version,
        found.step,
        found.next,
    )
    assert step.snapshot == decode_snapshot(found.snapshot)
    assert (b"{}", b"[]") == found.events
    assert (b"{}",) == commit_of(step).events


@pytest.mark.parametrize(
    ("kind", "is_permanent"), [("exception", False), ("timeout", False), ("permanent", True)]
)
def test_a_failure_carries_the_record_and_the_wait(kind, is_permanent):
    """The policy and the dice decide how long; a permanent error is the last."""
    record = ErrorRecord(kind, "no")
    retry = RetryPolicy(base_seconds=2.0, factor=3.0, jitter=0.5)
    found = outcome.failure_of(record, retry, version=4, attempt=2, dice=1.0)
    assert ("f4", is_permanent, 3000) == (found.commit_id, found.permanent, found.delay_ms)
    assert record == decode_model(ErrorRecord, found.error)


def test_what_does_not_decode_is_never_tried_again():
    """A corrupt record ends the work, and the error says so."""
    found = outcome.corrupt(CorruptRecord("broken"), "worker-1")
    assert ("f0", True, 0) == (found.commit_id, found.permanent, found.delay_ms)
    assert ErrorRecord("corrupt", "broken", worker_id="worker-1") == decode_model(
        ErrorRecord, found.error
    )


def test_a_standstill_is_an_event():
    """People read how many steps have changed nothing, and since when."""
    row = Standstill()
    for _ in range(25):
        row.note_whether(is_same=True, is_back=False, delays=False, after=(7, 1000))
    expected = {
        "warning": "steps in a row have changed no data",
        "steps": 25,
        "since_version": 7,
        "since": "1970-01-01T00:00:01+00:00",
    }
    assert expected == json.loads(outcome.standstill(row))
