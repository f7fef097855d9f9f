"""JSON at the boundary: caps, refusals, and what survives a round trip."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from roost_core.codec.records import (
    decode_item,
    decode_model,
    encode_item,
    encode_model,
    encode_payload,
)
from roost_core.codec.snapshots import decode_snapshot, encode_snapshot
from roost_core.codec.strict_json import (
    MAX_PAYLOAD_BYTES,
    MAX_SNAPSHOT_BYTES,
    digest,
    dumps,
    loads,
    parse,
    pretty,
)
from roost_core.codec.times import from_milliseconds, to_milliseconds
from roost_core.errors import CodecError, CorruptRecord, InvalidInput
from roost_core.models import (
    Artifact,
    ErrorRecord,
    Heartbeat,
    Json,
    RetryPolicy,
    Snapshot,
    State,
    WorkItem,
)
from roost_core.shown.plain import to_plain

SHA = "0" * 64


def nested(depth: int) -> Json:
    """Return this many nested lists."""
    value: Json = []
    for _ in range(depth - 1):
        value = [value]
    return value


def stored(model: str, **fields: Any) -> bytes:
    """Write what a backend may hold: an item or a snapshot with some fields set."""
    base = {"schema": 1, "work_id": "a", "engine": "e"}
    base |= {"version": 1, "step": "s"} if model == "snapshot" else {}
    return json.dumps(base | fields).encode()


# -- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "ü🦉", [], {}, {"a": [1, {"b": None}]}])
def test_sound_json_passes(value: Json) -> None:
    """JSON is compact UTF-8, and comes back as it was."""
    raw = dumps(value, "it", 100)
    assert value == loads(raw, "it", 100)
    assert b" " not in raw


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, {1, 2}, object(), b"x", "\ud800", {"\udfff": 1}, 1j]
)
def test_what_is_not_json_is_refused(value: Any) -> None:
    """Nothing is written that another reader could not read."""
    with pytest.raises(CodecError, match="it is not JSON"):
        dumps([value], "it", 100)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[1,]",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"[-1e400]",
        b"1" * 400 + b".0",
        b'"\xff"',
        b'"\\ud800"',
        b'{"\\udfff":1}',
        b"\xef\xbb\xbf1",
        b"1 2",
        b"9" * 5000,
        '"\ud800"',
        "",
    ],
)
def test_broken_json_is_refused(raw: bytes | str) -> None:
    """Malformed texts, infinite numbers and lone surrogates do not get in."""
    with pytest.raises(CodecError, match="it is not JSON"):
        loads(raw, "it", 10_000)


def test_paired_surrogates_are_letters() -> None:
    """An escaped pair spells one character, and does not count as lone surrogates."""
    assert "🦉" == loads(b'"\\ud83e\\udd89"', "it", 100)


@pytest.mark.parametrize("value", ["x" * 8, "üüüü", [1, 2, 3, 41]])
def test_the_cap_is_in_bytes(value: Json) -> None:
    """Exactly at the cap is fine; one byte over is not, in either direction."""
    raw = dumps(value, "it", 10)
    assert 10 == len(raw)
    assert value == loads(raw, "it", 10) == loads(raw.decode(), "it", 10)
    for refused in (
        lambda: dumps(value, "it", 9),
        lambda: loads(raw, "it", 9),
        lambda: loads(raw.decode(), "it", 9),
    ):
        with pytest.raises(CodecError, match="it has 10 bytes; the limit is 9"):
            refused()


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: tuple(value)])
def test_the_depth_is_64(wrap: Any) -> None:
    """64 levels are fine, 65 are not, and no depth exhausts the stack."""
    value = wrap(nested(64))
    raw = dumps(value, "it", 1000)
    assert nested(64) == loads(raw, "it", 1000)
    with pytest.raises(CodecError, match="nests deeper than 64"):
        dumps(wrap(nested(65)), "it", 1000)
    for depth in (65, 66, 100_000):
        with pytest.raises(CodecError, match="nests deeper than 64"):
            loads(b"[" * depth + b"]" * depth, "it", 1_000_000)


def test_deep_text_never_reaches_the_decoder() -> None:
    """The end of the stack is no check: finalizers that run there fail, and are not run again."""
    for raw in (b"[" * 100_000, b'{"a":' * 900, b"[" * 900 + b"]" * 900):
        with pytest.raises(CodecError, match="nests deeper than 64") as caught:
            loads(raw, "it", 1_000_000)
        assert caught.value.__cause__ is None
        with pytest.raises(ValueError, match="nests deeper than 64"):
            parse(raw)


def test_what_is_no_json_is_called_so_whatever_its_brackets() -> None:
    """Brackets that close nothing are no depth."""
    for raw in (b"]" * 100, b"[]" * 100, b"[" * 10 + b"]" * 100, b'["' + b"[" * 100):
        with pytest.raises(CodecError, match="it is not JSON"):
            loads(raw, "it", 1_000_000)


def test_breadth_is_not_depth() -> None:
    """Many brackets side by side are fine, in lists and in objects."""
    for value in ([[]] * 500, {str(number): {} for number in range(500)}, "[" * 500):
        assert value == loads(dumps(value, "it", 10_000), "it", 10_000)


class Counted(dict[str, Any]):
    """An object that counts how often it is walked through."""

    walks = 0

    def items(self) -> Any:
        """Return what it holds."""
        self.walks += 1
        return super().items()


@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: [it], lambda it: {"in": ({"it": it},)}])
def test_a_circle_is_refused(wrap: Any) -> None:
    """At once, not after it was written, with all it holds, until the stack is exhausted."""
    value = Counted(text="x")
    value["back"] = wrap(value)
    refusing: list[Any] = [
        lambda: dumps(value, "it", 100),
        lambda: encode_payload(value),
        lambda: encode_snapshot(Snapshot("a", "e", data=value)),
        lambda: digest("e", value),
        lambda: encode_model(Heartbeat(extra={"it": value})),
    ]
    for number, refused in enumerate(refusing, 1):
        with pytest.raises(CodecError, match="is not JSON: Circular reference detected"):
            refused()
        assert number == value.walks


def test_digests_name_engine_and_payload() -> None:
    """Key order does not count; engine, values and their types do."""
    same = digest("e", {"a": 1, "b": [True]})
    assert same == digest("e", {"b": [True], "a": 1})
    others = [("f", {"a": 1, "b": [True]}), ("e", {"a": 1, "b": [1]}), ("e", None)]
    assert 4 == len({same, *(digest(engine, payload) for engine, payload in others)})
    assert 32 == len(same)


@pytest.mark.parametrize("payload", [object(), {1: 1, "a": 2}, {"a": {1, 2}}])
def test_a_digest_of_no_json_is_refused(payload: Any) -> None:
    """What cannot be a payload has no digest, either."""
    with pytest.raises(CodecError, match="payload is not JSON"):
        digest("e", payload)


# -- models ---------------------------------------------------------------------------------------


def test_an_item_round_trips() -> None:
    """Everything but the server's time is in the bytes."""
    item = WorkItem(
        work_id="a",
        engine="e",
        payload={"n": [1, 2.5, None]},
        priority=-7,
        resources=("r", "s"),
        title="A title",
        idempotency_key="key",
        deadline_at=datetime(2030, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        retry=RetryPolicy(max_attempts=9, jitter=0),
        max_recoveries=0,
        step_timeout_seconds=12.5,
        parent="p",
        extra={"later": {"x": 1}},
    )
    raw = encode_item(item)
    assert item == decode_item(raw)
    created = decode_item(raw, created_ms=1_700_000_000_123).created_at
    assert datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC) == created


