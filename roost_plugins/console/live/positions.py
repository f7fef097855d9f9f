"""Where a listener stands in the queue's events, and what it has missed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final

import attrs

from roost_core import Roost
from roost_core.models import Event

#: Before the first event.
START: Final = "0-0"
#: Of more missed events than this, a listener is told only that it has missed some.
MOST_MISSED: Final = 500

#: The highest number of an event within a millisecond.
_LAST: Final = 2**64 - 1
_ID: Final = re.compile(r"(\d{1,20})-(\d{1,20})")


@attrs.frozen
class Missed:
    """What has happened since a position.

    :ivar events: in order.
    :ivar newest: the position after them.
    :ivar is_trimmed: they are not all: there are too many, the server has dropped some, or it does
        not know the position.
    """

    events: Sequence[Event]
    newest: str
    is_trimmed: bool = False


def order(event_id: str) -> tuple[int, int]:
    """Return what event ids are ordered by; what is no id comes first."""
    found = _ID.fullmatch(event_id)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def before(milliseconds: int) -> str:
    """Return the last id that an event before this time can have."""
    return f"{milliseconds - 1}-{_LAST}" if milliseconds else START


def is_by_person(event: Event) -> bool:
    """Return whether it tells what somebody did, rather than what came of a step."""
    return event.kind != "emitted" and "who" in event.data


async def newest(roost: Roost) -> str:
    """Return the position after all events.

    :raises BackendUnavailable: no answer.
    """
    found = await roost.events(limit=1)
    return found[-1].event_id if found else START


async def missed_since(roost: Roost, after: str, is_time: bool = False) -> Missed:
    """Read what has happened since a position, in three requests at once.

    :param after: an event's id, or :data:`START`; anything else is an unknown position.
    :param is_time: it is from :func:`before`, and a moment ago: no event need have it, nor be
        before it, and of many the first will do.
    :raises BackendUnavailable: no answer.
    """
    found, oldest, last = await asyncio.gather(
        roost.events(after=after if _ID.fullmatch(after) else START, limit=MOST_MISSED),
        roost.events(after=START, limit=1),
        newest(roost),
    )
    if is_time:
        return Missed(found, last)
    first = oldest[0].event_id if oldest and after != START else START
    is_known = _ID.fullmatch(after) and order(first) <= order(after) <= order(last)
    if not is_known or len(found) >= MOST_MISSED:
        return Missed((), last, is_trimmed=True)
    return Missed(found, last)
