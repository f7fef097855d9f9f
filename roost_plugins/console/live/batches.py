"""What a stream has not been told yet: bounded, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import attrs

from roost_core.models import Event

#: Of more work items than this, a stream is told only that much has happened.
MOST: Final = 50


@attrs.frozen
class Batch:
    """What has happened since the last one.

    :ivar events: the newest event of each work item, in order; empty if there were too many.
    :ivar last: the newest event of all.
    :ivar count: how many there were.
    :ivar is_gone: the server was lost, True, or is back, False; None: as before.
    """

    events: Sequence[Event] = ()
    last: Event | None = None
    count: int = 0
    is_gone: bool | None = None


class Inbox:
    """Gathers events for one stream; any number of threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: dict[str | None, Event] = {}
        self._last: Event | None = None
        self._count = 0
        self._is_gone: bool | None = None
        self.is_closed = False

    def put(self, event: Event) -> None:
        """Add an event."""
        with self._changed:
            self._events.pop(event.work_id, None)
            if len(self._events) <= MOST:
                self._events[event.work_id] = event
            self._last = event
            self._count += 1
            self._changed.notify()

    def put_gone(self) -> None:
        """Add that the server was lost."""
        with self._changed:
            self._is_gone = True
            self._changed.notify()

    def put_back(self) -> None:
        """Add that the server is back."""
        with self._changed:
            self._is_gone = False
            self._changed.notify()

    def close(self) -> None:
        """Let the stream end."""
        with self._changed:
            self.is_closed = True
            self._changed.notify()

    def take(self, seconds: float) -> Batch:
        """Return what was gathered; wait for it up to this many seconds."""
        with self._changed:
            self._changed.wait_for(self._has_any, seconds)
            events = tuple(self._events.values()) if len(self._events) <= MOST else ()
            found = Batch(events, self._last, self._count, self._is_gone)
            self._events, self._last, self._count, self._is_gone = {}, None, 0, None
            return found

    def _has_any(self) -> bool:
        return self.is_closed or self._count > 0 or self._is_gone is not None
