"""What a verb has come to, in words for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from roost_core.backend.orders import OrderOutcome
from roost_core.models.control import Act, Verb
from roost_core.models.work import State

#: What a verb makes of work.
PAST: Final[Mapping[Verb, str]] = {
    Verb.CANCEL: "cancelled",
    Verb.PAUSE: "paused",
    Verb.RESUME: "resumed",
    Verb.RETRY: "retried",
    Verb.BURY: "buried",
    Verb.DROP: "dropped",
}
#: What running work is that has been asked for something.
UNDER_WAY: Final[Mapping[Verb, str]] = {
    Verb.CANCEL: "cancelling",
    Verb.PAUSE: "pausing, after this step",
    Verb.BURY: "burying",
}
#: Which work a verb fits.
_FITS: Final[Mapping[Verb, str]] = {
    Verb.CANCEL: "only work that has not ended can be cancelled",
    Verb.PAUSE: "only work that has not ended can be paused",
    Verb.RESUME: "only paused work can be resumed",
    Verb.RETRY: "only a dead letter or cancelled work can be retried",
    Verb.BURY: "only work that has not ended can be buried",
    Verb.DROP: "only work that has ended can be dropped",
}


def standing(state: State, wish: Verb | None, *, is_brief: bool = False) -> str:
    """Return a state for people: ``running (cancelling)``.

    :param is_brief: ``running (pausing)`` is enough.
    """
    if wish is None:
        return state.value
    under_way = UNDER_WAY.get(wish, wish.value)
    return f"{state.value} ({under_way.partition(',')[0] if is_brief else under_way})"


def told(act: Act) -> str:
    """Say what a person did last: ``cancelled by alice@laptop (roost cancel): reason``."""
    done = PAST[act.verb] if act.confirmed_at is not None else f"{act.verb.value} requested"
    because = "" if act.actor.reason is None else f": {act.actor.reason}"
    return f"{done} by {act.actor.who} ({act.actor.tool}){because}"


def said(verb: Verb, outcome: OrderOutcome, state: State | None, wish: Verb | None) -> str:
    """Say what has become of work for which a verb was used and fitted."""
    if outcome is OrderOutcome.CHANGED:
        now = "gone" if state is None else standing(state, wish)
        return f"left alone: it has changed, and is {now}"
    if outcome is OrderOutcome.ALREADY:
        return _already(verb, state, wish)
    if outcome is OrderOutcome.REQUESTED:
        under_way = UNDER_WAY[verb]
        return under_way if verb is Verb.PAUSE else f"{under_way}: its step is told to stop"
    if verb is Verb.RESUME and state is State.RUNNING:
        return "resumed: it does not pause after this step"
    if verb in (Verb.RESUME, Verb.RETRY) and state is not None:
        return f"{PAST[verb]}: it is {state.value}"
    return PAST[verb]


def _already(verb: Verb, state: State | None, wish: Verb | None) -> str:
    if verb in (Verb.RESUME, Verb.RETRY) and state is not None:
        return f"nothing to {verb.value}: it is {standing(state, wish)}"
    if wish is verb:
        return f"already {UNDER_WAY[verb]}"
    return f"already {PAST[verb]}" if state is not State.FAILED else "already a dead letter"


def late(work_id: str) -> str:
    """Say why work cannot be ready again whose deadline has passed, and what to do."""
    return f"{work_id}: its deadline has passed: give a new one with --deadline"


def unfit(work_id: str, verb: Verb, state: State, wish: Verb | None) -> str:
    """Say in one line why a verb does not fit, and what to do."""
    if wish in (Verb.CANCEL, Verb.BURY):
        done = f"it is {PAST[wish]} when its step has ended"
        then = "can be used" if verb is Verb.DROP else "puts it back"
        use = verb if verb is Verb.DROP else Verb.RETRY
        return f"{work_id} is {standing(state, wish)}: {done}; then `roost {use} {work_id}` {then}"
    fits = _FITS[verb]
    if state is State.PAUSED and verb is Verb.RETRY:
        fits = f"`roost resume {work_id}` lets it continue"
    elif verb is Verb.DROP:
        fits += f": `roost cancel {work_id}` first"
    elif state in (State.FAILED, State.CANCELLED) and verb in (Verb.PAUSE, Verb.RESUME):
        fits += f"; `roost retry {work_id}` puts it back"
    return f"{work_id} is {standing(state, wish)}: {fits}"
