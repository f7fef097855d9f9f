"""What a stream has not been told yet: bounded, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from roost_core.models import Event
from roost_plugins.console.live.positions import START, order

#: Of more work items than this, a stream is told only that much has happened.
MOST: Final = 50


@attrs.frozen
class Batch:
    """What has happened since the last one.

    :ivar events: the newest event of each work item, in order; empty if there were too many.
    :ivar count: how many events there were.
    :ivar position: the id of the last event that it covers; None if that is not known yet.
    :ivar has_begun: whether the position has become known.
    :ivar is_trimmed: events were lost: whatever is shown has to be read again.
    :ivar is_gone: the server was lost, True, or is back, False; None: as before.
    """

    events: Sequence[Event] = ()
    count: int = 0
    position: str | None = None
    has_begun: bool = False
    is_trimmed: bool = False
    is_gone: bool | None = None


class Inbox:
    """Gathers events for one stream. Its methods may be called in any thread.

    Of each work item it keeps the newest event only, and of too many work items none: a page that
    hears of them reads what it shows again, whatever has happened.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        #: By work item, or by engine for those that are about no work item.
        self._events: dict[tuple[str, str], Event] = {}
        self._is_full = False
        self._count = 0
        self._position: str | None = None
        self._told_position: str | None = None
        self._is_trimmed = False
        self._is_gone: bool | None = None
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the stream has to end."""
        return self._is_closed

    def begin(self, position: str) -> None:
        """Note where the events that come next begin, unless that is known."""
        with self._changed:
            if self._position is None:
                self._position = position
                self._changed.notify()

    def put(self, event: Event) -> None:
        """Add an event; one that it had before does not count."""
        with self._changed:
            if order(event.event_id) > order(self._position or START):
                self._position = event.event_id
                self._keep(event)
                self._changed.notify()

    def put_missed(self, events: Iterable[Event], position: str) -> None:
        """Add events from before those that it has; it then has all up to a position.

        Nothing may have been taken yet.
        """
        with self._changed:
            for event in events:
                self._keep(event)
            self._position = max(self._position or START, position, key=order)
            self._changed.notify()

    def put_trimmed(self, position: str) -> None:
        """Add that events were lost; the next ones come after this position."""
        with self._changed:
            self._is_trimmed, self._position = True, position
            self._changed.notify()

    def put_gone(self, is_gone: bool) -> None:
        """Add that the server was lost, or is back."""
        with self._changed:
            self._is_gone = is_gone
            self._changed.notify()

    def close(self) -> None:
        """Let the stream end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def take(self, seconds: float) -> Batch:
        """Return what was gathered; wait for it up to this many seconds."""
        with self._changed:
            self._changed.wait_for(self._has_any, seconds)
            events = () if self._is_full else sorted(self._events.values(), key=_order)
            found = Batch(
                tuple(events),
                self._count,
                self._position,
                self._has_begun(),
                self._is_trimmed,
                self._is_gone,
            )
            self._events, self._is_full, self._count = {}, False, 0
            self._is_trimmed, self._is_gone = False, None
            self._told_position = self._position
            return found

    def _keep(self, event: Event) -> None:
        self._count += 1
        key = (event.work_id, event.engine if event.is_of_engine else "")
        if len(self._events) >= MOST and key not in self._events:
            self._is_full = True
        elif key not in self._events or _order(self._events[key]) < _order(event):
            self._events[key] = event

    def _has_begun(self) -> bool:
        return self._position is not None and self._told_position is None

    def _has_any(self) -> bool:
        is_told = self._count > 0 or self._is_trimmed or self._is_gone is not None
        return self._is_closed or is_told or self._has_begun()


def _order(event: Event) -> tuple[int, int]:
    return order(event.event_id)
