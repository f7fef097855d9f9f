"""The contract of what people want of running steps: asked for, and done when the lease ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from roost_core.backend.messages import Ack, Claim, Finish, GoOn, Next, Sleep, Yield
from roost_core.errors import LeaseLost
from roost_core.models.control import Verb
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    HOUR_MS,
    MINUTE_MS,
    ContractTests,
    Harness,
    driven,
    error_of,
    unique,
)

_STEPS: Final[tuple[Next, ...]] = (GoOn(MINUTE_MS), Yield(), Sleep(HOUR_MS), Finish())
_ENDS: Final = {Verb.CANCEL: State.CANCELLED, Verb.BURY: State.FAILED}
_KINDS: Final = {Verb.CANCEL: "cancelled", Verb.BURY: "dead_lettered"}
#: What a lease's holder may do to end it.
_Ending = Callable[[Harness, Claim, str], Awaitable[Ack]]


async def _commit(kit: Harness, claim: Claim, commit_id: str) -> Ack:
    return await kit.commit(claim, Finish(), commit_id=commit_id, events=(b"{}",))


async def _go_on(kit: Harness, claim: Claim, commit_id: str) -> Ack:
    return await kit.commit(claim, commit_id=commit_id)


async def _fail(kit: Harness, claim: Claim, commit_id: str) -> Ack:
    return await kit.fail(claim, commit_id=commit_id)


async def _interrupt(kit: Harness, claim: Claim, commit_id: str) -> Ack:
    return await kit.interrupt(claim, commit_id=commit_id)


_ENDINGS: Final[tuple[_Ending, ...]] = (_commit, _go_on, _fail, _interrupt)


class WishContract(ContractTests):
    """V1: what was acknowledged becomes true, and until then it is only requested."""

    @driven
    async def test_nothing_is_accepted_of_what_is_to_end(self, kit: Harness) -> None:
        """Whatever the holder says: no version, no attempt, no event; its repeat is known."""
        for number, ending in enumerate(_ENDINGS):
            for verb, state in _ENDS.items():
                name = f"{number}-{verb.value}"
                claim = await kit.leased(name)
                await kit.commit(claim)
                before = await kit.read(name)
                await kit.requested(name, verb)
                ack = await ending(kit, claim, "last")
                assert (state, 1, 0, None) == (ack.state, ack.version, ack.attempts, ack.due_ms)
                after = await kit.read(name)
                assert (state, None, 1, before.snapshot) == (
                    after.state,
                    after.wish,
                    after.version,
                    after.snapshot,
                )
                assert after.act is not None
                assert after.act.confirmed_at is not None
                kinds = ["enqueued", "claimed", "committed", f"{verb.value}_requested"]
                assert [*kinds, _KINDS[verb]] == await kit.kinds(name)
                assert ack == await ending(kit, claim, "last")
                await kit.see_refused(claim)
                assert await kit.ledger.wait_terminal(name, 0) == after

    @driven
    async def test_a_repeated_commit_is_still_answered(self, kit: Harness) -> None:
        """C4: what was accepted before the request stays so."""
        claim = await kit.leased("a")
        ack = await kit.commit(claim, commit_id="one")
        await kit.requested("a", Verb.CANCEL)
        assert ack == await kit.commit(claim, commit_id="one")
        assert (State.RUNNING, Verb.CANCEL) == ((await kit.read("a")).state, Verb.CANCEL)
        assert State.CANCELLED == (await kit.commit(claim, version=1)).state

    @driven
    async def test_a_stale_step_ends_it_too(self, kit: Harness) -> None:
        """A commit on top of another version: nothing of it counts in any case."""
        claim = await kit.leased("a")
        await kit.requested("a", Verb.CANCEL)
        assert State.CANCELLED == (await kit.commit(claim, version=7)).state

    @driven
    async def test_a_lease_that_runs_out(self, kit: Harness) -> None:
        """The next claim ends the work, and blames nobody; a dead letter is told of."""
        for verb, state in _ENDS.items():
            name = verb.value
            claim = await kit.leased(name)
            await kit.requested(name, verb)
            await kit.age_lease(name)
            batch = await kit.claim(worker_id="worker-2")
            assert () == batch.claims
            assert ((name,) if verb is Verb.BURY else ()) == batch.dead_letters
            stored = await kit.read(name)
            assert (state, 0, None) == (stored.state, stored.attempts, stored.wish)
            kinds = ["enqueued", "claimed", f"{name}_requested", _KINDS[verb]]
            assert kinds == await kit.kinds(name)
            await kit.see_refused(claim)
            retried = await kit.order(name, Verb.RETRY)
            assert State.QUEUED == retried.state
            await kit.done(name, Verb.CANCEL)

    @driven
    async def test_resources_are_kept_until_the_end(self, kit: Harness) -> None:
        """X1: who waits for them runs when the step has let go, and not before."""
        for verb in _ENDS:
            claim = await kit.leased(f"{verb.value}-a", resources=(verb.value,))
            await kit.created(f"{verb.value}-b", resources=(verb.value,))
            await kit.requested(f"{verb.value}-a", verb)
            assert [] == await kit.claimed_ids()
            await kit.commit(claim)
            await kit.claim_one(f"{verb.value}-b")

    @driven
    async def test_renewals_say_what_is_wanted(self, kit: Harness) -> None:
        """Leases to be ended are named, and kept; a pause is none of them."""
        claims = {
            verb: await kit.leased(verb.value) for verb in (Verb.CANCEL, Verb.BURY, Verb.PAUSE)
        }
        other = await kit.leased("other")
        for verb in claims:
            await kit.requested(verb.value, verb)
        renewed = await kit.renewed(*claims.values(), other, ttl_ms=HOUR_MS)
        wanted = {claims[verb].lease.token for verb in (Verb.CANCEL, Verb.BURY)}
        assert ((), wanted) == (renewed.lost, {*renewed.wanted})
        stored = await kit.read("cancel")
        assert stored.expires_ms is not None
        assert stored.expires_ms > await kit.server.now_ms() + MINUTE_MS
        await kit.commit(claims[Verb.CANCEL])
        renewed = await kit.renewed(claims[Verb.CANCEL])
        assert ((claims[Verb.CANCEL].lease.token,), ()) == (renewed.lost, renewed.wanted)

    @driven
    async def test_an_accepted_step_pauses(self, kit: Harness) -> None:
        """The step counts; then the work stands where it would, but paused; or it is done."""
        states = (State.QUEUED, State.QUEUED, State.SLEEPING)
        for number, (then, was) in enumerate(zip(_STEPS, states, strict=False)):
            name = f"a-{number}"
            claim = await kit.leased(name)
            await kit.requested(name, Verb.PAUSE)
            ack = await kit.commit(claim, then, commit_id="one")
            assert (State.PAUSED, 1) == (ack.state, ack.version)
            assert ack == await kit.commit(claim, then, commit_id="one")
            stored = await kit.read(name)
            assert (State.PAUSED, None) == (stored.state, stored.wish)
            assert (was is State.SLEEPING) == (stored.due_ms is not None)
            assert ack.due_ms == stored.due_ms
            kinds = ["enqueued", "claimed", "pause_requested", "committed", "paused"]
            assert kinds == await kit.kinds(name)
            committed, paused = (await kit.ledger.events(work_id=name))[-2:]
            assert (was, State.PAUSED, was) == (
                committed.state,
                paused.state,
                paused.data["from"],
            )
            assert [] == await kit.claimed_ids()
            resumed = await kit.done(name, Verb.RESUME)
            assert (was, stored.due_ms) == (resumed.state, resumed.due_ms)
            await kit.done(name, Verb.PAUSE)

    @driven
    async def test_a_last_step_is_the_end(self, kit: Harness) -> None:
        """What is done cannot be paused, and what took too many steps is a dead letter."""
        claim = await kit.leased("a")
        await kit.requested("a", Verb.PAUSE)
        assert State.DONE == (await kit.commit(claim, Finish())).state
        stored = await kit.read("a")
        assert (State.DONE, None) == (stored.state, stored.wish)
        assert stored.act is not None
        assert stored.act.confirmed_at is None
        claim = await kit.leased("b", max_steps=1)
        await kit.requested("b", Verb.PAUSE)
        assert State.FAILED == (await kit.commit(claim)).state
        assert "steps" == error_of(await kit.read("b")).kind

    @driven
    async def test_a_failed_attempt_pauses(self, kit: Harness) -> None:
        """It counts, and its due time is kept; the last one is a dead letter."""
        claim = await kit.leased("a", max_attempts=2)
        await kit.requested("a", Verb.PAUSE)
        ack = await kit.fail(claim)
        stored = await kit.read("a")
        assert (State.PAUSED, 1, stored.due_ms) == (ack.state, ack.attempts, ack.due_ms)
        assert "exception" == error_of(stored).kind
        resumed = await kit.done("a", Verb.RESUME)
        assert (State.RETRY_WAIT, stored.due_ms) == (resumed.state, resumed.due_ms)
        await kit.age_due("a")
        claim = await kit.claim_one("a")
        await kit.requested("a", Verb.PAUSE)
        assert State.FAILED == (await kit.fail(claim)).state
        assert None is (await kit.read("a")).wish

    @driven
    async def test_what_is_given_back_pauses(self, kit: Harness) -> None:
        """An interrupt, now or for later, and a lease that runs out."""
        for delay_ms, was in ((None, State.QUEUED), (HOUR_MS, State.SLEEPING)):
            name = was.value
            claim = await kit.leased(name)
            await kit.requested(name, Verb.PAUSE)
            assert State.PAUSED == (await kit.interrupt(claim, delay_ms)).state
            assert was == (await kit.done(name, Verb.RESUME)).state
            await kit.done(name, Verb.PAUSE)
        await kit.leased("a")
        await kit.requested("a", Verb.PAUSE)
        await kit.age_lease("a")
        assert [] == await kit.claimed_ids(worker_id="worker-2")
        assert State.PAUSED == (await kit.read("a")).state
        kinds = ["enqueued", "claimed", "pause_requested", "recovered", "paused"]
        assert kinds == await kit.kinds("a")
        await kit.done("a", Verb.RESUME)
        await kit.claim_one("a")

    @driven
    async def test_resources_of_what_is_paused_are_free(self, kit: Harness) -> None:
        """X2: whoever waits for them runs while the work rests."""
        claim = await kit.leased("a", resources=("r",))
        await kit.created("b", resources=("r",))
        assert [] == await kit.claimed_ids()
        await kit.requested("a", Verb.PAUSE)
        await kit.commit(claim)
        claim = await kit.claim_one("b")
        await kit.done("a", Verb.RESUME)
        assert [] == await kit.claimed_ids()
        await kit.commit(claim, Finish())
        await kit.claim_one("a")

    @driven
    async def test_a_pause_is_taken_back(self, kit: Harness) -> None:
        """In time the lease continues as if nothing had been; or a cancellation takes its place."""
        claim = await kit.leased("a")
        await kit.requested("a", Verb.PAUSE)
        await kit.done("a", Verb.RESUME)
        assert State.RUNNING == (await kit.commit(claim)).state
        await kit.requested("a", Verb.PAUSE)
        await kit.requested("a", Verb.CANCEL)
        assert State.CANCELLED == (await kit.commit(claim, version=1)).state
        kinds = ["pause_requested", "resumed", "committed", "pause_requested", "cancel_requested"]
        assert [*kinds, "cancelled"] == (await kit.kinds("a"))[2:]

    @driven
    async def test_the_trail_tells_both(self, kit: Harness) -> None:
        """When it was asked for, and when it was so; the lease names what ended it."""
        claim = await kit.leased("a")
        await kit.requested("a", Verb.PAUSE)
        await kit.commit(claim)
        await kit.done("a", Verb.RESUME)
        claim = await kit.claim_one("a")
        await kit.requested("a", Verb.CANCEL)
        await kit.interrupt(claim)
        trail = await kit.ledger.trail("a")
        assert trail is not None
        kinds = ["enqueued", "pause_requested", "leased", "paused", "resumed", "cancel_requested"]
        assert [*kinds, "cancelled", "leased"] == [event.kind for event in trail]
        endings = [event.data["ended"] for event in trail if event.kind == "leased"]
        assert ["committed", "cancelled"] == endings
        assert [1, 1] == [event.version for event in trail if event.kind in ("paused", "cancelled")]

    @driven
    async def test_the_dead_have_no_say(self, kit: Harness) -> None:
        """A holder that is refused before is refused after, whatever was wished in between."""
        claim = await kit.leased("a")
        await kit.age_lease("a")
        await kit.claim_one("a", worker_id="worker-2")
        await kit.requested("a", Verb.CANCEL)
        with pytest.raises(LeaseLost):
            await kit.interrupt(claim, commit_id=unique("commit"))
        assert (State.RUNNING, Verb.CANCEL) == (
            (await kit.read("a")).state,
            (await kit.read("a")).wish,
        )
