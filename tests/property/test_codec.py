"""Round trips of everything persisted, and garbage that never gets further than the codec."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roost_core.codec.converter import converter
from roost_core.codec.records import decode_item, decode_model, encode_item, encode_model
from roost_core.codec.snapshots import EncodedSnapshot, decode_snapshot, encode_snapshot
from roost_core.codec.strict_json import digest, dumps, loads
from roost_core.codec.times import from_milliseconds, to_milliseconds
from roost_core.errors import CodecError, CorruptRecord
from roost_core.models import (
    MAX_DELAY_SECONDS,
    Artifact,
    ErrorRecord,
    Heartbeat,
    RetryPolicy,
    Snapshot,
    WorkerInfo,
    WorkItem,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
LABELS = st.text(min_size=1, max_size=200).filter(str.isprintable)
RESOURCES = st.from_regex(r"[\x21-\x7e]{1,20}", fullmatch=True)
SECONDS = st.floats(1e-6, MAX_DELAY_SECONDS)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001 - the zones are given apart


def extras(cls: type) -> st.SearchStrategy[dict[str, Any]]:
    """Return fields that a newer Roost might have written: none that this one knows."""
    # A field called ``extra`` in the bytes is not one of ours.
    known = {field.name for field in attrs.fields(cls)} - {"extra"} | {"schema"}
    return st.dictionaries(TEXTS.filter(lambda name: name not in known), JSON, max_size=3)


POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 10**6),
    base_seconds=SECONDS,
    factor=st.floats(1, 100),
    max_seconds=SECONDS,
    jitter=st.floats(0, 1),
    extra=extras(RetryPolicy),
)
ITEMS = st.builds(
    WorkItem,
    work_id=IDS,
    engine=IDS,
    payload=JSON,
    priority=st.integers(-1000, 1000),
    resources=st.lists(RESOURCES, unique=True, max_size=4),
    title=st.none() | LABELS,
    idempotency_key=st.none() | LABELS,
    deadline_at=st.none() | TIMES,
    retry=POLICIES,
    max_recoveries=st.integers(0, 100),
    step_timeout_seconds=SECONDS,
    parent=st.none() | IDS,
    extra=extras(WorkItem),
)
ARTIFACTS = st.builds(
    Artifact,
    artifact_id=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    size_bytes=st.integers(0, 2**60),
    ext=st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
    name=st.none() | LABELS,
    extra=extras(Artifact),
)
SNAPSHOTS = st.builds(
    Snapshot,
    work_id=IDS,
    engine=IDS,
    version=st.integers(0, 2**53),
    step=LABELS,
    data=st.dictionaries(TEXTS, JSON, max_size=4),
    artifacts=st.lists(ARTIFACTS, max_size=3).map(tuple),
    is_finished=st.booleans(),
    next_step_delay_seconds=st.none() | SECONDS,
    extra=extras(Snapshot),
)
SMALL = st.one_of(
    st.builds(
        ErrorRecord,
        kind=TEXTS,
        message=TEXTS,
        error_type=st.none() | TEXTS,
        traceback=st.none() | TEXTS,
        worker_id=st.none() | TEXTS,
        extra=extras(ErrorRecord),
    ),
    st.builds(
        Heartbeat,
        progress=st.none() | st.floats(0, 1),
        message=TEXTS,
        at=st.none() | TIMES,
        extra=extras(Heartbeat),
    ),
    st.builds(
        WorkerInfo,
        worker_id=TEXTS,
        host=TEXTS,
        pid=st.integers(0, 2**31),
        engines=st.lists(TEXTS, max_size=4).map(tuple),
        concurrency=st.integers(1, 1000),
        lease_ttl_seconds=SECONDS,
        roost_version=TEXTS,
        started_at=TIMES,
        seen_at=st.none() | TIMES,
        extra=extras(WorkerInfo),
    ),
)
DECODERS: dict[str, Any] = {
    "item": decode_item,
    "snapshot": decode_snapshot,
    "artifact": lambda raw: decode_model(Artifact, raw),
    "error": lambda raw: decode_model(ErrorRecord, raw),
    "heartbeat": lambda raw: decode_model(Heartbeat, raw),
    "worker": lambda raw: decode_model(WorkerInfo, raw),
}


def decodes_or_is_corrupt(decode: Any, raw: bytes) -> None:
    """Decode; nothing but ``CorruptRecord`` may come out instead of a model."""
    with suppress(CorruptRecord):
        decode(raw)


@given(JSON)
def test_json_round_trips(value: Any) -> None:
    """What goes in comes out, from bytes and from text."""
    raw = dumps(value, "it", 1 << 20)
    assert value == loads(raw, "it", 1 << 20)
    assert value == loads(raw.decode(), "it", len(raw))


@given(JSON)
def test_caps_are_exact(value: Any) -> None:
    """At its own size a value passes; with one byte less it is refused, both ways."""
    raw = dumps(value, "it", 1 << 20)
    assert raw == dumps(value, "it", len(raw))
    with pytest.raises(CodecError):
        dumps(value, "it", len(raw) - 1)
    with pytest.raises(CodecError):
        loads(raw, "it", len(raw) - 1)


@given(JSON, st.integers(1, 90), st.booleans())
@example(None, 64, True)
@example(None, 65, False)
def test_depth_is_exact(value: Any, depth: int, in_lists: bool) -> None:
    """A value passes if and only if at most 64 lists and objects are in each other."""
    inner = levels(value)
    for _ in range(depth):
        value = [value] if in_lists else {"x": value}
    raw = json.dumps(value).encode()
    if inner + depth <= 64:
        assert value == loads(dumps(value, "it", 1 << 20), "it", 1 << 20)
    else:
        with pytest.raises(CodecError, match="deeper than 64"):
            dumps(value, "it", 1 << 20)
        with pytest.raises(CodecError, match="deeper than 64"):
            loads(raw, "it", 1 << 20)


def levels(value: Any) -> int:
    """Count how many lists and objects are in each other."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
