"""Work items that a worker has had before: an agent that sleeps mostly comes back to the same one.

What is stored of a work item never changes, so decoding and checking it again would
bring the same. Unless an engine has changed the payload in place, that is: then the
item is decoded anew, because no step may see more than what another worker would see.
"""

from __future__ import annotations

import marshal
from collections import OrderedDict
from typing import Final

import attrs

from roost_core import codec
from roost_core.models import Json, WorkItem

#: How many work items are kept.
_MOST: Final = 1000
#: Larger ones are not kept: looking whether they are untouched takes as long as decoding. Bytes.
_LARGEST: Final = 4096


@attrs.frozen
class _Known:
    """A work item, and what its payload was."""

    item: WorkItem
    payload: bytes

    @property
    def is_untouched(self) -> bool:
        try:
            return _dumped(self.item.payload) == self.payload
        except Exception:  # noqa: BLE001 - whatever an engine has put into it
            return False


def _dumped(payload: Json) -> bytes:
    """Return bytes that differ if anything does: a type, the order of keys, a zero's sign.

    They are only compared. marshal takes a fraction of the time of JSON, and knows no
    type that is almost another one. Its version 2 is the last that tells no difference
    between equal texts by how they are kept in memory.
    """
    return marshal.dumps(payload, 2)


class RecentItems:
    """Decodes work items, those of late faster."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    def decode(self, raw: bytes, created_ms: int) -> WorkItem:
        """Do what :func:`codec.decode_item` does; the bytes hold the work's id.

        :raises CorruptRecord: the bytes do not decode.
        """
        known = self._known.get(raw)
        if known is not None and known.is_untouched:
            self._known.move_to_end(raw)
            return known.item
        item = codec.decode_item(raw, created_ms)
        if len(raw) <= _LARGEST:
            self._known[raw] = _Known(item, _dumped(item.payload))
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return item
