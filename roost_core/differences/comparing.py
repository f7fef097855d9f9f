"""How two JSON values differ.

Lists are compared as people would: elements that both have, in their order, are kept; what is
between them was added, removed, or changed where it stood. It takes a time in proportion to the
sizes of both, or a little more, whatever they are.
"""

from __future__ import annotations

import enum
import marshal
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from roost_core.codec.changes import common_end, common_start, in_common
from roost_core.differences.pointers import written
from roost_core.values import Json, Value

#: Two objects are taken for one that has changed if at least this share of their keys is the same,
#: by key and value.
_ALIKE: Final = 0.3

_Path = tuple[str | int, ...]


class Kind(enum.StrEnum):
    """In what way something differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@attrs.frozen(eq=False, repr=False)
class Difference(Value):
    """A place where two values differ.

    :ivar path: a JSON pointer: into the earlier value for what was removed, else into the later.
    :ivar old: what the earlier value has there; None if it was added.
    :ivar new: what the later value has there; None if it was removed.
    """

    kind: Kind
    path: str
    old: Json = None
    new: Json = None


def compare(old: Json, new: Json) -> tuple[Difference, ...]:
    """Return how two values differ, in the order of the later one.

    ``1``, ``1.0`` and ``true`` are different values; the order of an object's keys does not matter.
    """
    return tuple(_differences(old, new, ()))


def patch_between(old: Json, new: Json) -> list[dict[str, Json]]:
    """Return the operations (RFC 6902) that turn one value into another."""
    return [*_operations(old, new, ())]


# -- what differs --------------------------------------------------------------------------------


def _mark(value: Json) -> bytes:
    # Equal values of equal types are equal bytes; objects with other orders of keys are not.
    return marshal.dumps(value, 2)


def is_same(old: Json, new: Json) -> bool:
    """Whether two values are equal, and of equal types throughout."""
    if type(old) is not type(new):
        return False
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(is_same(old[key], new[key]) for key in old)
    if isinstance(old, list):
        return len(old) == len(new) and all(map(is_same, old, new))
    # 0.0 and -0.0 are equal, but not the same text.
    return bool(old == new) and (old != 0 or str(old) == str(new))


def is_equal(old: Json, new: Json) -> bool:
    """Whether two values are equal as JSON: numbers by value, so that ``1`` is ``1.0``."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(is_equal(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(is_equal, old, new))
    # True is 1 to Python.
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _is_quickly_same(old: Json, new: Json) -> bool:
    return old is new or _mark(old) == _mark(new)


def _differences(old: Json, new: Json, path: _Path) -> Iterator[Difference]:
    if _is_quickly_same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if key not in new:
                yield Difference(Kind.REMOVED, written((*path, key)), old=old[key])
        for key, value in new.items():
            if key in old:
                yield from _differences(old[key], value, (*path, key))
            else:
                yield Difference(Kind.ADDED, written((*path, key)), new=value)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(old, new, path)
    elif not is_same(old, new):
        yield Difference(Kind.CHANGED, written(path), old, new)


def _of_lists(old: list[Json], new: list[Json], path: _Path) -> Iterator[Difference]:
    matched = _Matched(old, new)
    if matched.is_replaced:
        if not is_same(old, new):
            yield Difference(Kind.CHANGED, written(path), old, new)
        return
    for i, j in matched.steps():
        if j is None:
            assert i is not None
            yield Difference(Kind.REMOVED, written((*path, i)), old=old[i])
        elif i is None:
            yield Difference(Kind.ADDED, written((*path, j)), new=new[j])
        else:
            yield from _differences(old[i], new[j], (*path, j))


def _operations(old: Json, new: Json, path: _Path) -> Iterator[dict[str, Json]]:
    if _is_quickly_same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if key not in new:
                yield {"op": "remove", "path": written((*path, key))}
        for key, value in new.items():
            if key in old:
                yield from _operations(old[key], value, (*path, key))
            else:
                yield {"op": "add", "path": written((*path, key)), "value": value}
    elif isinstance(old, list) and isinstance(new, list):
        matched = _Matched(old, new)
        if matched.is_replaced:
            if not is_same(old, new):
                yield {"op": "replace", "path": written(path), "value": new}
            return
        steps = [*matched.steps()]
        # From the end, and then in order, so that each index is right when it is used.
        for i in reversed([i for i, j in steps if j is None]):
            yield {"op": "remove", "path": written((*path, i or 0))}
        for j in [j for i, j in steps if i is None]:
            assert j is not None
            yield {"op": "add", "path": written((*path, j)), "value": new[j]}
        for i, j in steps:
            if i is not None and j is not None:
                yield from _operations(old[i], new[j], (*path, j))
    elif not is_same(old, new):
        yield {"op": "replace", "path": written(path), "value": new}


# -- lists ---------------------------------------------------------------------------------------


class _Matched:
    """Which elements of two lists belong together.

    :ivar is_replaced: whether none do: the list as a whole is another.
    """

    def __init__(self, old: list[Json], new: list[Json]) -> None:
        self._old, self._new = old, new
        marks, new_marks = [*map(_mark, old)], [*map(_mark, new)]
        self._start = common_start(marks, new_marks)
        most = min(len(old), len(new)) - self._start
        self._end = common_end(marks, new_marks, most)
        self._pairs = [*self._paired(marks, new_marks)]
        kept = self._start + self._end + len(self._pairs)
        self.is_replaced = bool(old) and bool(new) and not kept

    def steps(self) -> Iterator[tuple[int | None, int | None]]:
        """Yield pairs of places that may differ: in both lists, in the old, or in the new alone."""
        i = j = self._start
        ends = len(self._old) - self._end, len(self._new) - self._end
        for pair in (*self._pairs, ends):
            yield from ((one, None) for one in range(i, pair[0]))
            yield from ((None, one) for one in range(j, pair[1]))
            if pair is not ends:
                yield pair
                i, j = pair[0] + 1, pair[1] + 1

    def _paired(
        self, marks: Sequence[bytes], new_marks: Sequence[bytes]
    ) -> Iterator[tuple[int, int]]:
        """Yield the pairs between the common ends: of what is equal, or alike in the same place."""
        start, end, new_end = self._start, len(marks) - self._end, len(new_marks) - self._end
        at = new_at = start
        for behind, new_behind in in_common(marks[start:end], new_marks[start:new_end]):
            i, j = start + behind, start + new_behind
            yield from self._alike(range(at, i), range(new_at, j))
            yield i, j
            at, new_at = i + 1, j + 1
        yield from self._alike(range(at, end), range(new_at, new_end))

    def _alike(self, old: Iterable[int], new: Iterable[int]) -> Iterator[tuple[int, int]]:
        return (
            (i, j) for i, j in zip(old, new, strict=False) if _are_alike(self._old[i], self._new[j])
        )


def _are_alike(old: Json, new: Json) -> bool:
    """Whether one is rather the other, changed, than something else."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = old.keys() | new.keys()
        common = [key for key in old if key in new and old[key] == new[key]]
        return len(common) >= _ALIKE * len(keys)
    if isinstance(old, list) and isinstance(new, list):
        return any(one == other for one, other in zip(old[:100], new[:100], strict=False))
    return False
