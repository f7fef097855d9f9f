"""Stored bytes that do not decode: a dead letter keeps them, and no other work suffers."""

from __future__ import annotations

import contextlib
import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.codec.records import decode_item, encode_item
from roost_core.codec.snapshots import decode_snapshot, encode_snapshot
from roost_core.codec.strict_json import dumps, loads
from roost_core.errors import CorruptRecord
from roost_core.models import Snapshot, State, WorkItem
from tests.unit.stepping.stepper_bench import Bench, counting, engine, error_of, leaping

pytestmark = leaping


def damaged(raw, change):
    """Return stored bytes with a change."""
    if isinstance(change, bytes):
        return change
    plain = {**loads(raw, "it", 1 << 20), **change}
    return dumps(plain, "it", 1 << 24)


BAD_ITEMS = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"schema":1}',
    b"[" * 100_000,
    b'{"schema":1,"x":' + b"[" * 1000 + b"]" * 1000 + b"}",
    {"schema": 0},
    {"schema": None},
    {"work_id": "other"},
    {"work_id": 5},
    {"engine": "other"},
    {"priority": "high"},
    {"priority": 10**400},
    {"resources": 5},
    {"resources": [None]},
    {"title": ["x"]},
    {"deadline_at": "soon"},
    {"deadline_at": 5},
    {"retry": []},
    {"retry": {"max_attempts": 0}},
    {"retry": {"base_seconds": 10**400}},
    {"retry": {"jitter": "much"}},
    {"max_recoveries": -1},
    {"step_timeout_seconds": 0},
    {"step_timeout_seconds": 10**400},
    {"parent": "../x"},
]
BAD_SNAPSHOTS = [
    *BAD_ITEMS[:10],
    {"version": 7},
    {"version": "1"},
    {"work_id": 5},
    {"step": ""},
    {"data": []},
    {"data": None},
    {"artifacts": 5},
    {"artifacts": [{"artifact_id": "../x", "size_bytes": 1}]},
    {"is_finished": "yes"},
    {"next_step_delay_seconds": "1"},
]


@pytest.mark.parametrize("what", ["item", "snapshot"])
async def test_corrupt_bytes(what):
    """Each makes a dead letter that keeps the bytes, and other work continues."""
    bench = Bench(engine(counting(3)), slice_steps=1)
    for number, change in enumerate(BAD_ITEMS if what == "item" else BAD_SNAPSHOTS):
        work_id = await bench.enqueue(work_id=f"w{number}", payload={"n": 0})
        await bench.once()
        sound = getattr(await bench.ledger.read(work_id), what)
        broken = damaged(sound, change)
        claim = await bench.claim()
        await bench.stepper.run(attrs.evolve(claim, **{what: broken}))
        work = await bench.ledger.read(work_id)
        kept = getattr(work, what)
        assert (State.FAILED, 1, sound) == (work.state, work.version, kept), change
        error = await error_of(bench, work_id)
        assert "corrupt" == error.kind
        assert len(error.message) < 500
    other = await bench.enqueue()
    await bench.through()
    assert State.DONE is await bench.state(other)


async def test_missing_snapshot():
    """A version without its snapshot is corrupt: the agent does not silently start over."""
    bench = Bench(engine(counting(3)), slice_steps=1)
    work_id = await bench.enqueue()
    await bench.once()
    await bench.stepper.run(attrs.evolve(await bench.claim(), snapshot=None))
    assert "corrupt" == (await error_of(bench, work_id)).kind


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
ITEM = WorkItem("w", "demo", payload=1, resources=("a",), title="t", parent="p")
SNAPSHOT = Snapshot.start(ITEM, version=3, data={"a": 1})


@given(st.dictionaries(st.sampled_from([f.name for f in attrs.fields(WorkItem)]), anything))
def test_any_item_decodes_or_is_corrupt(fields):
    """Whatever is in the fields of a stored item, the one error is CorruptRecord."""
    plain = {**json.loads(encode_item(ITEM)), **fields}
    _decodes_or_is_corrupt(lambda: decode_item(json.dumps(plain).encode(), 1))


@given(st.dictionaries(st.sampled_from([f.name for f in attrs.fields(Snapshot)]), anything))
def test_any_snapshot_decodes_or_is_corrupt(fields):
    """Whatever is in the fields of a stored snapshot, the one error is CorruptRecord."""
    plain = {**json.loads(encode_snapshot(SNAPSHOT)), **fields}
    _decodes_or_is_corrupt(lambda: decode_snapshot(json.dumps(plain).encode()))


@given(st.binary(max_size=3), st.integers(0, 60), st.integers(0, 5))
def test_any_bytes_decode_or_are_corrupt(put, at, drop):
    """Bytes cut out or put in give a model or CorruptRecord."""
    raw = encode_snapshot(SNAPSHOT)
    _decodes_or_is_corrupt(lambda: decode_snapshot(raw[:at] + put + raw[at + drop :]))


def _decodes_or_is_corrupt(decode):
    with contextlib.suppress(CorruptRecord):
        decode()
