"""Values at the bounds: what a new work item may ask for, and what is refused in one line."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core import SyncRoost
from roost_core.client.replaying import Seen
from roost_core.client.requests import EnqueueRequest
from roost_core.codec.records import encode_model, encode_payload
from roost_core.codec.snapshots import encode_snapshot
from roost_core.codec.strict_json import digest, dumps
from roost_core.errors import CodecError, InvalidInput, SettingsError
from roost_core.models import MAX_COUNT, ErrorRecord, RetryPolicy, Snapshot, WorkItem
from roost_core.settings import load
from roost_plugins.redis_saq.record import fields
from roost_plugins.redis_saq.record.standing import stored_work
from tests import rows
from tests.unit.cli.cli_harness import Bench


@pytest.mark.parametrize(
    "fields",
    [
        {"retry": RetryPolicy(max_attempts=sys.maxsize)},
        {"retry": RetryPolicy(max_attempts=MAX_COUNT + 1)},
        {"max_recoveries": 0},
        {"max_recoveries": 10**15},
        {"max_recoveries": 10**5000},
        {"max_steps": MAX_COUNT + 1},
        {"deadline_at": datetime.max.replace(tzinfo=UTC)},
        {"deadline_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))},
        {"deadline_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))},
        {"deadline_at": datetime(1970, 1, 1, tzinfo=UTC)},
        {"deadline_at": "tomorrow"},
        {"priority": 10**5000},
        {"priority": "1"},
        {"retry": {"max_attempts": 3}},
        {"engine": None},
        {"resources": None},
        {"resources": [["a"]]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_nothing_can_keep_is_refused(fields: dict[str, Any]) -> None:
    """A number that readers cannot show, or a wrong type, is refused where it enters."""
    with pytest.raises(InvalidInput) as caught:
        EnqueueRequest(**{"engine": "e", **fields}).build(0)
    assert 1 == len(str(caught.value).splitlines())


def test_the_highest_count_is_accepted() -> None:
    """The bound itself is accepted."""
    request = EnqueueRequest(engine="e", max_recoveries=MAX_COUNT)
    assert MAX_COUNT == request.build(0)[1].max_recoveries


_ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.datetimes(),
    st.lists(st.one_of(st.integers(), st.text(), st.lists(st.text()))),
    st.dictionaries(st.text(), st.integers()),
)
_ARGUMENTS = [
    "engine",
    "work_id",
    "idempotency_key",
    "priority",
    "resources",
    "delay_seconds",
    "deadline_at",
    "deadline_seconds",
    "title",
    "retry",
    "max_recoveries",
    "max_steps",
    "step_timeout_seconds",
]


@given(name=st.sampled_from(_ARGUMENTS), value=_ANYTHING)
def test_any_value_is_accepted_or_refused_as_input(name: str, value: Any) -> None:
    """No argument of any type comes out as a raw TypeError or AttributeError."""
    try:
        item, _ = EnqueueRequest(**{"engine": "e", name: value}).build(0)
    except InvalidInput:
        return
    assert WorkItem is type(item)


@pytest.mark.parametrize(
    "text",
    ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "👩\u200d💻", "a\u00a0b", "東京\u3000駅"],
)
def test_titles_of_any_script(text: str) -> None:
    """Joiners and the spaces of other scripts are text, in titles and in keys."""
    item, _ = EnqueueRequest(engine="e", title=text, idempotency_key=text).build()
    assert (text, text) == (item.title, item.idempotency_key)


@pytest.mark.parametrize("text", ["a\nb", "\x00", "\x1b[1m", "\x85", "\u2028", "\u2029", "\ud800"])
def test_titles_without_control_characters(text: str) -> None:
    """Control characters, line separators and lone surrogates are refused."""
    with pytest.raises(InvalidInput):
        EnqueueRequest(engine="e", title=text).build()


@pytest.mark.parametrize("name", ["concurrency", "slice_steps", "events_kept", "events_bytes"])
@pytest.mark.parametrize("value", [sys.maxsize, 10**5000], ids=["maxsize", "huge"])
def test_whole_settings_have_an_upper_bound(name: str, value: int) -> None:
    """What no worker and no server can do is refused, with the setting's name."""
    with pytest.raises(SettingsError, match=name):
        load({name: value}, environ={})