@example(b'{"a":1e999}')
def test_any_bytes_are_json_or_refused(raw: bytes) -> None:
    """Whatever comes in is either JSON that can be written again, or a ``CodecError``."""
    try:
        value = loads(raw, "it", 150)
    except CodecError:
        return
    assert value == loads(dumps(value, "it", 1 << 20), "it", 1 << 20)


@given(JSON, st.sampled_from([math.nan, math.inf, -math.inf, "\ud800", "x\udfff", b"", object()]))
def test_one_bad_value_spoils_it(value: Any, bad: Any) -> None:
    """However it is wrapped, what is not JSON is refused."""
    for spoiled in ([value, bad], {"a": value, "b": [bad]}, {"deep": [[{"x": bad}]]}):
        with pytest.raises(CodecError):
            dumps(spoiled, "it", 1 << 20)


@given(ITEMS)
def test_items_round_trip(item: WorkItem) -> None:
    """An item comes back as it was, fields that nobody knows included."""
    raw = encode_item(item)
    assert item == decode_item(raw)
    assert item == decode_item(encode_item(decode_item(raw)))
    assert 1 == json.loads(raw)["schema"]


@given(SNAPSHOTS)
def test_snapshots_round_trip(snapshot: Snapshot) -> None:
    """A snapshot comes back as it was, fields that nobody knows included."""
    assert snapshot == decode_snapshot(encode_snapshot(snapshot))


MILLISECONDS = st.none() | st.integers(0, 253_402_300_799_999)


@given(SNAPSHOTS, MILLISECONDS, MILLISECONDS, MILLISECONDS)
def test_encoded_snapshots(
    snapshot: Snapshot, created: int | None, updated: int | None, finished: int | None
) -> None:
    """What it says about its bytes is what decoding them gives, for readers of the bytes only."""
    encoded = EncodedSnapshot.of(snapshot)
    assert encode_snapshot(snapshot) == encoded.raw
    times = {"created_ms": created, "updated_ms": updated, "finished_ms": finished}
    assert decode_snapshot(encoded.raw, **times) == encoded.decoded(**times)


