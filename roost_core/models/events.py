"""What happened to work items, in order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import attrs

from roost_core.models.work import State
from roost_core.values import Json, Value

#: The work id of what happened to an engine, not to a work item. No work item has it.
OF_ENGINE: Final = "-"


@attrs.frozen(eq=False, repr=False)
class Event(Value):
    """One accepted transition, or one event that was emitted with a commit.

    ``kind`` is one of ``enqueued``, ``claimed``, ``blocked``, ``unblocked``, ``committed``,
    ``attempt_failed``, ``interrupted``, ``recovered``, ``dead_lettered``, ``purged``,
    ``emitted``, and for what people do ``cancel_requested``, ``cancelled``, ``pause_requested``,
    ``paused``, ``resumed``, ``retried``, ``rewound``, ``forked``, ``bury_requested`` and
    ``dropped``, and to a whole engine ``engine_held`` and ``engine_released``; in a work item's own
    trail, a ``leased`` stands for a whole lease. ``state`` is the state after it. Data of what
    people do has ``who``, ``tool`` and ``reason``, and ``from``, the state before.

    What happens to an engine has no work item: the work id is ``-``, the version 0, the state
    ``paused`` when it is held and ``queued`` when it is released, and there is no ``from``. A
    damaged stored event is shown with the kind ``unreadable``, and ``?`` as work and engine.
    """

    event_id: str
    at: datetime
    kind: str
    work_id: str
    engine: str
    version: int
    state: State
    data: Mapping[str, Json] = attrs.field(factory=dict)

    @property
    def is_of_engine(self) -> bool:
        """Whether it happened to an engine, and not to a work item."""
        return self.work_id == OF_ENGINE
