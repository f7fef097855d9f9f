"""Random documents, edited step by step: what is stored, what comes back, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from roost_core.codec import changes, moved, pieced, pieces
from roost_core.codec.moved import MOVED_SCHEMA, Stored, value_ids
from roost_core.codec.pieced import PiecedSnapshot
from roost_core.codec.records import encode_item
from roost_core.codec.snapshots import (
    BASE_SCHEMA,
    EncodedSnapshot,
    decode_snapshot,
    plain_snapshot,
)
from roost_core.codec.strict_json import MAX_SNAPSHOT_BYTES, dumps
from roost_core.models import Artifact, Snapshot, WorkItem
from roost_core.stepping import recent
from roost_core.stepping.recent import StoredItem
from tests.property.versions_kit import OBJECTS, TEXTS, Shelf, edited, exact

#: How small the bounds are made: large, _SPLIT, _SMALL, _RUN.
BOUNDS = [(60, 24, 8, 24), (60, 40, 16, 48), (60, 10, 1, 10), (200, 4096, 64, 1024)]
#: From how many bytes on texts are moved.
LEASTS = st.sampled_from([0, 0, 6, 12])
ARTIFACT = Artifact(artifact_id="0" * 64, size_bytes=3)


@contextmanager
def bounds(large: int, split: int, small: int, run: int) -> Iterator[None]:
    """Make branches of what is small, so that there are many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieced, "LARGE", large)
        patch.setattr(recent, "LARGE", large)
        patch.setattr(moved, "_PROBE_BYTES", 8)
        patch.setattr(pieces, "_SPLIT", split)
        patch.setattr(pieces, "_SMALL", small)
        patch.setattr(pieces, "_RUN", run)
        patch.setattr(changes, "_FEW", 2)
        yield


def as_a_whole(snapshot: Snapshot, schema: int, is_in_pieces: bool) -> bytes:
    """Return the bytes that a snapshot has to have; in pieces, empty data is written, too."""
    plain = plain_snapshot(snapshot, schema)
    if is_in_pieces and not snapshot.data:
        plain = plain_snapshot(attrs.evolve(snapshot, data={"": 0}), schema) | {"data": {}}
    return dumps(plain, "it", MAX_SNAPSHOT_BYTES, envelope=2)


def see_right(one: EncodedSnapshot | PiecedSnapshot, snapshot: Snapshot, before: bytes) -> bytes:
    """Check an encoded snapshot against the snapshot and the bytes before; return its bytes."""
    raw = one.raw
    assert {*one.values} == value_ids(raw)
    whole = Stored.joined(raw, one.values).whole
    schema = MOVED_SCHEMA if one.values else BASE_SCHEMA if isinstance(one, PiecedSnapshot) else 1
    assert as_a_whole(snapshot, schema, isinstance(one, PiecedSnapshot)) == whole
    assert len(whole) == moved.whole_bytes(raw)
    decoded = one.decoded(1, 2, None)
    expected = decode_snapshot(whole, created_ms=1, updated_ms=2)
    assert expected == decoded
    assert exact(dict(expected.data), dict(decoded.data))
    if isinstance(one, PiecedSnapshot):
        assert len(raw) == len(one)
    if one.change:
        text = bytearray(before)
        changes.followed(text, one.change)
        assert raw == text
        changes.undone(text, one.change)
        assert before == text
    return raw


def next_snapshot(data: st.DataObject, last: Snapshot, document: dict[str, Any]) -> Snapshot:
    """Return the next snapshot, around which now and then something else is new, too."""
    fields: dict[str, Any] = {}
    around = data.draw(st.integers(0, 5), label="around")
    if around == 4:
        fields = {"step": "läuft", "artifacts": (ARTIFACT,) * data.draw(st.integers(0, 2))}
    elif around == 5:
        fields = {"next_step_delay_seconds": data.draw(st.sampled_from([0.5, 3, 1e9]))}
    return last.evolve(version=last.version + 1, data=document, **fields)