@given(SNAPSHOTS)
def test_encoded_snapshots_share_no_data(snapshot: Snapshot) -> None:
    """Each decoding has data of its own: what is changed in place in one is in no other."""
    mine: dict[str, Any] = {"mine": {"list": [1], "tuple": (1, 2)}}
    artifact = Artifact("0" * 64, 1, "txt", extra=mine)
    snapshot = snapshot.evolve(
        data={**snapshot.data, **mine}, extra={**snapshot.extra, **mine}, artifacts=(artifact,)
    )
    encoded = EncodedSnapshot.of(snapshot)
    times: dict[str, Any] = {"created_ms": 1, "updated_ms": 2, "finished_ms": None}
    changed: Any = encoded.decoded(**times)
    for place in (changed.data, changed.extra, changed.artifacts[0].extra):
        place["mine"]["list"].append(2)
        place["other"] = True
    mine["mine"]["list"] = [3]
    found = encoded.decoded(**times)
    assert decode_snapshot(encoded.raw, **times) == found
    for place in (found.data, found.extra, found.artifacts[0].extra):
        assert {"list": [1], "tuple": [1, 2]} == place["mine"]
        assert "other" not in place


@given(SNAPSHOTS, st.sampled_from([math.nan, "\ud800", b"", object()]))
def test_what_cannot_be_encoded_is_refused(snapshot: Snapshot, bad: Any) -> None:
    """Wherever in the data it is."""
    with pytest.raises(CodecError):
        EncodedSnapshot.of(snapshot.evolve(data={**snapshot.data, "x": [bad]}))


@given(SMALL)
def test_small_models_round_trip(model: Any) -> None:
    """Errors, heartbeats and workers come back as they were."""
    assert model == decode_model(type(model), encode_model(model))


@given(ARTIFACTS)
def test_artifacts_round_trip(artifact: Artifact) -> None:
    """An artifact comes back as it was, in the plain form that stores keep."""
    plain = converter()
    assert artifact == plain.structure(plain.unstructure(artifact), Artifact)


@given(st.sampled_from(sorted(DECODERS)), st.binary(max_size=100) | JSON.map(json.dumps))
def test_garbage_is_corrupt(name: str, raw: bytes | str) -> None:
    """Bytes that are nobody's record are ``CorruptRecord``, and never anything else."""
    decodes_or_is_corrupt(DECODERS[name], raw.encode() if isinstance(raw, str) else raw)


SOUND: dict[str, st.SearchStrategy[bytes]] = {
    "item": ITEMS.map(encode_item),
    "snapshot": SNAPSHOTS.map(encode_snapshot),
    "error": SMALL.filter(lambda m: isinstance(m, ErrorRecord)).map(encode_model),
    "heartbeat": SMALL.filter(lambda m: isinstance(m, Heartbeat)).map(encode_model),
    "worker": SMALL.filter(lambda m: isinstance(m, WorkerInfo)).map(encode_model),
}


@pytest.mark.parametrize("name", sorted(SOUND))
@given(data=st.data(), bad=JSON)
def test_one_wrong_field_is_corrupt(name: str, data: st.DataObject, bad: Any) -> None:
    """A record with any field replaced by any JSON decodes or is corrupt, never anything else."""
    plain = json.loads(data.draw(SOUND[name]))
    field = data.draw(st.sampled_from(sorted(plain)))
    decodes_or_is_corrupt(DECODERS[name], json.dumps(plain | {field: bad}).encode())
    del plain[field]
    decodes_or_is_corrupt(DECODERS[name], json.dumps(plain).encode())


@pytest.mark.parametrize("name", sorted(SOUND))
@given(data=st.data())
def test_cut_and_flipped_bytes_are_corrupt(name: str, data: st.DataObject) -> None:
    """A record that is cut short, or has a byte changed, decodes or is corrupt."""
    raw = data.draw(SOUND[name])
    place = data.draw(st.integers(0, len(raw) - 1))
    flipped = raw[:place] + bytes([data.draw(st.integers(0, 255))]) + raw[place + 1 :]
    decodes_or_is_corrupt(DECODERS[name], flipped)
    with pytest.raises(CorruptRecord):
        DECODERS[name](raw[:place])


@given(TIMES)
def test_times_round_trip_in_milliseconds(time: datetime) -> None:
    """A time survives to the millisecond, in UTC."""
    there_and_back = from_milliseconds(to_milliseconds(time))
    assert abs(there_and_back - time) <= timedelta(microseconds=501)
    assert UTC == there_and_back.tzinfo


@given(IDS, JSON)
def test_a_digest_does_not_depend_on_key_order(engine: str, payload: Any) -> None:
    """The same payload with its keys in another order is the same payload."""
    assert digest(engine, payload) == digest(engine, turned(payload))


def turned(value: Any) -> Any:
    """Return the value with every object's keys in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(one) for one in value] if isinstance(value, list) else value
