"""What people ask a ledger to do, and its answers. Times as in ``messages``."""

from __future__ import annotations

import enum

import attrs

from roost_core.backend.reports import Purged
from roost_core.models.checks import WORD, matching
from roost_core.models.control import Actor, Verb
from roost_core.models.work import State
from roost_core.values import Value


@attrs.frozen(eq=False, repr=False)
class Order(Value):
    """A verb for one work item.

    ``request_id`` identifies this order, as one word: repeating it returns the recorded answer, so
    that a lost reply does not make it count twice. With ``if_state`` and
    ``if_fence`` nothing happens unless the work item still has both: what a preview showed may have
    changed. ``life`` is when the work item was created, in milliseconds; one with the same id that
    was created at another time is another, and the one that is meant is missing. So a repeat of a
    drop is recognized after the record is gone.

    Only a retry has the rest: ``delay_ms`` is how long to wait before it is ready;
    ``max_attempts``, ``deadline_ms`` and ``max_steps`` are new limits, None for those that it has.

    :raises InvalidInput: the request id is not one word.
    """

    request_id: str = attrs.field(validator=matching(WORD, "request id"))
    verb: Verb
    actor: Actor
    if_state: State | None = None
    if_fence: int | None = None
    delay_ms: int = 0
    max_attempts: int | None = None
    deadline_ms: int | None = None
    max_steps: int | None = None
    life: int | None = None


class OrderOutcome(enum.StrEnum):
    """The outcome of an :class:`Order`."""

    DONE = "done"
    REQUESTED = "requested"  #: it takes effect when the running step ends, or its lease does
    ALREADY = "already"  #: it was so before; nothing has happened
    UNFIT = "unfit"  #: the verb does not fit the state; nothing has happened
    LATE = "late"  #: a retry of work whose deadline has passed, without a new one
    CHANGED = "changed"  #: the work item is not as the order expected it
    MISSING = "missing"  #: no work item has this id
    NEWER = "newer"  #: a newer Roost wrote it, and can do it
    CORRUPT = "corrupt"  #: its record does not decode; it can only be dropped


@attrs.frozen(eq=False, repr=False)
class OrderAnswer(Value):
    """The answer to an :class:`Order`, and where the work item stands after it.

    ``wish`` is what its running step was asked for and has not done yet. ``purged`` is set after a
    drop: what is to be forgotten.
    """

    outcome: OrderOutcome
    state: State | None = None
    version: int = 0
    wish: Verb | None = None
    purged: Purged | None = None


@attrs.frozen(eq=False, repr=False)
class Halt(Value):
    """An engine that is held: no worker takes its work."""

    engine: str
    actor: Actor
    since_ms: int


def burial(actor: Actor) -> str:
    """Return the message of the error of what a person has buried."""
    because = "" if actor.reason is None else f": {actor.reason}"
    return f"buried by {actor.who}{because}"