def test_a_sound_record_with_huge_numbers_is_shown() -> None:
    """Numbers that an earlier release accepted do not make a record look broken."""
    record = {field.name: b"0" for field in fields.RECORD}
    record |= {"state": b"queued", "engine": b"e", "blame": b"0,0,0,0,0,-"}
    record |= dict.fromkeys(("worker", "step", "blocked_on"), b"-")
    huge = {"max_attempts": str(sys.maxsize).encode(), "max_recoveries": str(10**15).encode()}
    row = [b"a", rows.shown(record | huge), None, None, b"{}", None]
    shown = stored_work(row)
    assert ("e", "queued") == (shown.engine, shown.state)


@pytest.mark.parametrize("key", [1, -1, 0, 10**40, 1.5, 1e300, -1e-9, True, False, None])
def test_keys_that_are_no_texts(key: Any) -> None:
    """JSON would turn such a key into text, and two into one: refused wherever JSON is made."""
    value = {"deep": [({key: 1, str(key): 2},)]}
    makers = [
        lambda: dumps(value, "it", 1000),
        lambda: encode_payload(value),
        lambda: digest("e", value),
        lambda: encode_snapshot(Snapshot(work_id="a", engine="e", data=value)),
        lambda: encode_model(ErrorRecord(kind="exception", message="", extra=value)),
    ]
    for make in makers:
        with pytest.raises(CodecError, match="is not JSON"):
            make()


def test_texts_that_look_like_numbers_are_keys() -> None:
    """A text is a key, whatever it looks like."""
    assert b'{"1":{"true":null}}' == dumps({"1": {"true": None}}, "it", 1000)


_NO_NUMBERS = [1.0, "2", True, None, [1], b"3", float("nan")]


@pytest.mark.parametrize("value", _NO_NUMBERS, ids=repr)
@pytest.mark.parametrize(
    "call",
    [
        lambda work, value: work.snapshot_at(value),
        lambda work, value: work.plan_replay(value),
        lambda work, value: work.replay(value),
        lambda work, value: work.replay(value, in_place=True),
        lambda work, value: work.diff(value or [value], 1),
        lambda work, value: work.diff(1, value or [value]),
        lambda work, value: work.status(version=value or [value]),
        lambda work, value: work.history(value or [value]),
        lambda work, value: work.events(limit=value),
        lambda work, value: work.retry(max_attempts=value or [value]),
        lambda work, value: Seen(value, 1),
        lambda work, value: Seen(1, 1, value),
    ],
)
def test_what_is_no_whole_number(call: Any, value: Any) -> None:
    """One clear line, wherever a number is wanted; also without an event loop."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    bench.steps("w1", Snapshot("", "", step="look", data={}))
    with SyncRoost(bench.roost()) as roost:
        with pytest.raises(InvalidInput, match=r"must be a whole number.*, not ") as caught:
            call(roost.work("w1"), value)
        assert 1 == len(str(caught.value).splitlines())


@pytest.mark.parametrize("value", [*_NO_NUMBERS, -1], ids=repr)
@pytest.mark.parametrize(
    "call",
    [
        lambda roost, value: roost.list(limit=value),
        lambda roost, value: roost.list(offset=value),
        lambda roost, value: roost.find(limit=value),
        lambda roost, value: roost.events(limit=value),
        lambda roost, value: roost.dead_letters(value),
        lambda roost, value: roost.select("").preview("retry", limit=value or [value]),
    ],
)
def test_limits(call: Any, value: Any) -> None:
    """The same for how many are wanted."""
    with (
        SyncRoost(Bench().roost()) as roost,
        pytest.raises(InvalidInput, match=r"^(limit|offset) must "),
    ):
        call(roost, value)
