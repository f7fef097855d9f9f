"""Work items as a worker hands them out: each step and each observer gets its own.

A stored work item never changes, but a step may change its own copy: a payload in place, at once or
from a thread that outlives it. No other step may see that, because another worker would not see it
either. So nothing is handed out twice; a copy takes a fraction of the time of decoding.

An agent that sleeps mostly comes back to the same worker, so recent items are kept.
"""

from __future__ import annotations

import marshal
import operator
from collections import OrderedDict
from typing import Final

import attrs

from roost_core.backend.messages import Claim, Since
from roost_core.codec.moved import Stored
from roost_core.codec.pieced import LARGE, PiecedSnapshot, based
from roost_core.codec.records import decode_item
from roost_core.codec.snapshots import EncodedSnapshot
from roost_core.models.snapshot import Snapshot
from roost_core.models.work import RetryPolicy, WorkItem
from roost_core.stepping.standstill import Standstill
from roost_core.values import unchecked

#: How many work items are kept.
_MOST: Final = 1000
#: How many bytes of snapshots in pieces are kept.
_MOST_PIECES: Final = 32 << 20
#: Larger ones are not kept: they would take too much room. Bytes.
_LARGEST: Final = 4096


def _names(cls: type) -> list[str]:
    return [one.name for one in attrs.fields(cls)]


_ITEM: Final = operator.attrgetter(*_names(WorkItem))
_RETRY: Final = operator.attrgetter(*_names(RetryPolicy))
#: The parts of an item that cannot be shared: each can be changed in place.
_PAYLOAD, _POLICY, _EXTRA = (_names(WorkItem).index(one) for one in ("payload", "retry", "extra"))
_POLICY_EXTRA: Final = _names(RetryPolicy).index("extra")
_new_item: Final = unchecked(WorkItem)
_new_policy: Final = unchecked(RetryPolicy)


class StoredItem:
    """A work item as it is stored.

    :ivar item: for the runtime only; never handed out.
    :ivar standstill: how many of its steps here have changed nothing, across leases.
    """

    __slots__ = ("_accepted", "_dropped", "_payload", "_unlike", "item", "key", "standstill")

    def __init__(self, raw: bytes, created_ms: int) -> None:
        """Decode the bytes.

        :raises CorruptRecord: they do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        """
        item = decode_item(raw, created_ms)
        self.item = item
        self.standstill = Standstill()
        #: What distinguishes it from all others. A work id may be used again, with the same bytes,
        #: after its first life was purged.
        self.key = raw, created_ms
        self._payload: bytes | None = None
        self._accepted: EncodedSnapshot | PiecedSnapshot | None = None
        #: The version whose pieces were dropped, and what it was made from.
        self._dropped: tuple[int, Since] | None = None
        #: How many snapshots in a row looked like those before, and were not.
        self._unlike = 0

    def encode(
        self, snapshot: Snapshot, before: Stored | PiecedSnapshot | None, least: int = 0
    ) -> EncodedSnapshot | PiecedSnapshot:
        """Make bytes of a snapshot.

        :param before: the stored one: its bytes, or these in pieces; None if it does not matter.
        :param least: as for :meth:`EncodedSnapshot.of`.
        :raises CodecError: ``data`` is not JSON, a value in it is too deep, or the whole has over
            8 MiB.
        """
        if isinstance(before, PiecedSnapshot):
            return before.following(snapshot, least)
        whole = EncodedSnapshot.of(snapshot, before, least)
        if before is None or len(whole.raw) < LARGE or len(before.raw) < LARGE:
            return whole
        # To find out costs as much as the step, so it is tried less and less.
        if self._unlike & (self._unlike - 1):
            self._unlike += 1
            return whole
        base = based(before, snapshot, whole.raw, least)
        self._unlike = 0 if base is not None else self._unlike + 1
        return base or whole

    def accepted(self, snapshot: EncodedSnapshot | PiecedSnapshot) -> int:
        """Remember the last snapshot that was accepted here, if it is small or in pieces.

        :returns: how much memory its pieces take, about, in bytes.
        """
        if isinstance(snapshot, PiecedSnapshot):
            self._accepted = snapshot
            return snapshot.size()
        is_kept = len(snapshot.raw) <= _LARGEST and not snapshot.values
        self._accepted = snapshot if is_kept else None
        return 0

    def known(self, raw: bytes | None) -> EncodedSnapshot | None:
        """Return the last snapshot that was accepted here, if these are its bytes.

        It was made here, and so need not be checked when it is decoded.
        """
        mine = self._accepted
        return mine if isinstance(mine, EncodedSnapshot) and mine.raw == raw else None

    def drop_pieces(self) -> None:
        """Keep no snapshot in pieces, only what it was made from."""
        mine = self._accepted
        if isinstance(mine, PiecedSnapshot):
            since = Since(mine.base_bytes, mine.count, mine.since)
            self._dropped = mine.snapshot.version, since
            self._accepted = None

    def dropped(self, version: int) -> Since | None:
        """Return what a version was made from whose pieces were dropped; None if unknown."""
        known, since = self._dropped or (0, None)
        return since if known == version else None

    def in_pieces(self, claim: Claim, stored: Stored | None = None) -> PiecedSnapshot | None:
        """Return a claim's snapshot in pieces, if it is to be kept so.

        :param stored: what the claim brings of it, if it brings any.
        :raises CorruptRecord: its bytes do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        """
        since, mine = claim.since, self._accepted
        if since is None:
            return None
        if stored is None:
            # This worker stored it, so it is the same if it has the same number.
            is_kept = isinstance(mine, PiecedSnapshot) and mine.snapshot.version == claim.version
            return mine if is_kept else None  # type: ignore[return-value] # checked in is_kept
        return PiecedSnapshot.of_base(stored, since.count, since.change_bytes, since.base_bytes)

    def fresh(self) -> WorkItem:
        """Return the work item as a new object that shares nothing that can be changed."""
        if self.item.extra or self.item.retry.extra:
            return decode_item(*self.key)
        if self._payload is None:
            # Twice as fast as JSON in both directions. Version 2 writes equal values alike.
            self._payload = marshal.dumps(self.item.payload, 2)
        policy = list(_RETRY(self.item.retry))
        policy[_POLICY_EXTRA] = {}
        item = list(_ITEM(self.item))
        item[_PAYLOAD] = marshal.loads(self._payload)  # noqa: S302 - made right here
        item[_POLICY] = _new_policy(*policy)
        item[_EXTRA] = {}
        return _new_item(*item)


