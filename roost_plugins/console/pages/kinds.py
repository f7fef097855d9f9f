"""How each kind of event looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from roost_core.models import Event, State

#: Tone and icon of each kind.
KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "enqueued": ("calm", "inbox"),
    "claimed": ("busy", "play"),
    "committed": ("good", "check"),
    "emitted": ("accent", "activity"),
    "attempt_failed": ("warn", "rotate-cw"),
    "dead_lettered": ("bad", "circle-x"),
    "interrupted": ("warn", "hourglass"),
    "recovered": ("warn", "unplug"),
    "blocked": ("warn", "lock"),
    "unblocked": ("calm", "lock"),
    "cancel_requested": ("person", "user"),
    "cancelled": ("person", "ban"),
    "pause_requested": ("person", "user"),
    "paused": ("person", "pause"),
    "resumed": ("person", "play"),
    "retried": ("person", "rotate-cw"),
    "rewound": ("person", "rotate-ccw"),
    "forked": ("person", "git-branch"),
    "bury_requested": ("person", "user"),
    "dropped": ("person", "trash-2"),
    "purged": ("calm", "trash-2"),
    "engine_held": ("person", "hand"),
    "engine_released": ("person", "hand"),
    "unreadable": ("bad", "circle-help"),
}


def look_of(event: Event) -> tuple[str, str]:
    """Return tone and icon of an event."""
    if event.kind == "dead_lettered" and "who" in event.data:
        return "person", "skull"
    if event.kind == "committed" and event.state is not State.DONE:
        return "calm", "check"
    return KINDS.get(event.kind, ("calm", "info"))
