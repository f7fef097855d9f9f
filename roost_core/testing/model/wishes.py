"""What people want of work in the model, and what happens to it when a lease ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from roost_core.backend.orders import burial
from roost_core.models.control import Actor, Verb
from roost_core.models.events import OF_ENGINE, Event
from roost_core.models.work import State
from roost_core.testing.model.places import Places
from roost_core.testing.model.trail import add_to_trail
from roost_core.testing.model.work import Done, Work, error_bytes
from roost_core.values import Json

#: How many of the last verbs are remembered for each work item, and for each engine.
MOST_DONE: Final = 8
#: The wishes that end the work, whatever the step brings.
FINAL: Final = frozenset({Verb.CANCEL, Verb.BURY})


class Wishes(Places):
    """Does what was wished of running steps, when their leases end."""

    def _note_act(
        self,
        work: Work,
        now: int,
        kind: str,
        actor: Actor,
        was: State,
        more: Mapping[str, Json] | None = None,
    ) -> Event:
        """Note what a person did: that has a part of the trail for itself."""
        data: dict[str, Json] = {**(more or {}), "from": was.value, **who_did(actor)}
        event = self._event(work, now, kind, data)
        add_to_trail(work, now, event, by_person=True)
        return event

    def _note_hold(
        self, engine: str, now: int, kind: str, state: State, actor: Actor, request_id: str | None
    ) -> None:
        """Note what a person did to an engine, and for whose request."""
        self._add_event(now, kind, OF_ENGINE, engine, 0, state, who_did(actor))
        if request_id is not None:
            self._holds[engine] = [request_id, *self._holds.get(engine, ())][:MOST_DONE]

    def _remember(self, work: Work, done: Done) -> None:
        work.done = [done, *work.done][:MOST_DONE]

    def _end(self, work: Work, now: int, verb: Verb, actor: Actor) -> Event:
        """Cancel it, or make it a dead letter, wherever it stands."""
        was = work.state
        if verb is Verb.CANCEL:
            self._place(work, now, State.CANCELLED)
            event = self._note_act(work, now, "cancelled", actor, was)
        else:
            message = burial(actor)
            work.error = error_bytes("buried", message)
            self._place(work, now, State.FAILED)
            error: dict[str, Json] = {"schema": 1, "kind": "buried", "message": message}
            event = self._note_act(work, now, "dead_lettered", actor, was, {"error": error})
        self._pass_on(work, now)
        return event

    def _pause(self, work: Work, now: int, actor: Actor) -> Event:
        """Let it rest where it stands, with its due time."""
        work.was = was = work.state
        self._place(work, now, State.PAUSED, due_ms=work.due_ms)
        event = self._note_act(work, now, "paused", actor, was)
        self._pass_on(work, now)
        return event

    def _obey(self, work: Work, now: int) -> None:
        """Do what was wished of a step whose lease ends; unless it has ended the work itself."""
        wish, work.wish = work.wish, None
        if wish is None or work.state.is_terminal:
            return
        newest = work.done[0]
        if wish is Verb.PAUSE:
            newest.confirmed = self._pause(work, now, newest.actor)
        else:
            newest.confirmed = self._end(work, now, wish, newest.actor)


def who_did(actor: Actor) -> dict[str, Json]:
    """Return who did something, as an event has it."""
    who: dict[str, Json] = {"who": actor.who, "tool": actor.tool}
    return who if actor.reason is None else {**who, "reason": actor.reason}
