"""Steps that are accepted, follow each other without a delay, and get nowhere.

Either they change nothing, or they go back and forth between two states.

An engine that goes round in circles costs money and looks busy. The bound on steps in a row stops
it; here it is only detected, so that people are warned before.
"""

from __future__ import annotations

from typing import Final

import attrs

from roost_core.codec.snapshots import DATA_KEY

#: This many steps without a change of data cause a warning; twice as many the next, and so on.
WARN_AFTER: Final = 25
#: Larger data is kept as its hash: nothing large is kept for each of many work items. Bytes.
_LARGEST: Final = 4096


@attrs.define(eq=False)
class Standstill:
    """Counts them for one work item in one worker, over its leases."""

    #: The data of the last snapshot, or the hash of it if it is large.
    _last: bytes | None = None
    #: That of the one before it.
    _earlier: bytes | None = None
    _unchanged: int = 0
    _is_alternating: bool = False
    _since: tuple[int, int | None] = (0, None)

    def note(self, raw: bytes, *, delays: bool, after: tuple[int, int | None] = (0, None)) -> bool:
        """Record an accepted snapshot's bytes, and whether a delay follows it.

        :param after: the version that its step started from, and when that was accepted, in
            milliseconds, if that is known.
        :returns: whether a warning is due.
        """
        # Empty data is not written at all.
        start = raw.find(DATA_KEY)
        if start < 0:
            data = b""
        elif len(raw) - start <= _LARGEST:
            data = raw[start:]
        else:
            # Shorter than any data, so that nothing else is equal to it.
            data = hash(memoryview(raw)[start:]).to_bytes(8, "big", signed=True)
        is_same, is_back = data == self._last, data == self._earlier
        self._earlier, self._last = self._last, data
        return self.note_whether(is_same=is_same, is_back=is_back, delays=delays, after=after)

    def note_whether(
        self,
        *,
        is_same: bool,
        is_back: bool,
        delays: bool,
        after: tuple[int, int | None] = (0, None),
    ) -> bool:
        """Record an accepted snapshot, of which is known whether it changed no data.

        :param is_back: whether its data is that of the one before the last.
        :param after: as in :meth:`note`.
        :returns: whether a warning is due.
        """
        if delays or not (is_same or is_back):
            self._unchanged, self._is_alternating = 0, False
            return False
        if not self._unchanged:
            self._since = after
        self._unchanged += 1
        self._is_alternating |= not is_same
        times, rest = divmod(self._unchanged, WARN_AFTER)
        return rest == 0 and times > 0 and times & (times - 1) == 0

    @property
    def unchanged(self) -> int:
        """How many steps in a row have got nowhere."""
        return self._unchanged

    @property
    def is_alternating(self) -> bool:
        """Whether they went back and forth between two states."""
        return self._is_alternating

    @property
    def since(self) -> tuple[int, int | None]:
        """The version since which nothing is new, and when it was accepted, if that is known."""
        return self._since
