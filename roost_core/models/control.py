"""What people do to work items: the verbs, who used one, and why."""

from __future__ import annotations

import enum
from datetime import datetime

import attrs

from roost_core.models.checks import MAX_ACTOR, check_label
from roost_core.values import Value


class Verb(enum.StrEnum):
    """What a person can do to a work item."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    BURY = "bury"
    DROP = "drop"


def _name(_instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    check_label(value, attribute.name, MAX_ACTOR)


def _reason(_instance: object, _attribute: attrs.Attribute[str | None], value: object) -> None:
    if value is not None:
        check_label(value, "a reason")


@attrs.frozen(eq=False, repr=False)
class Actor(Value):
    """Who uses a verb, with what, and why. Nobody checks that it is true.

    :ivar who: a person or a program, such as ``alice@laptop``; at most 100 characters.
    :ivar tool: what they used, such as ``roost cancel`` or ``python``; at most 100 characters.
    :ivar reason: in their own words, at most 200 characters.
    """

    who: str = attrs.field(validator=_name)
    tool: str = attrs.field(validator=_name)
    reason: str | None = attrs.field(default=None, validator=_reason)


@attrs.frozen(eq=False, repr=False)
class Act(Value):
    """What was last done to a work item by a person.

    :ivar at: when it was requested, by the server's clock.
    :ivar confirmed_at: when it took effect; None while a running step still has to end.
    """

    verb: Verb
    actor: Actor
    at: datetime
    confirmed_at: datetime | None = None


@attrs.frozen(eq=False, repr=False)
class HeldEngine(Value):
    """An engine whose work no worker takes, until a person releases it.

    :ivar actor: who holds it, and why.
    :ivar since: by the server's clock.
    """

    engine: str
    actor: Actor
    since: datetime
