"""Large snapshots that change little: each is stored as what it has changed.

From ``LARGE`` on, a snapshot that resembles the one before it becomes a *base*: it is stored whole,
and later ones as their changes (:mod:`roost_core.codec.changes`), until these together have
``REWRITE`` times its bytes; then the whole is stored again. So a version costs its change, and any
version since the base can be made from the base and the changes, of which there is a bounded
amount. A base has a schema of its own, because an older Roost would take it for the newest version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from roost_core.codec import changes
from roost_core.codec.changes import Splice, between
from roost_core.codec.moved import (
    MOVED_SCHEMA,
    Mover,
    Stored,
    resembles,
    value_ids,
    whole_bytes,
)
from roost_core.codec.pieces import Branch, NotPlain, branch_of, next_branch
from roost_core.codec.snapshots import (
    BASE_SCHEMA,
    DATA_KEY,
    EncodedSnapshot,
    decode_snapshot,
    plain_snapshot,
    with_data,
)
from roost_core.codec.strict_json import MAX_SNAPSHOT_BYTES, dumps
from roost_core.errors import CodecError
from roost_core.models.snapshot import Snapshot

#: A smaller snapshot is stored whole each time: that costs less than to find out what has changed.
#: Bytes.
LARGE: Final = 16 << 10
#: The whole is stored again once the changes since have this many times its bytes. With 1.5, a
#: state that only grows is sent 2.7 times in all: 1 for its changes, and 1 + 1/2.5 + 1/6.25 + …
#: for the wholes.
REWRITE: Final = 1.5
#: And once there are this many changes, or these have as many bytes: who takes the work over has to
#: follow them all.
MOST_CHANGES: Final = 1000
MOST_CHANGE_BYTES: Final = 8 << 20
#: A larger change is not stored beside a whole: it would only be there for the history. Bytes.
_MOST_BESIDE: Final = 1 << 20
#: In place of the data, to see what is around it.
_HOLE: Final = {"": 0}
_HOLE_TEXT: Final = DATA_KEY + b'{"":0}'


@attrs.frozen(eq=False, repr=False)
class PiecedSnapshot:
    """A snapshot in pieces, which knows what it has changed.

    :ivar snapshot: what is around its data; the data is only kept in pieces.
    :ivar change: what leads from the snapshot before to this one; empty if that is not known.
    :ivar base_bytes: how many bytes the last whole has that was stored. If ``is_base``, this is it.
    :ivar count: how many changes there are since, and ``since`` how many bytes they have together.
    :ivar values: the texts that were moved out of it, by their ids.
    :ivar is_same: whether its data and artifacts are those of the snapshot before.
    :ivar is_back: whether they are those of the one before that.
    """

    snapshot: Snapshot
    _head: bytes
    _data: Branch
    _tail: bytes
    change: bytes
    base_bytes: int
    count: int
    since: int
    values: Mapping[str, bytes] = attrs.field(factory=dict)
    is_same: bool = False
    is_back: bool = False
    _changed: tuple[Splice, ...] = ()

    @classmethod
    def of_base(
        cls, stored: Stored, count: int, since: int, base_bytes: int
    ) -> PiecedSnapshot | None:
        """Return a stored snapshot in pieces, or None if it cannot be parted.

        :param count: how many changes it was made from, ``since`` how many bytes they have, and
            ``base_bytes`` how many the whole that they begin with.
        :raises CorruptRecord: the bytes do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        """
        snapshot = decode_snapshot(stored.whole)
        if not _is_ordinary(snapshot):
            return None
        raw = stored.raw
        start = raw.find(DATA_KEY) + len(DATA_KEY)
        head = raw[:start]
        try:
            data = branch_of(snapshot.data, Mover(0, stored.values))
        except (NotPlain, CodecError):
            return None
        text = b"".join(data.texts())
        # It may have been written in another way, such as by another version of Python.
        if start < len(DATA_KEY) or raw[start : start + len(text)] != text:
            return None
        tail = raw[start + len(text) :]
        bare, values = _bare(snapshot), stored.values
        return cls(bare, head, data, tail, b"", base_bytes, count, since, values)

    @property
    def is_base(self) -> bool:
        """Whether it is stored as a whole, and others may follow as changes."""
        return self.count == 0

    @property
    def is_whole(self) -> bool:
        """Whether it is stored as a whole."""
        return self.is_base

    @property
    def raw(self) -> bytes:
        """Its bytes."""
        return b"".join((self._head, *self._data.texts(), self._tail))

    def __len__(self) -> int:
        """How many bytes it has."""
        return len(self._head) + len(self._data) + len(self._tail)

    def size(self) -> int:
        """How much memory it takes, about, in bytes."""
        values = sum(map(len, self.values.values()))
        return 2 * len(self._head) + self._data.size() + values

    def following(self, snapshot: Snapshot, least: int = 0) -> PiecedSnapshot | EncodedSnapshot:
        """Return the snapshot that comes after this one.

        It is an :class:`EncodedSnapshot` if it is small, or replaces its predecessor altogether as
        that had done.

        :param least: as for :meth:`EncodedSnapshot.of`.
        :raises CodecError: ``data`` is not JSON, a value in it is too deep, or the whole has over
            8 MiB.
        """
        if not _is_ordinary(snapshot):
            return self._replaced(snapshot, least)
        try:
            return self._following(snapshot, least)
        except CodecError:
            # Of the whole is said what is wrong: how many bytes it has, not one of its parts.
            return self._replaced(snapshot, least)
        except NotPlain:
            # It holds tuples or the like. What they come back as can be compared.
            whole = EncodedSnapshot.of(snapshot)
        return self._following(whole.decoded(None, None, None), least)

    def _replaced(self, snapshot: Snapshot, least: int) -> EncodedSnapshot:
        return EncodedSnapshot.of(snapshot, Stored.joined(self.raw, self.values), least)

    def _following(self, snapshot: Snapshot, least: int) -> PiecedSnapshot | EncodedSnapshot:
        """Return the snapshot that comes after this one.

        :raises CodecError: as above.
        :raises NotPlain: it holds what JSON would turn into something else.
        """
        found: list[Splice] = []
        mover = Mover(least, self.values)
        data = next_branch(self._data, snapshot.data, mover, len(self._head), found)
        if data is None:
            raise NotPlain
        values, size_of_moved = _moved(data, {**self.values, **mover.moved})
        head, tail = _around(snapshot, MOVED_SCHEMA if values else BASE_SCHEMA)
        # Whatever comes behind the data counts as its own, as in a snapshot that is not in pieces.
        is_same = not found and tail == self._tail
        # As they are within the data, wherever that begins.
        changed = tuple(one._replace(at=one.at - len(self._head)) for one in found)
        is_undone = bool(changed) and changed == tuple(changes.backwards(self._changed))
        splices = [
            between(self._head, head),
            *found,
            between(self._tail, tail, len(self._head) + len(self._data)),
        ]
        change = changes.written(one for one in splices if one.old or one.new)
        new = PiecedSnapshot(
            _bare(snapshot),
            head,
            data,
            tail,
            change,
            self.base_bytes,
            self.count + 1,
            self.since + len(change),
            values,
            is_same,
            is_undone and tail == self._tail,
            changed,
        )
        size = len(new)
        if size + size_of_moved > MAX_SNAPSHOT_BYTES:
            raise CodecError(f"the snapshot has over {MAX_SNAPSHOT_BYTES} bytes")
        is_replaced = 2 * len(change) > size
        if self.is_base and (is_replaced or size < LARGE // 2):
            return self._replaced(snapshot, least)
        if (
            is_replaced
            or size < LARGE // 2
            or new.since > REWRITE * new.base_bytes
            or new.since > MOST_CHANGE_BYTES
            or new.count > MOST_CHANGES
        ):
            beside = change if len(change) <= _MOST_BESIDE else b""
            return attrs.evolve(new, change=beside, base_bytes=size, count=0, since=0)
        return new

    def decoded(
        self, created_ms: int | None, updated_ms: int | None, finished_ms: int | None
    ) -> Snapshot:
        """Return what decoding its bytes would return, a new one each time."""
        return with_data(self.snapshot, self._data.value(), created_ms, updated_ms, finished_ms)


def based(before: Stored, snapshot: Snapshot, raw: bytes, least: int = 0) -> PiecedSnapshot | None:
    """Return a snapshot as a base, if it resembles the one before it; else None.

    :param raw: its bytes.
    :param least: as for :meth:`EncodedSnapshot.of`.
    """
    if min(len(raw), len(before.raw)) < LARGE or not resembles(before.raw, raw):
        return None
    earlier = PiecedSnapshot.of_base(before, 1, 0, 0)
    # What was not committed as a whole is one by now: its changes have more bytes than nothing.
    new = None if earlier is None else earlier.following(snapshot, least)
    if not isinstance(new, PiecedSnapshot) or not new.change:
        return None
    return new if 2 * len(new.change) <= len(new) else None


def _is_ordinary(snapshot: Snapshot) -> bool:
    return not snapshot.extra and not any(one.extra for one in snapshot.artifacts)


def _bare(snapshot: Snapshot) -> Snapshot:
    return with_data(snapshot, {}, None, None, None)


def _moved(data: Branch, known: dict[str, bytes]) -> tuple[dict[str, bytes], int]:
    """Return the texts that were moved out of the data, by their ids, and their bytes in all.

    :param known: all that there can be.
    """
    if not known:
        return {}, 0
    text = b"".join(data.texts())
    return {one: known[one] for one in value_ids(text)}, whole_bytes(text) - len(text)


def _around(snapshot: Snapshot, schema: int) -> tuple[bytes, bytes]:
    """Return what is in front of a base's data, and behind it."""
    around = attrs.evolve(snapshot, data=_HOLE)
    text = dumps(plain_snapshot(around, schema), "the snapshot", MAX_SNAPSHOT_BYTES, 1)
    at = text.index(_HOLE_TEXT) + len(DATA_KEY)
    return text[:at], text[at + len(_HOLE_TEXT) - len(DATA_KEY) :]
