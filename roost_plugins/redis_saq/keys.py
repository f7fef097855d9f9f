"""The names of a queue's keys.

All keys of a queue share one hash tag, ``{prefix:namespace:queue}``, so that a
Redis Cluster keeps them together and every script may use them in one step.
They are few and fixed: a work item is some fields of one hash and a member of one
sorted set, never a key of its own, so every script can declare all its keys.
"""

from __future__ import annotations

from typing import Final

import attrs

from roost_core.models import State
from roost_core.values import Value

#: Where a work item in each state is kept. These sets are also the indexes by state.
PLACES: Final = {
    State.QUEUED: "ready",
    State.SLEEPING: "sleeping",
    State.RETRY_WAIT: "retry_wait",
    State.RUNNING: "running",
    State.BLOCKED: "blocked",
    State.WAITING: "waiting",
    State.PAUSED: "paused",
    State.DONE: "done",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}
#: The type of each key, as the server's command ``TYPE`` names it.
TYPES: Final = {
    "work": "hash",
    **dict.fromkeys(PLACES.values(), "zset"),
    "held": "hash",
    "lines": "zset",
    "offers": "zset",
    "forgetting": "zset",
    "created": "zset",
    "halted": "hash",
    "holds": "hash",
    "index": "zset",
    "rates": "hash",
    "key": "hash",
    "newer": "zset",
    "seq": "string",
    "turn": "string",
    "events": "stream",
    "idle": "zset",
    "workers": "hash",
    "beats": "hash",
    "claims": "hash",
    "solo": "string",
    "seen": "zset",
}


@attrs.frozen(eq=False, repr=False)
class Keys(Value):
    """Key and channel names of one queue."""

    prefix: str
    namespace: str
    queue: str

    @property
    def tag(self) -> str:
        """What every key starts with."""
        return f"{{{self.prefix}:{self.namespace}:{self.queue}}}"

    def key(self, name: str) -> str:
        """Return the full name of a key, as the scripts' headers call it."""
        return f"{self.tag}:{name}"

    def wake_channel(self, worker_id: str) -> str:
        """Return the channel that tells a worker that there is work for it."""
        return f"{self.tag}:wake:{worker_id}"

    def ended_channel(self, work_id: str) -> str:
        """Return the channel that announces that a work item has become terminal."""
        return f"{self.tag}:ended:{work_id}"
