"""What happened to work items, in order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from roost_core.models.work import State
from roost_core.values import Json, Value


@attrs.frozen(eq=False, repr=False)
class Event(Value):
    """One accepted transition, or one event that was emitted with a commit.

    ``kind`` is one of ``enqueued``, ``claimed``, ``blocked``, ``unblocked``, ``committed``,
    ``attempt_failed``, ``interrupted``, ``recovered``, ``dead_lettered``, ``purged``,
    ``emitted``, and for what people do ``cancel_requested``, ``cancelled``, ``pause_requested``,
    ``paused``, ``resumed``, ``retried``, ``bury_requested`` and ``dropped``; in a work item's own
    trail, a ``leased`` stands for a whole lease. ``state`` is the state after it. Data of what
    people do has ``who``, ``tool`` and ``reason``, and ``from``, the state before. A damaged stored
    event is shown with the kind ``unreadable``, and ``?`` as work and engine.
    """

    event_id: str
    at: datetime
    kind: str
    work_id: str
    engine: str
    version: int
    state: State
    data: Mapping[str, Json] = attrs.field(factory=dict)