def test_a_snapshot_round_trips() -> None:
    """The server's times come from alongside the bytes, whatever an engine wrote there."""
    snapshot = Snapshot(
        work_id="a",
        engine="e",
        version=3,
        step="three",
        data={"n": 1},
        artifacts=(Artifact(SHA, 5, "json", "report"),),
        next_step_delay_seconds=0.25,
        created_at=datetime(1999, 1, 1, tzinfo=UTC),
        extra={"later": 1},
    )
    decoded = decode_snapshot(encode_snapshot(snapshot), created_ms=0, updated_ms=1)
    assert datetime(1970, 1, 1, tzinfo=UTC) == decoded.created_at
    assert (1_000, None) == (decoded.updated_at.microsecond, decoded.finished_at)  # type: ignore[union-attr]  # it is set
    assert ("three", {"n": 1}, snapshot.artifacts, 0.25, {"later": 1}) == (
        decoded.step,
        decoded.data,
        decoded.artifacts,
        decoded.next_step_delay_seconds,
        decoded.extra,
    )


def test_unknown_fields_survive() -> None:
    """What a newer Roost wrote is still there after an older one has written."""
    raw = stored("item", color="red", retry={"max_attempts": 2, "shape": "round"}, extra=5)
    item = decode_item(encode_item(decode_item(raw)))
    assert {"color": "red", "extra": 5} == item.extra
    assert {"shape": "round"} == item.retry.extra
    snapshot = decode_snapshot(
        stored("snapshot", artifacts=[{"artifact_id": SHA, "size_bytes": 1, "hue": 3}])
    )
    assert {"hue": 3} == snapshot.artifacts[0].extra


