"""What a reader is told after a change, once the browser has been sent on to another page."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import attrs

#: How long a reader is told what came of it. Seconds.
_TOLD_FOR: Final = 120.0


@attrs.frozen
class Told:
    """What came of a verb, in one line.

    :ivar tone: ``good`` if it is so now, ``accent`` if nothing has happened, ``warn`` or ``bad``.
    """

    tone: str
    text: str


class Notes:
    """What readers are to be told on the next page, by a key in its URL, for two minutes.

    The text stays here, so that no link can make the console say something.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = 500) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._notes: OrderedDict[str, tuple[float, Told]] = OrderedDict()

    def put(self, note: Told) -> str:
        """Keep a note; return its key."""
        key = secrets.token_hex(6)
        with self._lock:
            self._notes[key] = (self._clock() + _TOLD_FOR, note)
            while len(self._notes) > self._most:
                self._notes.popitem(last=False)
        return key

    def get(self, key: str | None) -> Told | None:
        """Return a note that is not too old, or None."""
        with self._lock:
            until, note = self._notes.get(key or "", (0.0, None))
        return note if self._clock() < until else None
