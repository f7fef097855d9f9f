"""JSON text in pieces, so that the text of a slightly different value costs what is different.

A large object or list is kept as a *branch*: one *piece* of text for each member or element, or for
a run of them if they are small; a large member is a branch itself. Beside its text each piece has a
*mark*, the value as :mod:`marshal` writes it in its version 2. Equal values have equal marks, and
others, such as ``1`` and ``1.0``, have others. A mark takes a tenth of the time of JSON, so it
shows whether anything in a piece has changed. Copies of the value are made from the marks, too, for
a fraction of decoding. They never leave the process. Where a text was moved out of the JSON, the
piece has its stand-in (:mod:`roost_core.codec.moved`), and the mark the text itself.
"""

from __future__ import annotations

import marshal
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Final, TypeAlias

from roost_core.codec.changes import Splice, between, common_end, common_start, in_common
from roost_core.codec.moved import Mover, resembles
from roost_core.codec.strict_json import DECODER, MAX_SNAPSHOT_BYTES, dumps
from roost_core.values import Json

#: What takes more than this as a mark is a branch. Bytes.
_SPLIT: Final = 4096
#: Members that take less than this on average share pieces, of about ``_RUN`` each. Bytes.
_SMALL: Final = 64
_RUN: Final = 1024
#: Up to this many elements of a list are compared each with the one at its place, even if all have
#: changed; beyond, and if more than a quarter has changed, they are matched by their marks.
_FEW: Final = 8
#: The version of what :mod:`marshal` writes: the later ones write equal values in several ways.
_VERSION: Final = 2
#: The data may nest this much deeper than a payload; see :mod:`roost_core.codec.snapshots`.
_AROUND: Final = 1

_loads: Final = marshal.loads


class NotPlain(Exception):
    """The value is not what JSON decodes to: it has tuples, subclasses or the like."""


def marked(value: Json) -> bytes:
    """Return a value's mark.

    :raises NotPlain: it has none.
    """
    try:
        return marshal.dumps(value, _VERSION)
    except ValueError as error:
        raise NotPlain from error


def _text(value: Json, depth: int) -> bytes:
    return dumps(value, "the snapshot", MAX_SNAPSHOT_BYTES, envelope=_AROUND - depth)


class Branch:
    """An object or a list in pieces.

    :ivar key: its name in an object, as JSON with a colon; empty in a list.
    :ivar names: of an object: the keys of each piece.
    :ivar marks: each piece's; None for a branch in an object.
    :ivar pieces: their texts, or branches.
    :ivar run: how many members or elements a piece has, except the last.
    """

    __slots__ = ("_length", "depth", "key", "marks", "names", "pieces", "run")

    def __init__(
        self,
        key: bytes,
        depth: int,
        run: int,
        names: list[tuple[str, ...]] | None,
        marks: list[bytes | None],
        pieces: list[bytes | Branch],
    ) -> None:
        self.key, self.depth, self.run = key, depth, run
        self.names, self.marks, self.pieces = names, marks, pieces
        self._length = len(key) + 2 + sum(map(len, pieces)) + max(0, len(pieces) - 1)

    def __len__(self) -> int:
        """How many bytes its text has, with its key."""
        return self._length

    def texts(self) -> Iterator[bytes]:
        """Yield its text, with its key."""
        yield self.key + (b"[" if self.names is None else b"{")
        for number, piece in enumerate(self.pieces):
            if number:
                yield b","
            if type(piece) is bytes:
                yield piece
            else:
                yield from piece.texts()  # type: ignore[union-attr] # else it is a branch
        yield b"]" if self.names is None else b"}"

    def size(self) -> int:
        """How much memory its marks and texts take, about, in bytes."""
        return sum(
            100
            + (0 if mark is None else len(mark))
            + (len(piece) if isinstance(piece, bytes) else piece.size())
            for mark, piece in zip(self.marks, self.pieces, strict=True)
        )

    def value(self) -> Json:
        """Return a new copy of the value."""
        if self.names is None:
            marks: list[bytes] = self.marks  # type: ignore[assignment] # all are there in a list
            if self.run == 1:
                return [*map(_loads, marks)]
            return [one for mark in marks for one in _loads(mark)]
        found: dict[str, Json] = {}
        for names, mark, piece in zip(self.names, self.marks, self.pieces, strict=True):
            if mark is not None:
                found.update(_loads(mark))
            elif isinstance(piece, Branch):
                found[names[0]] = piece.value()
        return found


# -- making --------------------------------------------------------------------------------------

_Group: TypeAlias = tuple[tuple[str, ...], Json]


def _groups(value: Json, run: int) -> list[_Group]:
    """Part an object or a list into what its pieces are made from, with the keys of each."""
    if isinstance(value, dict):
        items = [*value.items()]
        runs = [items[at : at + run] for at in range(0, len(items), run)]
        return [(tuple(key for key, _ in one), dict(one)) for one in runs]
    if run == 1:
        return [((), one) for one in value]
    return [((), value[at : at + run]) for at in range(0, len(value), run)]


