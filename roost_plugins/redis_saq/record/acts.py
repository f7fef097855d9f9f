"""What people did to a work item, as its record keeps it; ``lua/lib/acts.lua`` has the layout."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from roost_core.codec.strict_json import parse
from roost_core.codec.times import from_milliseconds
from roost_core.errors import InvalidInput
from roost_core.models import Act, Actor, State, Verb
from roost_core.values import Value
from roost_plugins.redis_saq.record.answers import time_of
from roost_plugins.redis_saq.record.kinds import STATES

#: The longest text of an actor, in bytes; a longer one is cut.
_MOST_BYTES: Final = 600
#: Who it was is not known.
_NOBODY: Final = Actor("?", "?")
_ACT: Final = re.compile(
    rb"(\S+) ([a-z]+) ([a-z]+) ([a-z_]+) ([a-z_]+) (\d{1,15}) (\d{1,15}-\d{1,20}) (\S+) (\d{1,15})"
    rb" (\S+) (\{.+\})"
)
_CONFIRMED: Final = re.compile(rb"\d{1,15}-\d{1,20}")
#: The verbs that leave a line.
_VERBS: Final = {one.value.encode(): one for one in Verb if one is not Verb.DROP}


@attrs.frozen(eq=False, repr=False)
class StoredAct(Value):
    """One line: a verb that was used, and what became of it.

    ``state`` and ``version`` are those after the request, ``was`` and ``confirmed_version`` those
    when it took effect: before and after. Without a ``confirmed_id`` it has not.
    """

    verb: Verb
    was: State
    state: State
    version: int
    event_id: str
    confirmed_id: str | None
    confirmed_version: int
    due_ms: int | None
    actor: Actor

    @property
    def as_model(self) -> Act:
        """What people are shown of it."""
        confirmed = self.confirmed_id
        at = None if confirmed is None else time_in(confirmed)
        return Act(self.verb, self.actor, time_in(self.event_id), at)


def time_in(event_id: str) -> datetime:
    """Return when an event was, by its id."""
    return from_milliseconds(time_of(int(event_id.partition("-")[0])))


def acts_in(tail: bytes | None) -> Sequence[StoredAct]:
    """Read the acts in a record's tail, newest first; lines that are none are left out."""
    lines = (tail or b"").split(b"\n")[1:]
    return [act for line in lines if (act := _act(line)) is not None]


def _act(line: bytes) -> StoredAct | None:
    found = _ACT.fullmatch(line)
    if found is None:
        return None
    _, _, verb, was, state, version, at, confirmed, confirmed_version, due, who = found.groups()
    if verb not in _VERBS or was not in STATES or state not in STATES:
        return None
    return StoredAct(
        verb=_VERBS[verb],
        was=STATES[was],
        state=STATES[state],
        version=int(version),
        event_id=at.decode(),
        confirmed_id=confirmed.decode() if _CONFIRMED.fullmatch(confirmed) else None,
        confirmed_version=int(confirmed_version),
        due_ms=time_of(int(due)) if due.isdigit() and len(due) <= 15 else None,
        actor=actor_of(who),
    )


def actor_of(raw: bytes) -> Actor:
    """Read who it was; what is damaged is nobody."""
    try:
        plain: Any = parse(raw)
        return Actor(plain["who"], plain["tool"], plain.get("reason"))
    except (ValueError, KeyError, TypeError, AttributeError, InvalidInput):
        return _NOBODY


def actor_json(actor: Actor) -> str:
    """Write who it was in one line of bounded length; the reason is cut first."""
    found = {"who": actor.who, "tool": actor.tool, "reason": actor.reason}
    if actor.reason is None:
        del found["reason"]
    for name in ("reason", "tool", "who"):
        while (excess := len(_written(found).encode()) - _MOST_BYTES) > 0 and len(
            text := found.get(name) or ""
        ) > 1:
            # No character has more than four bytes, and the mark at the end has three.
            kept = max(0, len(text) - 1 - max(1, excess // 4))
            found[name] = text[:kept] + "…"
            if kept == 0:
                break
    return _written(found)


def _written(found: dict[str, str | None]) -> str:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))
