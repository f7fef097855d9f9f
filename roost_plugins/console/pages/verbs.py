"""Verbs on work: what a form says becomes an order, and what that comes to a line for the reader.

An order carries the id that its form was made with, so that a second click, or the same form sent
again after a lost answer, counts once.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping
from typing import Any, Final

import attrs

from roost_core import Roost
from roost_core.backend import Order, OrderOutcome
from roost_core.backend.fitting import expected
from roost_core.cli.arguments import iso_time, relative_seconds
from roost_core.client.control import VerbResult, new_order
from roost_core.errors import BackendUnavailable, InvalidInput, RoostError
from roost_core.models import State, Verb, WorkMeta
from roost_core.shown import verbs
from roost_plugins.console.notes import Told

TOOL: Final = "console"
#: What is destroyed, or ended: it is asked for first, and shown in red.
IS_BAD: Final = frozenset({Verb.CANCEL, Verb.BURY, Verb.DROP})
#: What these find has ended, and stays as it is unless somebody acts: what was seen is meant.
_AS_SEEN: Final = frozenset({Verb.RETRY, Verb.DROP})


@attrs.frozen
class Choice:
    """One verb for one work item.

    :ivar fits: whether it would do something.
    :ivar why: if not, why.
    :ivar command: what does the same.
    :ivar fields: what its form sends along.
    """

    verb: Verb
    fits: bool
    why: str
    command: str
    fields: Mapping[str, str]

    @property
    def is_bad(self) -> bool:
        """Whether it ends or removes something."""
        return self.verb in IS_BAD


def choices(meta: WorkMeta, *, problem: str | None = None, is_newer: bool = False) -> list[Choice]:
    """Return every verb for a work item.

    :param problem: why its record does not decode, if it does not.
    """
    return [_choice(verb, meta, problem, is_newer) for verb in Verb]


def _choice(verb: Verb, meta: WorkMeta, problem: str | None, is_newer: bool) -> Choice:
    outcome = expected(verb, meta.state, meta.wish)
    why = ""
    if is_newer:
        why = "a newer Roost wrote it, and can do it"
    elif problem is not None:
        why = "" if verb is Verb.DROP else "its record does not decode: it can only be dropped"
    elif outcome is OrderOutcome.UNFIT:
        why = verbs.unfit(meta.work_id, verb, meta.state, meta.wish).partition(": ")[2]
    elif outcome is OrderOutcome.ALREADY:
        why = verbs.said(verb, outcome, meta.state, meta.wish)
    fields = {"order": secrets.token_hex(8)}
    created = int(meta.created_at.timestamp() * 1000)
    if created > 0:
        fields["life"] = str(created)
    if verb in _AS_SEEN and problem is None:
        fields |= {"state": meta.state.value, "fence": str(meta.fence)}
    command = f"roost {verb.value} {shlex.quote(meta.work_id)}"
    return Choice(verb, not why, why, command, fields)


def verb_of(text: str) -> Verb:
    """Return the verb of a URL.

    :raises InvalidInput: there is none of that name.
    """
    try:
        return Verb(text)
    except ValueError:
        raise InvalidInput(f"there is no verb {text!r:.40}: {', '.join(Verb)}") from None


async def order_of(roost: Roost, verb: Verb, form: Mapping[str, str]) -> Order:
    """Return the order that a form means.

    :raises InvalidInput: a field cannot be read; the text says which.
    """
    control = roost.controlling
    actor = control.actor(None, form.get("reason", "").strip() or None, TOOL)
    order = new_order(verb, actor)
    if verb is Verb.RETRY:
        order = await control.retrying(actor, **limits_of(form))
    known: dict[str, Any] = {}
    if form.get("order"):
        known["request_id"] = form["order"]
    if form.get("life"):
        known["life"] = _number(form, "life")
    if form.get("fence"):
        known["if_fence"] = _number(form, "fence")
    if form.get("state"):
        known["if_state"] = _state(form["state"])
    return attrs.evolve(order, **known)


def limits_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return what a form says of a retry, as the client's ``retry`` takes it.

    :raises InvalidInput: a field cannot be read; the text says which.
    """
    found: dict[str, Any] = {}
    for name, argument in (("attempts", "max_attempts"), ("max_steps", "max_steps")):
        if form.get(name, "").strip():
            found[argument] = _number(form, name)
    delay = form.get("delay", "").strip()
    if delay:
        found["delay_seconds"] = seconds_of(delay, "the delay")
    deadline = form.get("deadline", "").strip()
    if deadline:
        seconds = relative_seconds(deadline)
        try:
            key = "deadline_at" if seconds is None else "deadline_seconds"
            found[key] = iso_time(deadline) if seconds is None else seconds
        except ValueError as error:
            raise InvalidInput(f"the deadline {error}") from None
    return found


def _number(form: Mapping[str, str], name: str) -> int:
    text = form[name].strip()
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise InvalidInput(f"{name.replace('_', ' ')}: {text!r:.40} is not a whole number")
    return int(text)


def seconds_of(text: str, what: str) -> float:
    """Return how long a field says something is to take, in seconds.

    :param what: what the field is called, with an article.
    :raises InvalidInput: it cannot be read.
    """
    found = relative_seconds(text)
    try:
        return float(text) if found is None else found
    except ValueError:
        raise InvalidInput(
            f"{what}: {text!r:.40} is neither seconds nor like 90s, 10m, 2h or 3d"
        ) from None


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise InvalidInput(f"unknown state {text!r:.40}") from None


_TONES: Final = {
    OrderOutcome.DONE: "good",
    OrderOutcome.REQUESTED: "accent",
    OrderOutcome.ALREADY: "accent",
    OrderOutcome.CHANGED: "warn",
}


def told(result: VerbResult) -> Told:
    """Say what came of a verb."""
    text = f"{result.work_id}: {result}"
    if result.left is not None:
        text += f"; a worker removes later what is left of it: {result.left}"
    return Told(_TONES.get(result.outcome, "warn"), text)


def unanswered(error: BackendUnavailable) -> Told:
    """Say that nobody knows what came of it."""
    said = "There was no answer, so it is not known whether it was done: look at the work once the"
    return Told("bad", f"{said} server is back. ({error})")


def refused(error: RoostError) -> Told:
    """Say why nothing came of it."""
    return Told("warn", f"Nothing was done. {error}")
