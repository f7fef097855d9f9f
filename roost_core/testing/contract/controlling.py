"""The contract of the verbs: what people do to work, in whatever state it is."""

from __future__ import annotations

from typing import Any, Final

from roost_core.backend.messages import EnqueueOutcome, Finish
from roost_core.backend.orders import OrderAnswer, OrderOutcome
from roost_core.backend.reports import Purged
from roost_core.models.control import Act, Verb
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    ACTOR,
    HOUR_MS,
    ContractTests,
    Harness,
    driven,
    error_of,
    unique,
)

_OUTCOMES: Final = {
    "D": OrderOutcome.DONE,
    "R": OrderOutcome.REQUESTED,
    "A": OrderOutcome.ALREADY,
    "U": OrderOutcome.UNFIT,
}
#: The verbs, and for each state what becomes of them: done, requested, already so, unfit.
VERBS: Final = (Verb.CANCEL, Verb.PAUSE, Verb.RESUME, Verb.RETRY, Verb.BURY, Verb.DROP)
TABLE: Final = {
    "queued": "DDAADU",
    "sleeping": "DDAADU",
    "retry_wait": "DDAADU",
    "blocked": "DDAADU",
    "paused": "DADUDU",
    "running": "RRAARU",
    "running cancel": "AUUUUU",
    "running pause": "RADARU",
    "running bury": "UUUUAU",
    "done": "UUUUUD",
    "failed": "UUUDAD",
    "cancelled": "AUUDUD",
}
#: The state after a verb that is done, if that is always the same.
_AFTER: Final = {
    Verb.CANCEL: State.CANCELLED,
    Verb.PAUSE: State.PAUSED,
    Verb.BURY: State.FAILED,
    Verb.RETRY: State.QUEUED,
}
_KINDS: Final = {
    Verb.CANCEL: "cancelled",
    Verb.PAUSE: "paused",
    Verb.RESUME: "resumed",
    Verb.RETRY: "retried",
    Verb.BURY: "dead_lettered",
    Verb.DROP: "dropped",
}


async def brought(kit: Harness, work_id: str, standing: str, **fields: Any) -> None:
    """Create work of an engine of its own, and bring it to a state, and its step to a wish."""
    fields.setdefault("engine", work_id)
    state, _, wish = standing.partition(" ")
    if state == "blocked":
        await kit.leased(f"{work_id}-holder", engine=fields["engine"], resources=(work_id,))
        await kit.created(work_id, resources=(work_id,), **fields)
        assert [] == await kit.claimed_ids(engines=[fields["engine"]])
    elif state in ("queued", "sleeping", "paused", "cancelled"):
        delay_ms = HOUR_MS if state == "sleeping" else 0
        await kit.created(work_id, delay_ms=delay_ms, **fields)
        if state == "paused":
            await kit.done(work_id, Verb.PAUSE)
        elif state == "cancelled":
            await kit.done(work_id, Verb.CANCEL)
    else:
        claim = await kit.leased(work_id, **fields)
        if state == "done":
            await kit.commit(claim, Finish())
        elif state != "running":
            await kit.fail(claim, permanent=state == "failed")
        elif wish:
            await kit.requested(work_id, Verb(wish))
    stored = await kit.read(work_id)
    assert (state, wish or None) == (stored.state.value, stored.wish)