def test_payload_and_data_may_nest_64_deep() -> None:
    """The envelope around them does not count, on the way in or out; nor does data itself."""
    item = WorkItem("a", "e", payload=nested(64))
    assert item == decode_item(encode_item(item))
    snapshot = Snapshot("a", "e", data={"n": nested(64)})
    assert snapshot == decode_snapshot(encode_snapshot(snapshot))
    with pytest.raises(CodecError, match="the payload nests deeper than 64"):
        encode_item(WorkItem("a", "e", payload=nested(65)))
    with pytest.raises(CodecError, match="the snapshot nests deeper than 64"):
        encode_snapshot(Snapshot("a", "e", data={"n": nested(65)}))


def test_payload_and_snapshot_have_caps() -> None:
    """A payload may have 1 MiB, a snapshot 8 MiB; one byte over is refused."""
    most = MAX_PAYLOAD_BYTES - 2
    item = WorkItem("a", "e", payload="x" * most)
    assert item == decode_item(encode_item(item))
    with pytest.raises(CodecError, match=r"the payload has 1048577 bytes; the limit is 1048576"):
        encode_item(WorkItem("a", "e", payload="x" * (most + 1)))
    room = MAX_SNAPSHOT_BYTES - len(encode_snapshot(Snapshot("a", "e", data={"": ""})))
    encode_snapshot(Snapshot("a", "e", data={"": "x" * room}))
    with pytest.raises(CodecError, match=r"the snapshot has 8388609 bytes"):
        encode_snapshot(Snapshot("a", "e", data={"": "x" * (room + 1)}))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b'{"schema":1}',
        b'{"schema":"1","work_id":"a","engine":"e"}',
        b'{"schema":true,"work_id":"a","engine":"e"}',
        b'{"work_id":"a","engine":"e"}',
        b'{"schema":1,"work_id":"a"}',
        b'{"schema":1,"work_id":"a","engine":"e","payload":1e999}',
    ],
)
def test_records_that_are_none(raw: bytes) -> None:
    """Bytes that are not the record of an item or snapshot are corrupt, and said to be so."""
    for decode in (decode_item, decode_snapshot):
        with pytest.raises(CorruptRecord, match="does not decode"):
            decode(raw)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("work_id", 5),
        ("work_id", "a/b"),
        ("engine", None),
        ("priority", "1"),
        ("priority", 1.0),
        ("priority", True),
        ("priority", 5000),
        ("resources", "abc"),
        ("resources", {"a": 1}),
        ("resources", {}),
        ("resources", ""),
        ("resources", None),
        ("resources", [1]),
        ("resources", [["a"]]),
        ("title", 5),
        ("idempotency_key", []),
        ("deadline_at", 1_700_000_000),
        ("deadline_at", "soon"),
        ("deadline_at", "2030-01-01T00:00:00"),
        ("retry", None),
        ("retry", []),
        ("retry", {"max_attempts": "5"}),
        ("retry", {"jitter": 2}),
        ("max_recoveries", -1),
        ("step_timeout_seconds", "5"),
        ("step_timeout_seconds", 10**400),
        ("parent", {}),
    ],
)
def test_items_with_a_wrong_field(field: str, value: Json) -> None:
    """A wrong type is never converted into a right one."""
    with pytest.raises(CorruptRecord, match="the stored work item does not decode"):
        decode_item(stored("item", **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "1"),
        ("version", 1.0),
        ("version", True),
        ("step", ""),
        ("step", 5),
        ("data", []),
        ("data", "x"),
        ("data", None),
        ("data", [["a", 1]]),
        ("artifacts", {}),
        ("artifacts", ""),
        ("artifacts", SHA),
        ("artifacts", [SHA]),
        ("artifacts", [{"artifact_id": SHA}]),
        ("artifacts", [{"artifact_id": "../x", "size_bytes": 1}]),
        ("is_finished", 1),
        ("is_finished", None),
        ("next_step_delay_seconds", "1"),
        ("next_step_delay_seconds", False),
    ],
)
def test_snapshots_with_a_wrong_field(field: str, value: Json) -> None:
    """A wrong type is never converted into a right one."""
    with pytest.raises(CorruptRecord, match="the stored snapshot does not decode"):
        decode_snapshot(stored("snapshot", **{field: value}))


