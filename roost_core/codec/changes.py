r"""Changes of a text: what turns one version of a snapshot's bytes into the next, and back.

A change is a sequence of splices, in the order of their places. A splice says where the earlier
text differs, what stands there, and what the later text has instead::

    <8 hexadecimal digits>\n              CRC-32 of all that follows
    <at> <bytes before> <bytes after>\n   decimal; ``at`` counts in the earlier text
    <what the earlier text has there><what the later text has>

So it can be followed in both directions, and what does not fit is noticed.
"""

from __future__ import annotations

import re
import zlib
from bisect import bisect_left
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from roost_core.errors import CorruptRecord

_T = TypeVar("_T")

_HEAD: Final = re.compile(rb"(\d{1,12}) (\d{1,12}) (\d{1,12})\n")
_SUM_BYTES: Final = 9
#: Up to this many splices are made in place; more of them at once.
_FEW: Final = 16


class Splice(NamedTuple):
    """A place of the earlier text, what it has there, and what the later text has instead."""

    at: int
    old: bytes
    new: bytes


def written(splices: Iterable[Splice]) -> bytes:
    """Return splices, in the order of their places, as a change."""
    body = b"".join(
        b"%d %d %d\n%b%b" % (at, len(old), len(new), old, new) for at, old, new in splices
    )
    return b"%08x\n%b" % (zlib.crc32(body), body)


def splices(change: bytes) -> Iterator[Splice]:
    """Yield what a change consists of.

    :raises CorruptRecord: it is damaged.
    """
    body = memoryview(change)[_SUM_BYTES:]
    if change[:_SUM_BYTES] != b"%08x\n" % zlib.crc32(body):
        raise CorruptRecord("a stored change is damaged: its checksum does not fit")
    at = _SUM_BYTES
    while at < len(change):
        head = _HEAD.match(change, at)
        if head is None:
            raise CorruptRecord("a stored change is damaged: it does not say where it belongs")
        place, before, after = map(int, head.groups())
        middle = head.end() + before
        yield Splice(place, change[head.end() : middle], change[middle : middle + after])
        at = middle + after


def followed(text: bytearray, change: bytes) -> None:
    """Turn the earlier text into the later one, in place.

    :raises CorruptRecord: the change is damaged, or does not belong to this text.
    """
    found = [*splices(change)]
    if len(found) > _FEW:
        _rebuild(text, found)
        return
    # From the end, so that the places before stay where they are.
    for at, old, new in reversed(found):
        _replace(text, at, old, new)


def undone(text: bytearray, change: bytes) -> None:
    """Turn the later text into the earlier one, in place.

    :raises CorruptRecord: the change is damaged, or does not belong to this text.
    """
    found = [*splices(change)]
    if len(found) > _FEW:
        _rebuild(text, backwards(found))
        return
    for at, old, new in found:
        _replace(text, at, new, old)


def backwards(found: Iterable[Splice]) -> Iterator[Splice]:
    """Yield the splices that lead back."""
    # The places count in the earlier text, and so does what was moved by those in front.
    moved = 0
    for at, old, new in found:
        yield Splice(at + moved, new, old)
        moved += len(new) - len(old)


def _rebuild(text: bytearray, found: Iterable[Splice]) -> None:
    """Replace what splices say, in one pass: each on its own moves all that is behind it."""
    parts: list[bytes | bytearray] = []
    done = 0
    for at, old, new in found:
        if at < done or not text.startswith(old, at) or at > len(text):
            raise _misplaced()
        parts += (text[done:at], new)
        done = at + len(old)
    parts.append(text[done:])
    text[:] = b"".join(parts)


def _replace(text: bytearray, at: int, old: bytes, new: bytes) -> None:
    if not text.startswith(old, at) or at > len(text):
        raise _misplaced()
    text[at : at + len(old)] = new


def _misplaced() -> CorruptRecord:
    return CorruptRecord("a stored change does not belong to the version before it")


def between(old: bytes, new: bytes, at: int = 0) -> Splice:
    """Return the one splice that turns a text into another: all between their common ends.

    :param at: where the earlier text begins in a larger one.
    """
    before = common_start(old, new)
    after = common_end(old, new, min(len(old), len(new)) - before)
    return Splice(at + before, old[before : len(old) - after], new[before : len(new) - after])


def by_parts(old: bytes, new: bytes, separator: bytes) -> list[Splice]:
    """Return the splices that turn a text into another, apart from the parts that both have.

    It takes time in proportion to n log n for texts of n parts, however much has changed.

    :param separator: what both are parted behind.
    """
    parts, others = _parted(old, separator), _parted(new, separator)
    found: list[Splice] = []
    at = first = second = 0
    for i, j in (*in_common(parts, others), (len(parts), len(others))):
        gone, come = b"".join(parts[first:i]), b"".join(others[second:j])
        if gone != come:
            found.append(between(gone, come, at))
        at += len(gone) + (len(parts[i]) if i < len(parts) else 0)
        first, second = i + 1, j + 1
    return found


def _parted(text: bytes, separator: bytes) -> list[bytes]:
    *parts, last = text.split(separator)
    return [*(one + separator for one in parts), last]


def common_start(one: Sequence[_T], other: Sequence[_T]) -> int:
    """Return how much two sequences have in common at their beginning."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def common_end(one: Sequence[_T], other: Sequence[_T], most: int) -> int:
    """Return how much two sequences have in common at their end, up to ``most``."""
    low, high, first, second = 0, most, len(one), len(other)
    if one[first - high :] == other[second - high :]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[first - middle : first - low] == other[second - middle : second - low]:
            low = middle
        else:
            high = middle
    return low


def in_common(one: Sequence[Hashable], other: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    """Yield the places of what two sequences have in common, in the order of both.

    What occurs several times is matched by its turn. Of the rest as much is kept as possible, so
    that one element which has moved is one that has moved, and not all others. It takes time in
    proportion to n log n: the longest ascending subsequence, by patience sorting.
    """
    places: dict[Hashable, deque[int]] = {}
    for i, mark in enumerate(one):
        places.setdefault(mark, deque()).append(i)
    pairs: list[tuple[int, int]] = []
    for j, mark in enumerate(other):
        turns = places.get(mark)
        if turns:
            pairs.append((turns.popleft(), j))
    # The smallest place at which an ascending sequence of each length ends, and what is before it.
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (i, _) in enumerate(pairs):
        length = bisect_left(ends, i)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [i]
        last[length : length + 1] = [number]
    chosen: list[int] = []
    number = last[-1] if last else -1
    while number >= 0:
        chosen.append(number)
        number = before[number]
    yield from (pairs[number] for number in reversed(chosen))
