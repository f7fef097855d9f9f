"""Steps that are accepted, follow each other without a delay, and change nothing.

An engine that goes round in circles costs money and looks busy. What stops it is the
bound on steps in a row; here it is only noticed, so that people are told before.
"""

from __future__ import annotations

from typing import Final

import attrs

#: So many steps that changed no data are worth a word; twice as many the next, and so on.
WARN_AFTER: Final = 25
#: Larger data is known by its hash: nothing large is kept for each of many work items. Bytes.
_LARGEST: Final = 4096
#: Where the data begins in an encoded snapshot. In a text of JSON its quotes would be escaped.
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
        """Take note of an accepted snapshot's bytes, and whether a delay follows it.

        :returns: whether it is time for a word.
        """
        # Empty data is not written at all.
        start = raw.find(_DATA)
        size = len(raw) - start if start >= 0 else 0
        kept = raw if size <= _LARGEST else hash(memoryview(raw)[start:])
        # Sizes differ far more often than not; only equal ones are looked at more closely.
        is_same = not delays and size == self._size and self._is_same(kept, size)
        self._last, self._size = kept, size
        if not is_same:
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