def test_texts_of_small_models_always_come_back() -> None:
    """What went wrong, or what an engine says, can be stored whatever characters it has."""
    heartbeat = Heartbeat(message="a\ud800b ü🦉\x00")
    decoded = decode_model(Heartbeat, encode_model(heartbeat))
    assert "a?b ü🦉\x00" == decoded.message


def test_small_models_that_are_no_json_are_refused() -> None:
    """NaN, or a text over the cap, is found before it is stored."""
    with pytest.raises(CodecError, match="the Heartbeat is not JSON"):
        encode_model(Heartbeat(progress=math.nan))
    with pytest.raises(CodecError, match="the ErrorRecord has"):
        encode_model(ErrorRecord("exception", "x" * MAX_PAYLOAD_BYTES))


# -- times and people -----------------------------------------------------------------------------


def test_times_are_whole_milliseconds() -> None:
    """A time goes to milliseconds and back; its zone does not matter, but must be known."""
    east = timezone(timedelta(hours=2))
    assert 1 == to_milliseconds(datetime(1970, 1, 1, 2, 0, 0, 1000, tzinfo=east))
    assert 1_700_000_000_123 == to_milliseconds(from_milliseconds(1_700_000_000_123))
    with pytest.raises(InvalidInput, match="no time zone"):
        to_milliseconds(datetime(2030, 1, 1))  # noqa: DTZ001 - that is the point


def test_people_see_every_field() -> None:
    """Plain values have every field, unknown ones too, and times in ISO 8601."""
    item = WorkItem(
        "a", "e", deadline_at=datetime(2030, 1, 1, tzinfo=UTC), extra={"later": State.DONE}
    )
    plain = to_plain(item)
    assert "2030-01-01T00:00:00.000Z" == plain["deadline_at"]
    assert "extra" not in plain
    assert 5 == plain["retry"]["max_attempts"]
    json.dumps(plain)


def test_pretty_json_has_one_form() -> None:
    """Equal values give equal bytes: keys sorted, a newline at the end."""
    raw = pretty({"b": 1, "a": "ü"})
    assert raw == pretty({"a": "ü", "b": 1})
    assert '{\n  "a": "ü",\n  "b": 1\n}\n' == raw.decode()