class RecentItems:
    """Decodes work items, recent ones faster."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[bytes, int], StoredItem] = OrderedDict()
        #: How many bytes the snapshots in pieces take, those kept longest first.
        self._pieces: OrderedDict[tuple[bytes, int], int] = OrderedDict()

    def decode(self, raw: bytes, created_ms: int) -> StoredItem:
        """Return the item in the bytes, which include its id.

        :raises CorruptRecord: the bytes do not decode.
        :raises WrittenByNewer: a newer Roost wrote them.
        """
        key = raw, created_ms
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        known = StoredItem(raw, created_ms)
        if len(raw) <= _LARGEST:
            self._known[key] = known
            if len(self._known) > _MOST:
                gone, _ = self._known.popitem(last=False)
                self._pieces.pop(gone, None)
        return known

    def keep(self, item: StoredItem, snapshot: EncodedSnapshot | PiecedSnapshot) -> None:
        """Remember the last snapshot that was accepted here, for when the item comes back."""
        taken = item.accepted(snapshot)
        if self._pieces:
            self._pieces.pop(item.key, None)
        if not taken:
            if len(item.key[0]) > _LARGEST:
                # It was only here for its pieces.
                self._known.pop(item.key, None)
            return
        self._known[item.key] = item
        self._pieces[item.key] = taken
        total = sum(self._pieces.values())
        while total > _MOST_PIECES:
            key, count = self._pieces.popitem(last=False)
            total -= count
            other = self._known.get(key)
            if other is not None:
                other.drop_pieces()
                if len(key[0]) > _LARGEST:
                    del self._known[key]

    def forget(self, item: StoredItem) -> None:
        """Drop an item: it is done."""
        self._known.pop(item.key, None)
        self._pieces.pop(item.key, None)


#: The count restarts for work that has not come back for this long. Seconds.
_FORGOTTEN_AFTER: Final = 60.0
#: The first pause and the longest. Milliseconds.
_PAUSES: Final = (100, 10_000)


class RecentReturns:
    """Paces work that a worker gives back without blame although it does not stop.

    Once is harmless. Again and again, with nothing counted, would keep worker and server busy for
    ever.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def pause_ms(self, work_id: str, now: float) -> int | None:
        """Record a return; return how long the work should rest, or None for not at all.

        :param now: by the monotonic clock, in seconds.
        """
        count, at = self._known.pop(work_id, (0, now))
        if now - at > _FORGOTTEN_AFTER:
            count = 0
        self._known[work_id] = (count + 1, now)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        first, longest = _PAUSES
        return min(longest, first * 2 ** min(count - 1, 20)) if count else None