@given(st.data(), OBJECTS, st.sampled_from(BOUNDS))
def test_piece_by_piece(data: st.DataObject, document: dict[str, Any], few: Any) -> None:
    """Whatever changes, the pieces are the text of the whole, and the change leads there."""
    first = Snapshot(work_id="w", engine="e", version=1, step="läuft", data=document)
    with bounds(*few):
        raw = as_a_whole(first, BASE_SCHEMA, is_in_pieces=True)
        last: Any = PiecedSnapshot.of_base(Stored(raw), 1, 0, 1 << 30)
        assert last is not None
        see_right(last, first, b"")
        snapshot = first
        for _ in range(data.draw(st.integers(1, 4), label="steps")):
            before = document
            document = edited(data, document)
            snapshot = next_snapshot(data, snapshot, document)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(pieced, "LARGE", 0)  # whatever its size, it stays in pieces
                following = last.following(snapshot, data.draw(LEASTS))
            raw = see_right(following, snapshot, raw)
            if not isinstance(following, PiecedSnapshot):
                assert last.is_base  # and twice in a row nearly all is new
                return
            if following.is_same:
                assert exact(before, document)
            last = following


@given(st.data(), OBJECTS, st.sampled_from(BOUNDS))
@effort(max_examples=effort.default.max_examples * 2)
def test_every_version_that_is_kept_comes_back(
    data: st.DataObject, document: dict[str, Any], few: Any
) -> None:
    """Small or large, replaced or not, by one worker or several: each is as it was committed."""
    shelf = Shelf()
    raw_item = encode_item(WorkItem(work_id="w", engine="e"))
    stored = StoredItem(raw_item, 0)
    snapshot = Snapshot(work_id="w", engine="e")
    before: Stored | PiecedSnapshot | None = None
    least = data.draw(LEASTS, label="least")
    with bounds(*few):
        for _ in range(data.draw(st.integers(1, 9), label="steps")):
            document = edited(data, document)
            snapshot = next_snapshot(data, snapshot, document)
            encoded = stored.encode(snapshot, before, least)
            shelf.values |= encoded.values
            raw = see_right(encoded, snapshot, shelf.committed[-1])
            shelf.commit(encoded, raw)
            before = encoded
            if data.draw(st.integers(0, 3), label="another worker") == 0:
                before = taken_over(shelf, raw)
                stored = StoredItem(raw_item, 0)
    history = shelf.history()
    assert history.versions[:1] == (shelf.version,)
    for version in history.versions:
        assert shelf.committed[version] == history.snapshot(version)
    texts = {version: None if text is None else bytes(text) for version, text in history.texts()}
    assert {one: shelf.committed[one] for one in history.versions} == texts


def taken_over(shelf: Shelf, raw: bytes) -> Stored | PiecedSnapshot:
    """Return what another worker makes of what is stored."""
    newest = shelf.history().snapshot(shelf.version)
    assert raw == newest
    given = Stored.joined(newest, {one: shelf.values[one] for one in value_ids(newest)})
    if not shelf.base or shelf.stored is None:
        return given
    since = [len(one.back) for one in shelf.entries[shelf.base :]]
    mine = PiecedSnapshot.of_base(given, len(since), sum(since), len(shelf.stored))
    return mine or given


@given(
    st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=6), st.binary(max_size=6))),
    st.sampled_from([0, 1000]),
)
def test_splices(parts: list[tuple[bytes, bytes, bytes]], few: int) -> None:
    """Any splices lead there and back, one by one or all at once, over any bytes."""
    old = new = b""
    found = []
    for same, gone, come in parts:
        found.append(changes.Splice(len(old) + len(same), gone, come))
        old, new = old + same + gone, new + same + come
    change = changes.written(found)
    text = bytearray(old)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "_FEW", few)
        changes.followed(text, change)
        assert new == text
        changes.undone(text, change)
    assert old == text


@given(TEXTS, TEXTS)
def test_the_one_difference_of_two_texts(old: str, new: str) -> None:
    """All between what they have in common at both ends, and no more."""
    one, other = old.encode(), new.encode()
    splice = changes.between(one, other)
    text = bytearray(one)
    changes.followed(text, changes.written([splice]))
    assert other == text
    assert splice.old[:1] != splice.new[:1] or not splice.old or not splice.new
    assert splice.old[-1:] != splice.new[-1:] or not splice.old or not splice.new
