"""Large snapshots in pieces: the same results as without them, and what becomes a base."""

from __future__ import annotations

import enum
from collections import OrderedDict, defaultdict

import attrs
import pytest

from roost_core.codec import changes, pieced, pieces
from roost_core.codec.moved import Stored
from roost_core.codec.pieced import LARGE, PiecedSnapshot, based
from roost_core.codec.snapshots import EncodedSnapshot, decode_snapshot
from roost_core.errors import CodecError
from roost_core.models import Artifact, Snapshot

ARTIFACT = Artifact(artifact_id="0" * 64, size_bytes=3)


def snapshot(data, version=1, **fields):
    """Make a snapshot."""
    return Snapshot(work_id="w", engine="e", version=version, data=data, **fields)


def begun(data, base_bytes=1 << 30, count=1):
    """Return a snapshot in pieces that follows from a large base."""
    raw = EncodedSnapshot.of(snapshot(data)).raw
    made = PiecedSnapshot.of_base(Stored(raw), count, 0, base_bytes)
    assert made is not None
    return made


def followed(before, change):
    """Return what a change leads to."""
    text = bytearray(before)
    changes.followed(text, change)
    return bytes(text)


def see_next(last, data):
    """Follow a snapshot by another, see that it is right, and return it."""
    new = last.following(snapshot(data, last.snapshot.version + 1))
    whole = EncodedSnapshot.of(snapshot(data, last.snapshot.version + 1))
    if isinstance(new, EncodedSnapshot):
        # Replaced twice in a row.
        assert last.is_base
        return begun(data)
    assert whole.raw.replace(b'{"schema":1', b'{"schema":3', 1) == new.raw
    assert decode_snapshot(new.raw) == new.decoded(None, None, None)
    assert repr(decode_snapshot(new.raw).data) == repr(new.decoded(None, None, None).data)
    assert new.raw == followed(last.raw, new.change)
    return new


def rows(*numbers, pad=40):
    """Make rows of some 60 bytes."""
    return [{"id": number, "text": f"{number:>{pad}}"} for number in numbers]


@pytest.fixture
def small(monkeypatch):
    """Part what is small, too."""
    monkeypatch.setattr(pieced, "LARGE", 100)
    monkeypatch.setattr(pieces, "_SPLIT", 100)


LISTS = {
    "appended": [*range(40), 40, 41],
    "put in front": [-2, -1, *range(40)],
    "dropped in front": [*range(5, 40)],
    "dropped at the end": [*range(35)],
    "dropped in the middle": [*range(10), *range(20, 40)],
    "a sliding window": [*range(5, 45)],
    "moved to the front": [39, *range(39)],
    "moved to the end": [*range(1, 40), 0],
    "two swapped": [1, 0, *range(2, 40)],
    "turned round": [*reversed(range(40))],
    "doubled": [*range(40), *range(40)],
    "one changed": [*range(20), 99, *range(21, 40)],
    "all changed": [*range(100, 140)],
    "emptied": [],
    "many of one": [7] * 40,
}


@pytest.mark.parametrize("what", LISTS)
@pytest.mark.parametrize("pad", [1, 40, 400])
def test_lists(what, pad, small):
    """Elements alone and in runs, and lists of branches."""
    last = begun({"a": 1, "rows": rows(*range(40), pad=pad), "z": 2})
    new = see_next(last, {"a": 1, "rows": rows(*LISTS[what], pad=pad), "z": 2})
    see_next(new, {"a": 1, "rows": rows(*range(40), pad=pad), "z": 2})


@pytest.mark.parametrize("pad", [40, 400])
def test_a_change_costs_what_is_different(pad, small):
    """Not the list around it, nor what was moved along."""
    last = begun({"a": 1, "rows": rows(*range(40), pad=pad), "z": "z" * 300})
    row = len(repr(rows(1, pad=pad)))
    for what in (
        "appended",
        "dropped in front",
        "a sliding window",
        "moved to the end",
        "one changed",
    ):
        new = last.following(
            snapshot({"a": 1, "rows": rows(*LISTS[what], pad=pad), "z": "z" * 300}, 2)
        )
        assert len(new.change) < 11 * row + 100, what


