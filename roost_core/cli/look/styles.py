"""Colours: the terminal's own sixteen, so that they suit a dark and a light ground.

Nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.text import Text

from roost_core.models.control import Verb
from roost_core.models.events import Event
from roost_core.models.work import State
from roost_core.shown.redaction import clean
from roost_core.shown.verbs import standing

_STATES: Final[Mapping[State, str]] = {
    State.RUNNING: "cyan",
    State.DONE: "green",
    State.FAILED: "bold red",
    State.CANCELLED: "magenta",
    State.PAUSED: "magenta",
    State.RETRY_WAIT: "yellow",
    State.BLOCKED: "yellow",
}
_EVENTS: Final[Mapping[str, str]] = {
    "claimed": "dim",
    "leased": "dim",
    "attempt_failed": "yellow",
    "recovered": "yellow",
    "dead_lettered": "bold red",
    "cancel_requested": "magenta",
    "cancelled": "magenta",
    "pause_requested": "magenta",
    "paused": "magenta",
    "resumed": "magenta",
    "retried": "magenta",
    "bury_requested": "magenta",
    "dropped": "magenta",
    "engine_held": "magenta",
    "engine_released": "magenta",
}


def of_state(state: State) -> str:
    """Return the style of a state's name."""
    return _STATES.get(state, "")


def of_event(event: Event) -> str:
    """Return the style of what an event says."""
    if event.kind == "committed" and event.state is State.DONE:
        return "green"
    return _EVENTS.get(event.kind, "")


def state_text(state: State, wish: Verb | None = None) -> Text:
    """Return a state in its colour: ``running (cancelling)``."""
    return Text(standing(state, wish), of_state(state))


def plain(value: object, style: str = "") -> Text:
    """Return a text without control characters; brackets in it are no markup."""
    return Text(clean(value), style)