class ControlContract(ContractTests):
    """Each verb does what fits the state, once, and says so."""

    @driven
    async def test_every_verb_in_every_state(self, kit: Harness) -> None:
        """The whole table, each cell with its event; what does not fit changes nothing."""
        for number, (standing, row) in enumerate(TABLE.items()):
            for verb, letter in zip(VERBS, row, strict=True):
                name = f"{number}-{verb.value}"
                await brought(kit, name, standing)
                await self._see(kit, name, verb, _OUTCOMES[letter])

    async def _see(self, kit: Harness, name: str, verb: Verb, outcome: OrderOutcome) -> None:
        before, kinds = await kit.read(name), await kit.kinds(name)
        answer = await kit.order(name, verb)
        assert outcome is answer.outcome, (before.state, before.wish, verb)
        after, kinds_after = await kit.ledger.read(name), await kit.kinds(name)
        if outcome is OrderOutcome.DONE:
            assert [*kinds, _KINDS[verb]] == kinds_after
            event = (await kit.ledger.events(work_id=name))[-1]
            data = {key: value for key, value in event.data.items() if key != "error"}
            by = {"who": "alice", "tool": "tests", "reason": "because"}
            assert {"from": before.state.value, **by} == data
            if verb is Verb.DROP:
                assert (None, before.state) == (after, answer.state)
                return
            assert after is not None
            state = _AFTER.get(verb) or (after.state if verb is Verb.RESUME else None)
            assert (state, None) == (after.state, after.wish)
            assert event.state is after.state
            assert after.act == Act(verb, ACTOR, event.at, event.at)
        elif outcome is OrderOutcome.REQUESTED:
            assert [*kinds, f"{verb.value}_requested"] == kinds_after
            assert after is not None
            event = (await kit.ledger.events(work_id=name))[-1]
            assert (verb, Act(verb, ACTOR, event.at)) == (after.wish, after.act)
        else:
            assert (before, kinds) == (after, kinds_after)
        assert after is not None
        assert (after.state, after.version, after.wish) == (
            answer.state,
            answer.version,
            answer.wish,
        )

    @driven
    async def test_unknown_work(self, kit: Harness) -> None:
        """No verb finds it."""
        for verb in VERBS:
            assert OrderAnswer(OrderOutcome.MISSING) == await kit.order("nobody", verb)

    @driven
    async def test_a_repeated_request_counts_once(self, kit: Harness) -> None:
        """The same request has the recorded answer, also after others have acted."""
        await kit.created("a")
        first = await kit.order("a", Verb.PAUSE, request_id="one")
        assert first == await kit.order("a", Verb.PAUSE, request_id="one")
        await kit.done("a", Verb.RESUME, request_id="two")
        await kit.claim_one("a")
        wished = await kit.order("a", Verb.CANCEL, request_id="three")
        assert first == await kit.order("a", Verb.PAUSE, request_id="one")
        assert wished == await kit.order("a", Verb.CANCEL, request_id="three")
        assert (OrderOutcome.REQUESTED, Verb.CANCEL) == (wished.outcome, wished.wish)
        kinds = ["enqueued", "paused", "resumed", "claimed", "cancel_requested"]
        assert kinds == await kit.kinds("a")

    @driven
    async def test_the_last_eight_requests_are_known(self, kit: Harness) -> None:
        """Older ones are forgotten; the newest are not."""
        await kit.created("a")
        for number in range(5):
            await kit.done("a", Verb.PAUSE, request_id=f"pause-{number}")
            await kit.done("a", Verb.RESUME, request_id=f"resume-{number}")
        await kit.order("a", Verb.PAUSE, request_id="pause-1")
        assert State.QUEUED == (await kit.read("a")).state
        answer = await kit.order("a", Verb.PAUSE, request_id="pause-0")
        assert (OrderOutcome.DONE, State.PAUSED) == (answer.outcome, answer.state)

    @driven
    async def test_what_a_preview_showed_may_have_changed(self, kit: Harness) -> None:
        """With another state or fence than expected nothing happens."""
        await kit.leased("a")
        for fields in ({"if_state": State.QUEUED}, {"if_fence": 0}):
            for verb in VERBS:
                answer = await kit.order("a", verb, **fields)
                assert OrderAnswer(OrderOutcome.CHANGED, State.RUNNING) == answer
        assert ["enqueued", "claimed"] == await kit.kinds("a")
        await kit.requested("a", Verb.CANCEL, if_state=State.RUNNING, if_fence=1)

    @driven
    async def test_another_life_of_the_id_is_not_meant(self, kit: Harness) -> None:
        """What is under the id now was never shown, however alike it looks."""
        await kit.created("a")
        life = (await kit.read("a")).created_ms
        await kit.done("a", Verb.CANCEL)
        await kit.done("a", Verb.RETRY, life=life)
        await kit.done("a", Verb.CANCEL, life=life)
        await kit.order("a", Verb.DROP, life=life)
        await kit.pass_time(2)
        await kit.created("a")
        for state, then in ((State.QUEUED, Verb.CANCEL), (State.CANCELLED, None)):
            assert state == (await kit.read("a")).state
            for verb in VERBS:
                answer = await kit.order("a", verb, life=life, if_state=state, if_fence=0)
                if verb is not Verb.DROP:  # that recognizes what it has done
                    assert OrderAnswer(OrderOutcome.MISSING) == answer
            assert state == (await kit.read("a")).state
            if then is not None:
                await kit.done("a", then)

    @driven
    async def test_paused_work_keeps_its_place(self, kit: Harness) -> None:
        """Resumed it runs when it would have, in front of those that came after it."""
        await kit.created("a", "b", "c")
        await kit.done("a", Verb.PAUSE)
        await kit.done("b", Verb.PAUSE)
        assert ["c"] == await kit.claimed_ids(limit=5)
        await kit.created("d")
        await kit.done("b", Verb.RESUME)
        await kit.done("a", Verb.RESUME)
        assert ["a", "b", "d"] == await kit.claimed_ids(limit=5)

    @driven
    async def test_paused_work_keeps_its_due_time(self, kit: Harness) -> None:
        """What sleeps still does until then, and what waits for a retry keeps its error."""
        await kit.created("a", delay_ms=HOUR_MS)
        await kit.fail(await kit.leased("b"))
        for name, state in (("a", State.SLEEPING), ("b", State.RETRY_WAIT)):
            before = await kit.read(name)
            paused = await kit.done(name, Verb.PAUSE)
            assert (State.PAUSED, before.due_ms) == (paused.state, paused.due_ms)
            assert [] == await kit.claimed_ids(limit=5)
            resumed = await kit.done(name, Verb.RESUME)
            assert (state, before.due_ms) == (resumed.state, resumed.due_ms)
            assert (before.attempts, before.error) == (resumed.attempts, resumed.error)
            await kit.age_due(name)
            await kit.claim_one(name)

    @driven
    async def test_what_was_due_meanwhile_is_due_at_once(self, kit: Harness) -> None:
        """A due time that has passed while it was paused is not waited for again."""
        await kit.created("a", delay_ms=50)
        await kit.done("a", Verb.PAUSE)
        await kit.pass_time(60)
        assert [] == await kit.claimed_ids()
        await kit.done("a", Verb.RESUME)
        await kit.claim_one("a")

    @driven
    async def test_the_deadline_runs_on_while_paused(self, kit: Harness) -> None:
        """Paused it stays; resumed, the next claim makes it a dead letter."""
        deadline_ms = await kit.server.now_ms() + 50
        await kit.created("a", deadline_ms=deadline_ms)
        await kit.done("a", Verb.PAUSE)
        await kit.pass_time(60)
        assert () == (await kit.claim()).dead_letters
        await kit.done("a", Verb.RESUME)
        assert ("a",) == (await kit.claim()).dead_letters
        assert "deadline" == error_of(await kit.read("a")).kind

    @driven
    async def test_who_leaves_a_line_lets_others_pass(self, kit: Harness) -> None:
        """X2: paused, cancelled or buried, it reserves nothing; resumed, it waits where it was."""
        for verb in (Verb.PAUSE, Verb.CANCEL, Verb.BURY):
            name = verb.value
            holder = await kit.leased(f"{name}-h", resources=(f"{name}-s",))
            await kit.created(f"{name}-b", resources=(f"{name}-r", f"{name}-s"))
            await kit.created(f"{name}-c", resources=(f"{name}-r",))
            assert [] == await kit.claimed_ids(limit=5)
            await kit.done(f"{name}-b", verb)
            claim = await kit.claim_one(f"{name}-c")
            if verb is Verb.PAUSE:
                resumed = await kit.done(f"{name}-b", Verb.RESUME)
                assert (State.QUEUED, None) == (resumed.state, resumed.blocked_on)
                assert [] == await kit.claimed_ids()
            await kit.commit(claim, Finish())
            await kit.commit(holder, Finish())
            expected = ["pause-b"] if verb is Verb.PAUSE else []
            assert expected == await kit.claimed_ids()

    @driven
    async def test_buried_work_says_who_and_why(self, kit: Harness) -> None:
        """It is a dead letter like others, and its error names them; a retry brings it back."""
        await kit.created("a")
        buried = await kit.done("a", Verb.BURY)
        error = error_of(buried)
        assert ("buried", "buried by alice: because") == (error.kind, error.message)
        data = (await kit.ledger.events(work_id="a"))[-1].data
        assert isinstance(data["error"], dict)
        assert "buried by alice: because" == data["error"]["message"]
        assert await kit.ledger.wait_terminal("a", 0) == buried

    @driven
    async def test_retry_begins_anew(self, kit: Harness) -> None:
        """Counters, error and suspicion are gone; the snapshot is where it begins."""
        claim = await kit.leased("a", max_attempts=2)
        await kit.commit(claim)
        await kit.fail(claim, permanent=True)
        failed = await kit.read("a")
        await kit.created("b")
        retried = await kit.done("a", Verb.RETRY)
        assert (State.QUEUED, 1, 1) == (retried.state, retried.version, retried.fence)
        assert (0, 0, None, None) == (
            retried.attempts,
            retried.steps_in_row,
            retried.error,
            retried.finished_ms,
        )
        assert (failed.snapshot, failed.item) == (retried.snapshot, retried.item)
        await kit.claim_one("b")
        again = await kit.claim_one("a")
        assert (1, 2, failed.snapshot) == (again.version, again.lease.fence, again.snapshot)
        assert State.RETRY_WAIT == (await kit.fail(again)).state

    @driven
    async def test_retry_with_new_limits(self, kit: Harness) -> None:
        """They stand in the record, and hold; a delay is kept."""
        await kit.fail(await kit.leased("a", max_attempts=1))
        deadline_ms = await kit.server.now_ms() + 2 * HOUR_MS
        retried = await kit.done(
            "a",
            Verb.RETRY,
            delay_ms=HOUR_MS,
            max_attempts=3,
            deadline_ms=deadline_ms,
            max_steps=7,
        )
        assert State.SLEEPING == retried.state
        assert retried.due_ms is not None
        assert retried.updated_ms + HOUR_MS == retried.due_ms
        limits = (retried.max_attempts, retried.deadline_ms, retried.max_steps)
        assert (3, deadline_ms, 7) == limits
        assert [] == await kit.claimed_ids()
        await kit.age_due("a")
        claim = await kit.claim_one("a")
        assert deadline_ms == claim.deadline_ms
        assert State.RETRY_WAIT == (await kit.fail(claim)).state

    @driven
    async def test_retry_after_the_deadline(self, kit: Harness) -> None:
        """Without a new one it would only be buried again: nothing happens."""
        await kit.created("a", deadline_ms=1)
        assert ("a",) == (await kit.claim()).dead_letters
        answer = await kit.order("a", Verb.RETRY)
        assert OrderAnswer(OrderOutcome.LATE, State.FAILED) == answer
        passed = await kit.order("a", Verb.RETRY, deadline_ms=2)
        assert OrderOutcome.LATE == passed.outcome
        await kit.done("a", Verb.RETRY, deadline_ms=await kit.server.now_ms() + HOUR_MS)
        await kit.claim_one("a")

    @driven
    async def test_dropped_work_is_gone(self, kit: Harness) -> None:
        """Nothing points to it any more; a repeat is recognized, and its id may live again."""
        await kit.created("a", idempotency_key="k")
        await kit.done("a", Verb.CANCEL)
        life = (await kit.read("a")).created_ms
        answer = await kit.order("a", Verb.DROP, life=life)
        gone = Purged("a", life)
        assert OrderAnswer(OrderOutcome.DONE, State.CANCELLED, purged=gone) == answer
        assert await kit.ledger.read("a") is None
        assert 0 == sum((await kit.ledger.counts()).values())
        again = OrderAnswer(OrderOutcome.ALREADY, purged=gone)
        assert again == await kit.order("a", Verb.DROP, life=life)
        assert [gone] == [*await kit.ledger.purge(HOUR_MS, None, 10)]
        await kit.pass_time(2)
        answered = await kit.enqueue("a", idempotency_key="k", payload=2)
        assert EnqueueOutcome.CREATED == answered.outcome
        assert again == await kit.order("a", Verb.DROP, life=life)
        await kit.ledger.purge(HOUR_MS, None, 0, [gone])
        missing = OrderAnswer(OrderOutcome.MISSING)
        assert missing == await kit.order("a", Verb.DROP, life=life)
        assert State.QUEUED == (await kit.read("a")).state

    @driven
    async def test_the_trail_has_what_people_did(self, kit: Harness) -> None:
        """However long it lives, the last verbs stay: nothing else pushes them out."""
        await kit.created("a", delay_ms=HOUR_MS)
        await kit.done("a", Verb.PAUSE)
        await kit.done("a", Verb.RESUME)
        await kit.age_due("a")
        claim = await kit.claim_one("a")
        for number in range(100):
            events = tuple(b'{"n":%d}' % (3 * number + one) for one in range(3))
            await kit.commit(claim, version=number, events=events)
        await kit.requested("a", Verb.BURY)
        await kit.interrupt(claim)
        trail = await kit.ledger.trail("a")
        assert trail is not None
        kinds = [event.kind for event in trail if event.kind != "emitted"]
        expected = ["enqueued", "paused", "resumed", "bury_requested", "dead_lettered", "leased"]
        assert expected == kinds
        told = {event.kind: event for event in await kit.ledger.events(work_id="a", limit=1000)}
        for event in trail:
            if event.kind not in ("emitted", "leased", "enqueued"):
                assert told[event.kind].event_id == event.event_id
                assert told[event.kind].state is event.state
                by = {key: event.data[key] for key in ("from", "who", "tool", "reason")}
                assert by == {key: told[event.kind].data[key] for key in by}

    @driven
    async def test_long_names_and_reasons(self, kit: Harness) -> None:
        """Whatever people are called, what they did is stored, and can be read."""
        await kit.created("a")
        for text in ('a "quoted" \\ reason', "ü" * 200, "\N{ROOSTER}" * 200):
            actor = type(ACTOR)("\N{ROOSTER}" * 100, "x" * 100, text)
            await kit.done("a", Verb.PAUSE, actor=actor, request_id=unique("r"))
            stored = await kit.done("a", Verb.RESUME, actor=actor, request_id=unique("r"))
            assert stored.act is not None
            assert stored.act.actor.who.startswith("\N{ROOSTER}")
        short = type(ACTOR)("bob", "x", 'a "quoted" \\ reason')
        stored = await kit.done("a", Verb.PAUSE, actor=short)
        assert stored.act is not None
        assert short == stored.act.actor