BIG, BIGGER = {"text": "b" * 150}, {"text": "b" * 150, "more": [1, 2, 3]}
OBJECTS = {
    "added": {"a": 1, "b": BIG, "c": [1], "d": BIG, "e": 5},
    "removed": {"a": 1, "b": BIG, "d": BIG},
    "a branch removed": {"a": 1, "c": [1], "d": BIG},
    "reordered": {"d": BIG, "c": [1], "a": 1, "b": BIG},
    "renamed": {"a": 1, "B": BIG, "c": [1], "d": BIG},
    "renamed at the same place": {"a": 1, "d": BIG, "c": [1], "b": BIGGER},
    "a branch becomes a number": {"a": 1, "b": 7, "c": [1], "d": BIG},
    "a branch becomes a list": {"a": 1, "b": [BIG, BIG], "c": [1], "d": BIG},
    "a branch becomes empty": {"a": 1, "b": {}, "c": [1], "d": BIG},
    "a number becomes a branch": {"a": BIGGER, "b": BIG, "c": [1], "d": BIG},
    "both at once": {"a": BIGGER, "b": 1, "c": [1], "d": BIG},
    "changed within": {"a": 1, "b": BIGGER, "c": [1], "d": BIG},
    "all gone": {},
    "numbers of other types": {"a": 1.0, "b": BIG, "c": [True], "d": BIG},
    "minus zero": {"a": -0.0, "b": BIG, "c": [0], "d": BIG},
    "a word for a number": {"a": "1", "b": BIG, "c": ["1"], "d": BIG},
}


@pytest.mark.parametrize("what", OBJECTS)
def test_objects(what, small):
    """Keys in all ways, and members that turn from leaf to branch and back."""
    before = {"a": 1, "b": BIG, "c": [1], "d": BIG}
    last = begun({"x": before, "y": [before, before]})
    new = see_next(last, {"x": OBJECTS[what], "y": [before, OBJECTS[what]]})
    see_next(new, {"x": before, "y": [before, before]})


def test_keys_in_runs(small):
    """Thousands of tiny members share pieces; one more in front moves all of them."""
    keys = {f"k{number}": number for number in range(500)}
    last = begun({"keys": keys})
    new = see_next(last, {"keys": {"first": 0, **keys}})
    assert len(new.change) < 200
    see_next(new, {"keys": {key: value for key, value in keys.items() if value % 7}})


# -- what JSON turns into something else, and what it refuses --------------------------------------


class Word(enum.StrEnum):
    """A text that is more than a text."""

    ROWS = "rows"


class Number(int):
    """A number that is more than a number."""


ODD = {
    "a tuple": {"rows": [(1, 2), *rows(*range(40))]},
    "a tuple deep inside": {"rows": [{"id": 0, "text": ("x",)}, *rows(*range(1, 40))]},
    "a tuple of all": {"rows": tuple(rows(*range(40)))},
    "a key of another class": {Word.ROWS: rows(*range(41))},
    "a value of another class": {"rows": [Word.ROWS, Number(3), *rows(*range(40))]},
    "an object of another class": {"rows": [defaultdict(list, a=[1]), *rows(*range(40))]},
    "data of another class": OrderedDict(rows=rows(*range(41))),
}


@pytest.mark.parametrize("what", ODD)
def test_what_json_turns_into_something_else(what, small):
    """Engines get what another worker would get, and the change is stored as usual."""
    last = begun({"rows": rows(*range(40))})
    new = see_next(last, ODD[what])
    assert isinstance(new, PiecedSnapshot)
    for key in new.decoded(None, None, None).data:
        assert str is type(key)
    see_next(new, {"rows": rows(*range(40))})


def nested(depth):
    """Return this many nested lists, each of which is large."""
    value = ["x" * 120]
    for _ in range(depth - 1):
        value = ["x" * 120, value]
    return value


def cyclic():
    """Return a list that holds itself."""
    value = ["x" * 200]
    value.append(value)
    return value


