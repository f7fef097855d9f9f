"""Changes of a text: followed and undone, and noticed where they are damaged or do not fit."""

from __future__ import annotations

import zlib

import hypothesis
import pytest
from hypothesis import strategies as st

from roost_core.codec import changes
from roost_core.codec.changes import Splice
from roost_core.errors import CorruptRecord

OLD = b"one two three four"
NEW = b"1 two THREE four!"
CHANGE = changes.written(
    [Splice(0, b"one", b"1"), Splice(8, b"three", b"THREE"), Splice(18, b"", b"!")]
)


def summed(body):
    """Return a change's bytes with the checksum that fits."""
    return b"%08x\n%b" % (zlib.crc32(body), body)


def test_there_and_back():
    """Each splice says what was there, so both directions are known."""
    text = bytearray(OLD)
    changes.followed(text, CHANGE)
    assert NEW == text
    changes.undone(text, CHANGE)
    assert OLD == text


def test_nothing_changed():
    """That is a change, too: it is not the same as none."""
    nothing = changes.written([])
    assert nothing
    assert [] == [*changes.splices(nothing)]
    assert [] != [*changes.splices(CHANGE)]
    text = bytearray(OLD)
    changes.followed(text, nothing)
    assert OLD == text


@pytest.mark.parametrize("at", range(len(CHANGE)))
def test_each_damaged_byte_is_noticed(at):
    """No matter where."""
    for damaged in (CHANGE[:at] + bytes([CHANGE[at] ^ 1]) + CHANGE[at + 1 :], CHANGE[:at]):
        for way, text in ((changes.followed, OLD), (changes.undone, NEW)):
            with pytest.raises(CorruptRecord, match="a stored change is damaged"):
                way(bytearray(text), damaged)


@pytest.mark.parametrize(
    "body", [b"x", b"1 2\n", b"-1 0 0\n", b"1 1 1", b" 1 1 1\nab", b"9999999999999 0 1\nx"]
)
def test_a_head_that_says_nothing(body):
    """Even if the checksum fits."""
    with pytest.raises(CorruptRecord, match="does not say where it belongs"):
        changes.followed(bytearray(OLD), summed(body))


@pytest.mark.parametrize("few", [0, 16])
@pytest.mark.parametrize(
    "foreign",
    [
        [Splice(0, b"two", b"")],
        [Splice(16, b"ur and more", b"")],
        [Splice(99, b"", b"x")],
        [Splice(0, b"one", b""), Splice(4, b"TWO", b"")],
    ],
)
def test_a_text_that_does_not_fit(foreign, few, monkeypatch):
    """What stands there is compared, also beyond the end of the text."""
    monkeypatch.setattr(changes, "_FEW", few)
    with pytest.raises(CorruptRecord, match="does not belong to the version before it"):
        changes.followed(bytearray(OLD), changes.written(foreign))
    backwards = [Splice(at, new, old) for at, old, new in foreign]
    with pytest.raises(CorruptRecord, match="does not belong to the version before it"):
        changes.undone(bytearray(OLD), changes.written(backwards))


def test_splices_over_each_other_are_refused():
    """Many are made in one pass, which has to be in order."""
    splices = [Splice(at, b"a", b"b") for at in [*range(20), 5]]
    with pytest.raises(CorruptRecord, match="does not belong"):
        changes.followed(bytearray(b"a" * 30), changes.written(splices))


class Counting(bytearray):
    """A text that counts how many bytes were moved within it."""

    moved = 0

    def __setitem__(self, where, value):
        """Replace a range: if its size changes, what is behind it is moved."""
        if len(value) != len(self[where]):
            type(self).moved += len(self) - (where.stop or 0)
        super().__setitem__(where, value)


@pytest.mark.parametrize("way", [changes.followed, changes.undone])
def test_many_splices_do_not_move_the_text_each(way):
    """A large text with a new number in every row costs one pass, not one per row."""
    rows = 5000
    longer = [Splice(10 * at, b"9", b"10") for at in range(rows)]
    if way is changes.followed:
        text = Counting(b"9........ " * rows)
    else:
        text = Counting(b"10........ " * rows)
    Counting.moved = 0
    way(text, changes.written(longer))
    assert Counting.moved <= 2 * len(text)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"", b"", Splice(5, b"", b"")),
        (b"same", b"same", Splice(9, b"", b"")),
        (b"", b"new", Splice(5, b"", b"new")),
        (b"old", b"", Splice(5, b"old", b"")),
        (b"aaa", b"aa", Splice(7, b"a", b"")),
        (b"aba", b"ababa", Splice(8, b"", b"ba")),
        (b"[1,2,3]", b"[1,9,3]", Splice(8, b"2", b"9")),
    ],
)
def test_the_one_splice_between_two_texts(old, new, expected):
    """What both have in common counts once, even if it could be at either end."""
    assert expected == changes.between(old, new, 5)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 64, 100])
def test_what_two_sequences_have_in_common(size):
    """Found by halves, for every place at which they part."""
    one = list(range(size))
    for at in range(size):
        other = [*one[:at], -1, *one[at + 1 :]]
        assert at == changes.common_start(one, other)
        assert size - at - 1 == changes.common_end(one, other, size)
    assert size == changes.common_start(one, [*one, 1]) == changes.common_start([*one, 1], one)
    assert min(size, 2) == changes.common_end(one, [0, *one], min(size, 2))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"v1,same,end", b"v2,same,end!", [Splice(1, b"1", b"2"), Splice(11, b"", b"!")]),
        (b"a,b,c,d", b"a,c,d", [Splice(2, b"b,", b"")]),
        (b"a,b", b"a,b", []),
        (b"a,b", b"a,b,c", [Splice(2, b"", b"b,")]),
        (b"abc", b"abd", [Splice(2, b"c", b"d")]),
        (b"", b"a,b", [Splice(0, b"", b"a,b")]),
        (b"a,b", b"", [Splice(0, b"a,b", b"")]),
        (b"", b"", []),
    ],
)
def test_by_parts(old, new, expected):
    """What both have in common between two changes is in neither."""
    found = changes.by_parts(old, new, b",")
    text = bytearray(old)
    changes.followed(text, changes.written(found))
    assert new == text
    assert len(expected) == len(found)
    if b"b,c" not in new:
        assert expected == found


@hypothesis.given(*[st.text("ab,").map(str.encode)] * 2)
def test_by_parts_of_any_texts(old, new):
    """There and back."""
    change = changes.written(changes.by_parts(old, new, b","))
    text = bytearray(old)
    changes.followed(text, change)
    assert new == text
    changes.undone(text, change)
    assert old == text