def branch_of(
    value: Json, mover: Mover, depth: int = 0, key: bytes = b"", mark_bytes: int = 0
) -> Branch:
    """Part an object or a list into pieces, whatever its size.

    :param mover: moves large texts.
    :param depth: how many levels are around it, in the data.
    :param mark_bytes: how many its mark has, if that is known.
    :raises CodecError: it is not JSON, or nests too deep.
    :raises NotPlain: it holds what JSON would turn into something else.
    """
    is_object = type(value) is dict
    if not is_object and type(value) is not list:
        raise NotPlain
    mark_bytes = mark_bytes or len(marked(value))
    run = 1 if mark_bytes >= _SMALL * len(value) else max(1, _RUN * len(value) // mark_bytes)
    names: list[tuple[str, ...]] | None = [] if is_object else None
    marks: list[bytes | None] = []
    pieces: list[bytes | Branch] = []
    for group, one in _groups(value, run):
        mark, piece = _piece(one, mover, depth, run, is_in_object=is_object)
        if names is not None:
            names.append(group)
        marks.append(mark)
        pieces.append(piece)
    return Branch(key, depth, run, names, marks, pieces)


def _piece(
    group: Json,
    mover: Mover,
    depth: int,
    run: int,
    *,
    is_in_object: bool,
    before: bytes = b"",
) -> tuple[bytes | None, bytes | Branch]:
    """Return a piece and its mark: of an element, of a run of them, or of an object's part.

    :param depth: of the branch that it is in.
    :param before: the mark of the piece that it replaces.
    """
    mark = marked(group)
    if run == 1 and len(mark) > _SPLIT:
        if is_in_object:
            ((key, member),) = group.items()
            if type(member) in (dict, list) and member:
                name = _text({key: 0}, 0)[1:-2]
                return None, branch_of(member, mover, depth + 1, name, len(mark))
        elif type(group) in (dict, list):
            return mark, branch_of(group, mover, depth + 1, b"", len(mark))
    is_alone = run == 1 and not is_in_object
    text = _text(group, depth + 1 if is_alone else depth)
    # What it decodes to is what it is compared with: a tuple, say, becomes a list.
    if marked(DECODER.raw_decode(text.decode())[0]) != mark:
        raise NotPlain
    # Marks have texts as they are, without anything escaped.
    text = mover(text, lambda _: bool(before) and resembles(mark, before))
    return mark, text if is_alone else text[1:-1]


# -- the next one --------------------------------------------------------------------------------


def next_branch(
    old: Branch, value: Json, mover: Mover, at: int, found: list[Splice]
) -> Branch | None:
    """Return the branch of a value that has replaced another, and note what is different.

    :param mover: moves large texts.
    :param at: where the old one's text begins, with its key.
    :param found: receives the splices.
    :returns: None if it is of another kind, so that nothing can be compared.
    :raises CodecError: it is not JSON, or nests too deep.
    :raises NotPlain: it holds what JSON would turn into something else.
    """
    is_object = old.names is not None
    if type(value) is not (dict if is_object else list):
        return None
    if not is_object and old.run == 1:
        try:
            marks: list[bytes | None] = [*map(marshal.dumps, value, repeat(_VERSION))]
        except ValueError as error:
            raise NotPlain from error
        return _Next(old, [*value], None, marks, mover, at, found).made()
    parts = _groups(value, old.run)
    # Of a member that was a branch no mark is made: what is in it is compared in its turn. Its key
    # stays the old one, since an equal one may be of another class.
    branches = {
        keys: keys for keys, mark in zip(old.names or (), old.marks, strict=False) if mark is None
    }
    names = [branches.get(keys, keys) for keys, _ in parts] if is_object else None
    marks = [None if keys in branches else marked(one) for keys, one in parts]
    return _Next(old, [one for _, one in parts], names, marks, mover, at, found).made()


class _Next:
    """Matches the pieces of a branch with those of its successor."""

    def __init__(
        self,
        old: Branch,
        groups: Sequence[Json],
        names: list[tuple[str, ...]] | None,
        fresh: list[bytes | None],
        mover: Mover,
        at: int,
        found: list[Splice],
    ) -> None:
        self.old, self.groups, self.names, self.fresh = old, groups, names, fresh
        self.mover, self.found = mover, found
        self.marks: list[bytes | None] = []
        self.pieces: list[bytes | Branch] = []
        #: Where the next old piece begins.
        self.offset = at + len(old.key) + 1

    def made(self) -> Branch:
        """Return the successor."""
        old, start = self.old, 0
        for first, last, new_first, new_last in self._gaps():
            self._keep(start, first)
            self._gap(first, last, new_first, new_last)
            start = last
        self._keep(start, len(old.pieces))
        names = self.names
        return Branch(old.key, old.depth, old.run, names, self.marks, self.pieces)

    def _gaps(self) -> Iterable[tuple[int, int, int, int]]:
        """Return the ranges of old and new pieces between those that are equal, in order."""
        old = self._identities(self.old.names, self.old.marks)
        new = self._identities(self.names, self.fresh)
        if old == new:
            return [(i, i + 1, i, i + 1) for i in self._branches(0, len(new))]
        if len(old) == len(new):
            pairs = enumerate(zip(old, new, strict=True))
            differ = [i for i, (one, other) in pairs if one != other]
            if len(differ) <= max(_FEW, len(old) // 4) and self._are_alike(differ):
                places = sorted({*differ, *self._branches(0, len(new))})
                return [(i, i + 1, i, i + 1) for i in places]
        return self._matched(old, new)

    def _are_alike(self, places: list[int]) -> bool:
        """Whether the same keys are at these places."""
        if self.names is None or self.old.names is None:
            return True
        return all(self.names[i] == self.old.names[i] for i in places)

    @staticmethod
    def _identities(
        names: list[tuple[str, ...]] | None, marks: list[bytes | None]
    ) -> Sequence[Hashable]:
        # A branch in an object is known by its key; what is in it is compared in its turn.
        if names is None:
            return marks
        return [name if mark is None else mark for name, mark in zip(names, marks, strict=True)]

    def _matched(
        self, old: Sequence[Hashable], new: Sequence[Hashable]
    ) -> Iterator[tuple[int, int, int, int]]:
        """Yield the gaps if each kept piece comes after the one kept before it."""
        start = common_start(old, new)
        end = common_end(old, new, min(len(old), len(new)) - start)
        old_end, new_end = len(old) - end, len(new) - end
        yield from ((i, i + 1, i, i + 1) for i in self._branches(0, start))
        at = new_at = start
        for behind, new_behind in in_common(old[start:old_end], new[start:new_end]):
            i, j = start + behind, start + new_behind
            if self.fresh[j] is None:
                # A branch: it is compared as a gap of its own.
                if i > at or j > new_at:
                    yield at, i, new_at, j
                yield i, i + 1, j, j + 1
            elif i > at or j > new_at:
                yield at, i, new_at, j
            at, new_at = i + 1, j + 1
        if at < old_end or new_at < new_end:
            yield at, old_end, new_at, new_end
        for j in self._branches(new_end, len(new)):
            i = j - new_end + old_end
            yield i, i + 1, j, j + 1

    def _branches(self, first: int, last: int) -> Iterator[int]:
        """Yield the places of the new members that are branches; a list's are known by marks."""
        if self.names is not None:
            yield from (i for i in range(first, last) if self.fresh[i] is None)

    def _keep(self, first: int, last: int) -> None:
        if first == last:
            return
        pieces = self.old.pieces[first:last]
        self.pieces += pieces
        self.marks += self.old.marks[first:last]
        self.offset += sum(map(len, pieces)) + (last - first)

    def _gap(self, first: int, last: int, new_first: int, new_last: int) -> None:
        """Replace pieces by others: one by one if there are as many, else all at once."""
        is_same = last - first == new_last - new_first
        if is_same and (self.names is None or self._are_named_alike(first, last, new_first)):
            for i, j in zip(range(first, last), range(new_first, new_last), strict=True):
                self._replace(i, j)
            return
        made = [self._made(j) for j in range(new_first, new_last)]
        before = [_joined(piece) for piece in self.old.pieces[first:last]]
        after = [_joined(piece) for _, piece in made]
        # The comma belongs to what follows it, except where nothing is in front.
        offset, old_text, new_text = self.offset, b",".join(before), b",".join(after)
        if first:
            offset -= 1
            old_text = b"," + old_text if before else b""
            new_text = b"," + new_text if after else b""
        elif last < len(self.old.pieces):
            old_text = old_text + b"," if before else b""
            new_text = new_text + b"," if after else b""
        self.found.append(between(old_text, new_text, offset))
        self.marks += [mark for mark, _ in made]
        self.pieces += [piece for _, piece in made]
        self.offset += sum(map(len, before)) + (last - first)

    def _are_named_alike(self, first: int, last: int, new_first: int) -> bool:
        old, new = self.old.names or [], self.names or []
        return old[first:last] == new[new_first : new_first + last - first]

    def _replace(self, i: int, j: int) -> None:
        old = self.old.pieces[i]
        mark: bytes | None = self.fresh[j]
        piece: bytes | Branch | None = None
        if isinstance(old, Branch):
            group = self.groups[j]
            if self.old.marks[i] is None:
                (group,) = group.values()
            piece = next_branch(old, group, self.mover, self.offset, self.found)
            if mark is not None and marked(group) != mark:
                # A thread of the engine's has changed it meanwhile.
                raise NotPlain
        if piece is None:
            mark, piece = self._made(j, self.old.marks[i] or b"")
            self.found.append(between(_joined(old), _joined(piece), self.offset))
        self.marks.append(mark)
        self.pieces.append(piece)
        self.offset += len(old) + 1

    def _made(self, j: int, before: bytes = b"") -> tuple[bytes | None, bytes | Branch]:
        return _piece(
            self.groups[j],
            self.mover,
            self.old.depth,
            self.old.run,
            is_in_object=self.names is not None,
            before=before,
        )


def _joined(piece: bytes | Branch) -> bytes:
    return piece if isinstance(piece, bytes) else b"".join(piece.texts())