REFUSED = {
    "a set": {1, 2},
    "not a number": float("nan"),
    "infinity": [float("inf")],
    "a lone surrogate": "\ud800",
    "a key with a lone surrogate": {"\ud800": 1},
    "a large key with a lone surrogate": {"\ud800": BIG},
    "bytes": b"x",
    "a number as key": {1: 2},
    "true as key": {True: BIG},
    "an object": object(),
    "too deep": nested(65),
    "far too deep": nested(3000),
    "a cycle": cyclic(),
    "a number of too many digits": 10**5000,
    "over 8 MiB": "x" * (8 << 20),
    "over 8 MiB in parts": ["x" * 10_000] * 839,
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("place", ["new", "in place of a branch", "in a list", "in a branch"])
def test_what_json_refuses(what, place, small):
    """In the very words that the whole is refused with."""
    big = rows(*range(40))
    odd = REFUSED[what]
    data = {
        "new": {"rows": big, "odd": odd},
        "in place of a branch": {"rows": odd},
        "in a list": {"rows": [*big, odd]},
        "in a branch": {"rows": [*big[:-1], {**big[-1], "odd": odd}]},
    }[place]
    last = begun({"rows": big})
    with pytest.raises(CodecError) as whole:
        EncodedSnapshot.of(snapshot(data, 2))
    with pytest.raises(CodecError) as refused:
        last.following(snapshot(data, 2))
    assert str(whole.value) == str(refused.value)


@pytest.mark.parametrize("depth", [62, 63, 64, 65, 66])
def test_as_deep_as_a_whole(depth, small):
    """A value may nest 64 levels, in pieces as in one."""
    last = begun({"rows": rows(*range(40))})
    for data in ({"a": nested(depth)}, {"rows": [*rows(*range(40)), nested(depth)]}):
        try:
            EncodedSnapshot.of(snapshot(data, 2))
        except CodecError as error:
            with pytest.raises(CodecError, match=str(error)):
                last.following(snapshot(data, 2))
        else:
            see_next(last, data)


def test_an_engine_that_still_changes_what_it_returned(small, monkeypatch):
    """Its own thread may outlive the step: what comes back is what is stored, in any case."""
    real = pieces._text
    last = begun({"rows": ["b" * 99, {"a": 1, "pad": "x" * 200}], "pad": "y" * 900})
    rows = ["c" * 99, {"a": 2, "pad": "x" * 200}]

    def late(value, depth):
        rows[1]["pad"] = "z" * 200
        return real(value, depth)

    monkeypatch.setattr(pieces, "_text", late)
    new = last.following(snapshot({"rows": rows, "pad": "y" * 900}, 2))
    assert decode_snapshot(new.raw).data == new.decoded(None, None, None).data
    assert followed(last.raw, new.change) == new.raw


# -- what becomes a base ---------------------------------------------------------------------------


def growing(number):
    """Return data that grows by the row: 300 have some 20 KB."""
    return {"rows": rows(*range(number))}


def raw_of(data, version=1):
    """Return the bytes of a whole."""
    return EncodedSnapshot.of(snapshot(data, version)).raw


def test_a_large_one_that_resembles_the_one_before_becomes_a_base():
    """It is stored whole, and what it has changed beside it."""
    before, data = raw_of(growing(300)), growing(301)
    assert len(before) > LARGE
    base = based(Stored(before), snapshot(data, 2), raw_of(data, 2))
    assert (True, True, 0, 0, len(base)) == (
        *(base.is_base, base.is_whole, base.count, base.since),
        base.base_bytes,
    )
    assert base.raw == followed(before, base.change)
    new = base.following(snapshot(growing(302), 3))
    assert (False, False, 1, len(new.change)) == (new.is_base, new.is_whole, new.count, new.since)
    assert len(new.change) < 200


@pytest.mark.parametrize(
    ("before", "data"),
    [
        (growing(10), growing(300)),
        (growing(300), growing(10)),
        (growing(300), {"rows": rows(*range(1000, 1300))}),
        (growing(300), {"rows": rows(*range(150), *range(1000, 1150))}),
        (growing(300), {"rows": "x" * LARGE}),
    ],
)
def test_what_does_not_become_a_base(before, data):
    """Small ones, and those of which more than half has changed."""
    assert based(Stored(raw_of(before)), snapshot(data, 2), raw_of(data, 2)) is None


def test_the_whole_is_stored_again():
    """Once the changes have a multiple of its bytes, or there are too many."""
    last = begun(growing(300), base_bytes=1000)
    sizes = 0
    while not last.is_base:
        sizes += 100
        last = last.following(snapshot(growing(300 + sizes // 100), last.snapshot.version + 1))
        assert sizes < 10_000
    assert (0, 0, len(last)) == (last.count, last.since, last.base_bytes)
    assert last.change
    many = begun(growing(300), count=pieced.MOST_CHANGES - 1)
    almost = many.following(snapshot(growing(301), 2))
    assert (False, pieced.MOST_CHANGES) == (almost.is_base, almost.count)
    assert almost.following(snapshot(growing(302), 3)).is_base
    large = begun(growing(300))
    large = attrs.evolve(large, since=pieced.MOST_CHANGE_BYTES)
    assert large.following(snapshot(growing(301), 2)).is_base


def test_replaced_once_and_twice():
    """Once, it is a base again; what is replaced in each step is stored whole, without pieces."""
    last = begun(growing(300))
    first = last.following(snapshot({"rows": rows(*range(1000, 1300))}, 2))
    assert isinstance(first, PiecedSnapshot)
    assert (True, first.raw) == (first.is_base, followed(last.raw, first.change))
    second = first.following(snapshot({"rows": rows(*range(2000, 2300))}, 3))
    assert isinstance(second, EncodedSnapshot)
    third = first.following(snapshot({"rows": rows(*range(1000, 1301))}, 3))
    assert (PiecedSnapshot, False) == (type(third), third.is_base)


def test_a_compaction_keeps_the_way_back():
    """From 1 MB to 20 KB: the whole is stored, and the change beside it."""
    last = begun(growing(16_150))
    assert 1_000_000 < len(last) < 1_020_000
    new = last.following(snapshot(growing(300), 2))
    assert new.is_base
    text = bytearray(new.raw)
    changes.undone(text, new.change)
    assert last.raw == text


def test_a_change_that_is_too_large_for_the_history():
    """It would only be there for that."""
    new = begun(growing(20_000)).following(snapshot(growing(300), 2))
    assert (True, b"") == (new.is_base, new.change)


def test_what_has_become_small_is_no_base():
    """A whole costs less then."""
    base = based(Stored(raw_of(growing(300))), snapshot(growing(301), 2), raw_of(growing(301), 2))
    assert isinstance(base.following(snapshot(growing(10), 3)), EncodedSnapshot)


def test_what_a_newer_roost_has_added_is_kept_whole():
    """Its extra fields would be lost."""
    extra = attrs.evolve(snapshot(growing(301), 2), extra={"later": 1})
    assert isinstance(begun(growing(300)).following(extra), EncodedSnapshot)
    raw = EncodedSnapshot.of(extra).raw
    assert PiecedSnapshot.of_base(Stored(raw), 1, 0, 1) is None
    with_artifact = snapshot(
        growing(301), 2, artifacts=(attrs.evolve(ARTIFACT, extra={"later": 1}),)
    )
    assert isinstance(begun(growing(300)).following(with_artifact), EncodedSnapshot)


@pytest.mark.parametrize("written", [b'{"rows": [1]}', b'{"rows":[1.50]}', b'{"rows":["\\u00e4"]}'])
def test_what_was_written_in_another_way_cannot_be_parted(written):
    """The pieces would not be its text."""
    raw = raw_of({"a": 0}).replace(b'{"a":0}', written)
    assert decode_snapshot(raw).data
    assert PiecedSnapshot.of_base(Stored(raw), 1, 0, 1) is None


def test_a_step_may_be_called_like_the_data():
    """Where the data begins is found even so, because quotes in texts are escaped."""
    one = snapshot(growing(300), step='"data":{"":0}')
    last = PiecedSnapshot.of_base(EncodedSnapshot.of(one), 1, 0, 1 << 30)
    two = snapshot(growing(301), 2, step='x"data":{"":0}')
    assert EncodedSnapshot.of(two).raw[11:] == last.following(two).raw[11:]


# -- what is kept in memory, and what counts as the same -------------------------------------------


def test_whether_anything_has_changed():
    """Data and artifacts count, as for snapshots that are stored whole; the label does not."""
    last = begun(growing(300))
    assert last.following(snapshot(growing(300), 2, step="other")).is_same
    assert not last.following(snapshot(growing(301), 2)).is_same
    assert not last.following(snapshot(growing(300), 2, artifacts=(ARTIFACT,))).is_same


def test_the_engines_own_data_is_not_kept():
    """It takes several times the memory of the text, and is counted nowhere."""
    last = begun(growing(300))
    new = last.following(snapshot(growing(301), 2))
    assert new.size() < 5 * len(new)
    assert {} == last.snapshot.data == new.snapshot.data


def test_each_copy_is_its_own():
    """What a step changes in place nobody else sees."""
    last = begun(growing(300))
    last.decoded(None, None, None).data["rows"][0]["id"] = "changed"
    last.decoded(None, None, None).data["rows"].clear()
    assert growing(300) == last.decoded(None, None, None).data
