"""The verbs in the model: what people do to work, and engines that they hold."""

from __future__ import annotations

from typing import Final

import attrs

from roost_core.backend.fitting import expected
from roost_core.backend.history import Rewind
from roost_core.backend.orders import Halt, Order, OrderAnswer, OrderOutcome
from roost_core.backend.reports import Purged
from roost_core.models.control import Actor, Verb
from roost_core.models.events import Event
from roost_core.models.work import TERMINAL_STATES, State
from roost_core.testing.model.wishes import FINAL, Wishes
from roost_core.testing.model.work import Done, Work
from roost_core.values import Json

#: Where only people, or its end, have put a work item.
_SETTLED: Final = frozenset({State.PAUSED, *TERMINAL_STATES})


class Controlling(Wishes):
    """Does what people want."""

    def order(self, now: int, work_id: str, order: Order) -> OrderAnswer:
        """Use a verb on a work item, once: a repeat gets the first answer."""
        work = self.works.get(work_id)
        if order.verb is Verb.DROP:
            return self._drop(now, work_id, work, order)
        if work is None or order.life not in (None, work.created_ms):
            return OrderAnswer(OrderOutcome.MISSING)
        before = work.answer_before(order.request_id)
        if before is not None:
            return before
        outcome = self._outcome(now, work, order)
        if outcome not in (OrderOutcome.DONE, OrderOutcome.REQUESTED):
            return OrderAnswer(outcome, work.state, work.version, work.wish)
        is_done = outcome is OrderOutcome.DONE
        event = self._done(now, work, order) if is_done else self._requested(now, work, order)
        answer = OrderAnswer(outcome, work.state, work.version, work.wish)
        confirmed = event if is_done else None
        done = Done(order.request_id, answer, order.verb, order.actor, event, confirmed)
        self._remember(work, done)
        return answer

    def _outcome(self, now: int, work: Work, order: Order) -> OrderOutcome:
        if order.if_state not in (None, work.state) or order.if_fence not in (None, work.fence):
            return OrderOutcome.CHANGED
        outcome = expected(order.verb, work.state, work.wish)
        if order.verb is Verb.RETRY and outcome is OrderOutcome.DONE:
            deadline_ms = order.deadline_ms or work.new.deadline_ms
            if deadline_ms is not None and deadline_ms <= now:
                return OrderOutcome.LATE
        return outcome

    def _requested(self, now: int, work: Work, order: Order) -> Event:
        work.wish = order.verb
        work.updated_ms = now
        kind = f"{order.verb.value}_requested"
        return self._note_act(work, now, kind, order.actor, work.state)

    def _done(self, now: int, work: Work, order: Order) -> Event:
        was = work.state
        if order.verb in FINAL:
            return self._end(work, now, order.verb, order.actor)
        if order.verb is Verb.PAUSE:
            return self._pause(work, now, order.actor)
        if order.verb is Verb.RESUME:
            self._resume(work, now)
            return self._note_act(work, now, "resumed", order.actor, was)
        self._retry(work, now, order)
        return self._note_act(work, now, "retried", order.actor, was)

    def rewind(self, now: int, work_id: str, rewind: Rewind) -> OrderAnswer:
        """Put a work item back to an earlier version, once: a repeat gets the first answer."""
        work, past = self.works.get(work_id), rewind.past
        if work is None or rewind.life not in (None, work.created_ms):
            return OrderAnswer(OrderOutcome.MISSING)

        def answer(outcome: OrderOutcome) -> OrderAnswer:
            return OrderAnswer(outcome, work.state, work.version, work.wish)

        before = work.answer_before(rewind.request_id)
        if before is not None:
            return before
        if not _is_as_seen(work, rewind):
            return answer(OrderOutcome.CHANGED)
        if work.state is State.RUNNING:
            return answer(OrderOutcome.UNFIT)
        deadline_ms = rewind.deadline_ms or work.new.deadline_ms
        if deadline_ms is not None and deadline_ms <= now:
            return answer(OrderOutcome.LATE)
        was, waits = work.state, work.resources if work.is_in_line else ()
        work.new = attrs.evolve(work.new, deadline_ms=deadline_ms)
        work.as_if_none_had_failed()
        work.put_back(past, now, self.history, rewind.mended)
        work.updated_ms = now
        if was is State.PAUSED:
            work.was = State.QUEUED
        else:
            work.finished_ms = None
            work.seq = next(self._seq)
            self._place(work, now, State.QUEUED)
        more: dict[str, Json] = {"to_version": past.from_version}
        event = self._note_act(work, now, "rewound", rewind.actor, was, more)
        if waits:
            self._pass_on(work, now)
        done = answer(OrderOutcome.DONE)
        self._remember(work, Done(rewind.request_id, done, None, rewind.actor, event, event))
        return done

    def _resume(self, work: Work, now: int) -> None:
        if work.state is State.RUNNING:
            work.wish = None
            work.is_last_step = work.new.engine in self.halted
            work.updated_ms = now
            return
        was, work.was = work.was, None
        is_due_later = was in (State.SLEEPING, State.RETRY_WAIT)
        state = was if was is not None and (is_due_later or was is State.WAITING) else State.QUEUED
        self._place(work, now, state, due_ms=work.due_ms if is_due_later else None)

    def _retry(self, work: Work, now: int, order: Order) -> None:
        limits = {
            name: value
            for name in ("max_attempts", "deadline_ms", "max_steps")
            if (value := getattr(order, name)) is not None
        }
        work.new = attrs.evolve(work.new, **limits)
        work.as_if_none_had_failed()
        work.finished_ms = None
        work.seq = next(self._seq)
        if order.delay_ms:
            due_ms = work.not_past_deadline(now + order.delay_ms)
            self._place(work, now, State.SLEEPING, due_ms=due_ms)
        else:
            self._place(work, now, State.QUEUED)

    def _drop(self, now: int, work_id: str, work: Work | None, order: Order) -> OrderAnswer:
        if work is None or order.life not in (None, work.created_ms):
            gone = Purged(work_id, order.life)
            if order.life is not None and gone in self._to_forget:
                return OrderAnswer(OrderOutcome.ALREADY, purged=gone)
            return OrderAnswer(OrderOutcome.MISSING)
        outcome = self._outcome(now, work, order)
        if outcome is not OrderOutcome.DONE:
            return OrderAnswer(outcome, work.state, work.version, work.wish)
        self._note_act(work, now, "dropped", order.actor, work.state)
        gone = self._remove(work)
        return OrderAnswer(outcome, work.state, work.version, purged=gone)

    def halt(self, now: int, engine: str, actor: Actor, request_id: str | None) -> bool:
        """Hold an engine: steps that run are the last of their leases. Return whether it is new."""
        if request_id in self._holds.get(engine, ()):
            return True
        if engine in self.halted:
            return False
        self.halted[engine] = Halt(engine, actor, now)
        self._note_hold(engine, now, "engine_held", State.PAUSED, actor, request_id)
        for work in self._in_states(State.RUNNING):
            if work.new.engine == engine and work.wish is None:
                work.is_last_step = True
        self._void_reservations(now)
        return True

    def unhalt(self, now: int, engine: str, actor: Actor, request_id: str | None) -> bool:
        """Stop holding an engine. Return whether it was held."""
        if request_id in self._holds.get(engine, ()):
            return True
        if self.halted.pop(engine, None) is None:
            return False
        self._note_hold(engine, now, "engine_released", State.QUEUED, actor, request_id)
        return True


def _is_as_seen(work: Work, rewind: Rewind) -> bool:
    if rewind.if_fence not in (None, work.fence) or rewind.past.version != work.version + 1:
        return False
    seen = rewind.if_state
    return seen in (None, work.state) or not _SETTLED & {seen, work.state}
