"""In which colours states and events are shown. Nothing is told by colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.text import Text

from roost_core.cli import colours
from roost_core.models.control import Verb
from roost_core.models.events import Event
from roost_core.models.work import State
from roost_core.shown.redaction import clean
from roost_core.shown.verbs import standing

_STATES: Final[Mapping[State, str]] = {
    State.RUNNING: colours.BUSY,
    State.DONE: colours.GOOD,
    State.FAILED: colours.VERY_BAD,
    State.CANCELLED: colours.BY_HAND,
    State.PAUSED: colours.BY_HAND,
    State.RETRY_WAIT: colours.WARNING,
    State.BLOCKED: colours.WARNING,
}
_EVENTS: Final[Mapping[str, str]] = {
    "claimed": "dim",
    "leased": "dim",
    "attempt_failed": colours.WARNING,
    "recovered": colours.WARNING,
    "dead_lettered": colours.VERY_BAD,
    "cancel_requested": colours.BY_HAND,
    "cancelled": colours.BY_HAND,
    "pause_requested": colours.BY_HAND,
    "paused": colours.BY_HAND,
    "resumed": colours.BY_HAND,
    "retried": colours.BY_HAND,
    "rewound": colours.BY_HAND,
    "forked": colours.BY_HAND,
    "bury_requested": colours.BY_HAND,
    "dropped": colours.BY_HAND,
    "engine_held": colours.BY_HAND,
    "engine_released": colours.BY_HAND,
}


def of_state(state: State) -> str:
    """Return the style of a state's name."""
    return _STATES.get(state, "")


def of_event(event: Event) -> str:
    """Return the style of what an event says."""
    if event.kind == "committed" and event.state is State.DONE:
        return colours.GOOD
    return _EVENTS.get(event.kind, "")


def state_text(state: State, wish: Verb | None = None, *, is_brief: bool = False) -> Text:
    """Return a state in its colour: ``running (cancelling)``.

    :param is_brief: ``running (pausing)``, without ``after this step``.
    """
    return Text(standing(state, wish, is_brief=is_brief), of_state(state))


def plain(value: object, style: str = "") -> Text:
    """Return a text without control characters; brackets in it are no markup."""
    return Text(clean(value), style)
