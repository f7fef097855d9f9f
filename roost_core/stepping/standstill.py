"""Steps that are accepted, follow each other without a delay, and change nothing.

An engine that goes round in circles costs money and looks busy. The bound on steps in a row stops
it; here it is only detected, so that people are warned before.
"""

from __future__ import annotations

from typing import Final

import attrs

#: This many steps without a change of data cause a warning; twice as many the next, and so on.
WARN_AFTER: Final = 25
#: Larger data is kept as its hash: nothing large is kept for each of many work items. Bytes.
_LARGEST: Final = 4096
#: Where the data begins in an encoded snapshot. Inside a JSON string its quotes would be escaped.
_DATA: Final = b'"data":'


@attrs.define(eq=False)
class Standstill:
    """Counts them for one work item in one worker, over its leases."""

    #: The last snapshot, or the hash of its data if that is large.
    _last: bytes | int | None = None
    #: How many bytes at its end are its data.
    _size: int = 0
    _unchanged: int = 0

    def note(self, raw: bytes, *, delays: bool) -> bool:
        """Record an accepted snapshot's bytes, and whether a delay follows it.

        :returns: whether a warning is due.
        """
        # Empty data is not written at all.
        start = raw.find(_DATA)
        size = len(raw) - start if start >= 0 else 0
        kept = raw if size <= _LARGEST else hash(memoryview(raw)[start:])
        # Sizes usually differ; only equal ones are compared further.
        is_same = size == self._size and self._is_same(kept, size)
        self._last, self._size = kept, size
        return self.note_whether(is_same=is_same, delays=delays)

    def note_whether(self, *, is_same: bool, delays: bool) -> bool:
        """Record an accepted snapshot, of which is known whether it changed no data.

        :returns: whether a warning is due.
        """
        if delays or not is_same:
            self._unchanged = 0
            return False
        self._unchanged += 1
        times, rest = divmod(self._unchanged, WARN_AFTER)
        return rest == 0 and times > 0 and times & (times - 1) == 0

    def _is_same(self, kept: bytes | int, size: int) -> bool:
        last = self._last
        if isinstance(kept, int) or not isinstance(last, bytes):
            return kept == last
        return kept[len(kept) - size :] == last[len(last) - size :]

    @property
    def unchanged(self) -> int:
        """How many steps in a row have changed nothing."""
        return self._unchanged
