"""Large texts that are kept elsewhere: which are moved, and how they come back."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise

import pytest

from roost_core.codec import changes, moved
from roost_core.codec.moved import (
    MOVED_SCHEMA,
    Mover,
    Stored,
    described,
    has_values,
    resembles,
    sizes,
    value_ids,
    whole_bytes,
    with_values,
)
from roost_core.codec.pieced import LARGE, PiecedSnapshot, based
from roost_core.codec.snapshots import EncodedSnapshot, decode_snapshot
from roost_core.codec.strict_json import MAX_SNAPSHOT_BYTES, dumps
from roost_core.errors import CodecError, CorruptRecord
from roost_core.models import Snapshot

LEAST = 1000


def text(seed, size=5000):
    """Return a text that is like no other."""
    blocks = (hashlib.sha256(f"{seed} {n}".encode()).hexdigest() for n in range(size // 64 + 1))
    return "".join(blocks)[:size]


def snapshot(data, version=1):
    """Make a snapshot."""
    return Snapshot(work_id="w", engine="e", version=version, data=data)


def stands_for(value):
    """Return the id of a text."""
    return hashlib.sha256(dumps(value, "it", 1 << 23)).hexdigest()


def parted(value, least=LEAST, known=None):
    """Move the texts of a value; return what is left, and what was moved."""
    mover = Mover(least, known or {})
    return mover(dumps(value, "it", 1 << 23), lambda _: False), mover.moved


@pytest.mark.parametrize(
    "long",
    [
        "x" * LEAST,
        '"' * LEAST,
        "\\" * LEAST,
        "\\" * (LEAST + 1),
        '\\"' * LEAST,
        "é\n\t\x00" * LEAST,
        '{"a": "' * LEAST,
        "\U0001f600" * LEAST,
        "\\u0072oost:" * LEAST,
        '"\\u0072oost:' * LEAST,
        "72oost:" * LEAST,
    ],
)
@pytest.mark.parametrize("around", [lambda one: [one], lambda one: {"a\\": one, "b": "\\"}])
def test_a_long_text_whatever_is_in_it(long, around):
    """It comes back as it was, and what is around it stays."""
    value = around([long, "short", long])
    raw, texts = parted(value)
    assert {stands_for(long)} == {*texts} == value_ids(raw)
    assert len(raw) < 400
    whole = dumps(value, "it", 1 << 23)
    assert whole == with_values(raw, texts)
    assert len(whole) == whole_bytes(raw)
    assert {stands_for(long): len(dumps(long, "it", 1 << 23))} == sizes(raw)


@pytest.mark.parametrize("size", range(LEAST - 6, LEAST + 4))
@pytest.mark.parametrize("before", range(0, LEAST, 97))
def test_from_how_many_bytes_on(size, before):
    """Wherever it begins, its quotes count."""
    raw, texts = parted(["y" * before, "x" * size, 1])
    assert (size + 2 >= LEAST) is bool(texts) is has_values(raw)


def test_keys_stay():
    """Only values are moved."""
    value = {"k" * LEAST: 1, "a": {"l" * LEAST: "m" * LEAST}}
    raw, texts = parted(value)
    assert {stands_for("m" * LEAST)} == {*texts}
    assert b"k" * LEAST in raw


def test_nothing_that_is_short():
    """Many short texts, with quotes and without, are left as they are."""
    value = [{"a": 'say "yes"', "b": "\\", "c": n} for n in range(1000)]
    raw, texts = parted(value)
    assert ({}, dumps(value, "it", 1 << 23)) == (texts, raw)


def test_what_is_not_moved_any_more_stays_where_it_is():
    """With 0, only what was moved before keeps its stand-in."""
    old, new = "o" * LEAST, "n" * LEAST
    _, texts = parted([old])
    raw, kept = parted([old, new], 0, texts)
    assert texts == kept
    assert dumps(new, "it", 1 << 23) in raw


def test_a_text_that_is_missing_or_another():
    """It is said, not guessed."""
    raw, texts = parted(["x" * LEAST])
    with pytest.raises(CorruptRecord, match="is missing"):
        with_values(raw, {})
    with pytest.raises(CorruptRecord, match="is missing"):
        with_values(raw, dict.fromkeys(texts, b'"short"'))
    with pytest.raises(CorruptRecord, match="large texts of it are elsewhere"):
        decode_snapshot(EncodedSnapshot.of(snapshot({"a": "x" * LEAST}), None, LEAST).raw)


def test_for_people():
    """A few words stand for it."""
    raw, texts = parted(["x" * LEAST])
    (one,) = texts
    assert [f"({LEAST + 2} bytes, SHA-256 {one})"] == json.loads(described(raw))


def test_as_a_whole():
    """Its schema says that it has stand-ins; what engines get has none."""
    data = {"image": text(1), "n": 1}
    encoded = EncodedSnapshot.of(snapshot(data), None, LEAST)
    assert encoded.raw.startswith(b'{"schema":%d,' % MOVED_SCHEMA)
    assert {stands_for(text(1))} == {*encoded.values}
    assert data == encoded.decoded(None, None, None).data
    assert data == decode_snapshot(Stored.joined(encoded.raw, encoded.values).whole).data
    plain = EncodedSnapshot.of(snapshot({"n": 1}), encoded, LEAST)
    assert plain.raw.startswith(b'{"schema":1,')
    assert {} == plain.values


def test_one_that_was_there_is_not_hashed_again(monkeypatch):
    """It is compared."""
    one, other = snapshot({"image": text(1)}), snapshot({"image": text(1), "n": 2}, 2)
    first = EncodedSnapshot.of(one, None, LEAST)
    monkeypatch.setattr(moved.hashlib, "sha256", None)
    second = EncodedSnapshot.of(other, first, LEAST)
    assert first.values == second.values


@pytest.mark.parametrize("was_moved", [False, True])
def test_an_edited_text_is_in_the_snapshot(was_moved):
    """So that a step costs what it changed; whether or not it was there before."""
    before = EncodedSnapshot.of(snapshot({"log": text(1)}), None, LEAST if was_moved else 0)
    after = EncodedSnapshot.of(snapshot({"log": text(1) + "more"}, 2), before, LEAST)
    assert (was_moved, False) == (bool(before.values), bool(after.values))
    other = EncodedSnapshot.of(snapshot({"log": text(2)}, 2), before, LEAST)
    assert {stands_for(text(2))} == {*other.values}


@pytest.mark.parametrize(
    ("change", "is_edit"),
    [
        (lambda old: old, True),
        (lambda old: "new " + old, True),
        (lambda old: old + " new", True),
        (lambda old: old[:2000] + "something else" + old[2100:], True),
        (lambda old: old[:40] + text("other"), False),
        (lambda old: text("other") + old[-40:], False),
        (lambda old: text("other"), False),
    ],
)
@pytest.mark.parametrize("count", [1, 30])
def test_what_is_an_edit(change, is_edit, count):
    """Most of it was there, and its beginning or its end; however many others were there."""
    others = [text(n) for n in range(1, count)]
    before = EncodedSnapshot.of(snapshot({"log": text(0), "others": others}), None, 0)
    data = {"log": change(text(0)), "others": others}
    after = EncodedSnapshot.of(snapshot(data, 2), before, LEAST)
    assert is_edit is not (stands_for(data["log"]) in after.values)
    assert all(stands_for(one) not in after.values for one in others)


def test_many_that_begin_alike():
    """As pictures do: each is compared with a few, so that a step takes no longer for it."""
    head = text("head", 100)
    old = [head + text(n) for n in range(50)]
    new = [head + text(n) for n in range(50, 100)]
    before = EncodedSnapshot.of(snapshot({"all": old}), None, LEAST)
    after = EncodedSnapshot.of(snapshot({"all": new}, 2), before, LEAST)
    assert {stands_for(one) for one in new} == {*after.values}


def rows(count):
    """Return data that is large without its images."""
    return {
        "rows": [{"n": n, "by": text(n, 200)} for n in range(2 * LARGE // 200)],
        "messages": [{"role": "user", "image": text(n)} for n in range(count)],
    }


def chain(first, *datas):
    """Return snapshots in pieces, each after the one before it."""
    start = EncodedSnapshot.of(snapshot(first), None, LEAST)
    second = snapshot(datas[0], 2)
    raw = EncodedSnapshot.of(second, start, LEAST).raw
    found = [based(start, second, raw, LEAST)]
    for version, data in enumerate(datas[1:], 3):
        found.append(found[-1].following(snapshot(data, version), LEAST))
    assert all(isinstance(one, PiecedSnapshot) for one in found)
    return found


def test_in_pieces():
    """A version brings a stand-in, and the others stay."""
    made = chain(*map(rows, range(2, 7)))
    for count, one in enumerate(made, 3):
        assert {stands_for(text(n)) for n in range(count)} == {*one.values} == value_ids(one.raw)
        whole = Stored.joined(one.raw, one.values).whole
        assert rows(count) == one.decoded(None, None, None).data == decode_snapshot(whole).data
        assert one.raw.startswith(b'{"schema":%d,' % MOVED_SCHEMA)
    for before, one in pairwise(made):
        assert len(one.change) < 400
        back = bytearray(before.raw)
        changes.followed(back, one.change)
        assert one.raw == back
        assert one.size() > before.size()


def test_the_first_one_that_is_moved_in_pieces():
    """It makes another schema of a base without any; when the last one goes, that goes back."""
    one, other, none = chain(rows(0), rows(0), rows(1), rows(0))
    assert [{}, {}] == [one.values, none.values]
    assert {stands_for(text(0))} == {*other.values}
    assert [3, 4, 3] == [json.loads(described(each.raw))["schema"] for each in (one, other, none)]


def test_an_edited_text_in_pieces():
    """A document that an agent works on is stored as its changes, and not again and again."""
    datas = [{**rows(1), "doc": text("doc", 9000 + 30 * n)} for n in range(4)]
    made = chain(*datas)
    document = stands_for(text("doc", 9000))
    assert [False, False, False] == [document in one.values for one in made]
    assert all(len(one.change) < 400 for one in made[1:])
    replaced = made[-1].following(snapshot({**rows(1), "doc": text("new", 9000)}, 9), LEAST)
    assert stands_for(text("new", 9000)) in replaced.values


def test_another_worker_goes_on_in_pieces():
    """With what it was given and fetched."""
    last = chain(rows(2), rows(3), rows(4))[-1]
    given = Stored.joined(last.raw, last.values)
    mine = PiecedSnapshot.of_base(given, last.count, last.since, last.base_bytes)
    assert (last.raw, last.values) == (mine.raw, mine.values)
    following = mine.following(snapshot(rows(5), 4), LEAST)
    assert following.raw == last.following(snapshot(rows(5), 4), LEAST).raw


def test_how_large_a_snapshot_may_be():
    """As large with moved texts as without."""
    half = "x" * (MAX_SNAPSHOT_BYTES // 2)
    with pytest.raises(CodecError, match="the limit is"):
        EncodedSnapshot.of(snapshot({"a": half, "b": half}), None, LEAST)
    last = chain(rows(1), rows(2))[-1]
    assert last.following(snapshot({**rows(2), "a": half}, 3), LEAST).values
    with pytest.raises(CodecError, match="the limit is"):
        last.following(snapshot({**rows(2), "a": half, "b": half}, 3), LEAST)


def test_resembling():
    """A text that grew, one that is another, and one that is too short to tell."""
    assert resembles(text(1).encode(), text(1).encode() + b"more")
    assert resembles(text(1, 6000).encode(), text(1, 5000).encode())
    assert not resembles(text(1).encode(), text(2).encode())
    assert not resembles(b"short", b"short")
