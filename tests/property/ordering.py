"""What people do in random histories: verbs on any work item, repeated or not, and held engines."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from roost_core.backend import Ledger, Order, OrderAnswer, OrderOutcome, Purged
from roost_core.models import Actor, State, Verb
from roost_core.testing.contract.kit import HOUR_MS, unique
from tests.property.sides import ENGINES, Sides
from tests.property.views import WORK_IDS

ACTORS = [Actor("alice", "tests"), Actor("bob", "tests", 'a "reason"; \\ ü')]
#: The few request ids that histories use again and again; None stands for a new one.
REQUEST_IDS = st.sampled_from([None, None, None, "r1", "r2", "r3"])
#: What a request leaves a work item in, if it is done at once.
DONE: dict[Verb, State] = {
    Verb.CANCEL: State.CANCELLED,
    Verb.PAUSE: State.PAUSED,
    Verb.BURY: State.FAILED,
}


class Ordering(Sides):
    """All verbs in any state; what was acknowledged is true from then on (V1)."""

    def __init__(self) -> None:
        super().__init__()
        #: Orders that were given: the work item, and the order as each side had it.
        self.given: list[tuple[str, list[Order]]] = []
        #: What of a drop may still have to be forgotten, as each side names it.
        self.dropped: list[list[Purged]] = []
        #: By work item: the verb whose end was asked for, and the lease under which.
        self.wished: dict[str, tuple[Verb, int]] = {}

    def there_is(self, *states: State) -> list[str]:
        """Return the ids of the work there is, in these states if any are named."""
        found = [(one, self.run(self.model.read(one))) for one in WORK_IDS]
        return [
            work_id
            for work_id, stored in found
            if stored is not None and (not states or stored.state in states)
        ]

    @rule(
        data=st.data(),
        verb=st.sampled_from(Verb),
        actor=st.sampled_from(ACTORS),
        request_id=REQUEST_IDS,
        condition=st.sampled_from([*[()] * 6, (State.RUNNING, None), (None, 1)]),
        delay_ms=st.sampled_from([0, 0, HOUR_MS]),
        limits=st.tuples(
            st.none() | st.integers(1, 3),
            st.sampled_from([None, None, 1, 9_000_000_000_000]),
            st.sampled_from([None, 0, 2]),
        ),
    )
    def order(
        self,
        data: st.DataObject,
        verb: Verb,
        actor: Actor,
        request_id: str | None,
        condition: tuple[State | None, int | None] | tuple[()],
        delay_ms: int,
        limits: tuple[int | None, int | None, int | None],
    ) -> None:
        """Use a verb on any work item; if there is none, on one that is not there."""
        work_id = data.draw(st.sampled_from(self.there_is() or WORK_IDS), label="work")
        name = request_id or unique("request")
        orders = []
        for stored in self.standing(work_id):
            life = stored.created_ms if stored is not None and verb is Verb.DROP else None
            expected = condition or (None, None)
            orders.append(Order(name, verb, actor, *expected, delay_ms, *limits, life))
        self.given.append((work_id, orders))
        self.give(work_id, orders)

    @precondition(lambda self: self.there_is(State.RUNNING))
    @rule(
        data=st.data(),
        verb=st.sampled_from([Verb.CANCEL, Verb.PAUSE, Verb.PAUSE, Verb.RESUME, Verb.BURY]),
        actor=st.sampled_from(ACTORS),
    )
    def want_of_a_running_step(self, data: st.DataObject, verb: Verb, actor: Actor) -> None:
        """Want something of a step that runs, or no longer."""
        work_id = data.draw(st.sampled_from(self.there_is(State.RUNNING)), label="work")
        self.give(work_id, [Order(unique("request"), verb, actor)] * len(self.sides))

    @precondition(lambda self: self.there_is(State.FAILED, State.CANCELLED, State.PAUSED))
    @rule(data=st.data(), actor=st.sampled_from(ACTORS))
    def bring_back(self, data: st.DataObject, actor: Actor) -> None:
        """Retry what has ended, and resume what is paused."""
        resting = self.there_is(State.FAILED, State.CANCELLED, State.PAUSED)
        work_id = data.draw(st.sampled_from(resting), label="work")
        verb = Verb.RESUME if work_id in self.there_is(State.PAUSED) else Verb.RETRY
        self.give(work_id, [Order(unique("request"), verb, actor)] * len(self.sides))

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def order_again(self, data: st.DataObject) -> None:
        """Repeat an order whose reply was lost, or that is long forgotten."""
        self.give(*data.draw(st.sampled_from(self.given), label="order"))

    def give(self, work_id: str, orders: list[Order]) -> None:
        """Give an order on every side, and see that all have the same answer."""
        before = self.standing(work_id)
        answers = self.ask(lambda index, side: side.order(work_id, orders[index]))
        for answer in answers[1:]:
            assert _view(answers[0]) == _view(answer)
        answer, after = answers[0], self.standing(work_id)
        if answer.outcome not in (OrderOutcome.DONE, OrderOutcome.REQUESTED):
            assert before == after
        elif before != after:
            self.see_done(work_id, orders[0], answer)
        if answer.purged is not None:
            self.dropped.append([one.purged for one in answers])

    def see_done(self, work_id: str, order: Order, answer: OrderAnswer) -> None:
        """See that what was done is so, and remember what was only asked for."""
        after = self.standing(work_id)[0]
        if order.verb is Verb.DROP:
            assert after is None
            return
        assert after is not None
        assert (after.state, after.version, after.wish) == (
            answer.state,
            answer.version,
            answer.wish,
        )
        assert after.act is not None
        assert (order.verb, order.actor) == (after.act.verb, after.act.actor)
        self.wished.pop(work_id, None)
        if answer.outcome is OrderOutcome.REQUESTED and order.verb is not Verb.PAUSE:
            self.wished[work_id] = (order.verb, after.version)
        elif answer.outcome is OrderOutcome.DONE:
            assert DONE.get(order.verb, after.state) is after.state

    @precondition(lambda self: self.dropped)
    @rule()
    def forget_what_was_dropped(self) -> None:
        """Say that what went with a drop is forgotten, as a client does."""
        gone = self.dropped.pop()

        async def request(index: int, side: Ledger) -> None:
            await side.purge(HOUR_MS, None, 0, [gone[index]])

        self.agreed(request)

    @rule(
        engine=st.sampled_from(ENGINES),
        actor=st.sampled_from(ACTORS),
        is_held=st.booleans(),
        request_id=REQUEST_IDS,
    )
    def hold_an_engine(
        self, engine: str, actor: Actor, is_held: bool, request_id: str | None
    ) -> None:
        """Hold an engine, or release it; who holds it stays the first. Repeated, nothing moves."""

        async def request(_index: int, side: Ledger) -> Any:
            before = await side.halts()
            is_new = await (side.halt if is_held else side.unhalt)(engine, actor, request_id)
            lists = (before, await side.halts())
            return is_new, *([(one.engine, one.actor) for one in held] for held in lists)

        is_new, before, after = self.agreed(request)
        if before != after or not is_new:
            # What it asked for is so. Else the request was answered before, and others came since.
            assert is_held == (engine in [one for one, _ in after])
        assert is_new or before == after
        assert not is_new or request_id is not None or before != after
        others = [[one for one in held if one[0] != engine] for held in (before, after)]
        assert others[0] == others[1]

    def wishes_come_true(self) -> None:
        """V1: what was to end has ended, or still is to, and no step of it was accepted since."""
        for work_id, (verb, version) in list(self.wished.items()):
            stored = self.standing(work_id)[0]
            if stored is None or stored.state is DONE[verb]:
                del self.wished[work_id]
            else:
                assert (State.RUNNING, verb) == (stored.state, stored.wish)
            assert stored is None or stored.version == version


def _view(answer: OrderAnswer) -> Any:
    purged = None if answer.purged is None else answer.purged.work_id
    return (answer.outcome, answer.state, answer.version, answer.wish, purged)
