"""What people do to work on a real server: what it costs, what damages it, and older workers."""

from __future__ import annotations

import asyncio
import contextlib
import re

import pytest

from roost_core.backend import Finish, GoOn, OrderAnswer, OrderOutcome, Sleep, Yield
from roost_core.errors import LeaseLost
from roost_core.models import Actor, State, Verb
from roost_core.testing.contract.kit import ACTOR, HOUR_MS, WORKER, error_of
from tests.contract.harnesses import RedisHarness
from tests.docs.pages import page
from tests.integration.redis_bench import (
    Counting,
    Crew,
    all_done,
    calls,
    eventually,
    idle,
    queue,
    settings_for,
)

ENDS = {Verb.CANCEL: State.CANCELLED, Verb.BURY: State.FAILED, Verb.PAUSE: State.PAUSED}
#: A record's newest act may have at most this many bytes, and its tail eight times that.
MOST_BYTES = 800


@contextlib.asynccontextmanager
async def driven(server, **settings):
    """Give an empty queue."""
    kit = RedisHarness(server.url, **settings)
    await kit.open()
    try:
        yield kit
    finally:
        await kit.close()


async def record(kit, work_id):
    """Return a record as its lines."""
    raw = await kit.ledger.client.hget(kit.ledger.keys.key("work"), work_id)
    return raw.split(b"\n")


async def set_record(kit, work_id, lines):
    """Store a record behind the ledger's back."""
    await kit.ledger.client.hset(kit.ledger.keys.key("work"), work_id, b"\n".join(lines))


async def set_wish(kit, work_id, wish):
    """Give a record another wish, as its last word but one of the first line."""
    lines = await record(kit, work_id)
    before, _, anchor = lines[0].rsplit(b" ", 2)
    lines[0] = b" ".join([before, wish, anchor])
    await set_record(kit, work_id, lines)


async def given_back_by_an_older_roost(kit, work_id, verb, state):
    """Ask for something of a running step, and end its lease like one who does not know of it."""
    claim = await kit.leased(work_id)
    await kit.requested(work_id, verb)
    await set_wish(kit, work_id, b"-")
    if state is State.RETRY_WAIT:
        await kit.fail(claim)
    else:
        following = {State.QUEUED: Yield(), State.SLEEPING: Sleep(HOUR_MS), State.DONE: Finish()}
        await kit.commit(claim, following[state])
    await set_wish(kit, work_id, verb.value.encode())
    assert state is (await kit.read(work_id)).state


@pytest.mark.parametrize("state", [State.QUEUED, State.SLEEPING, State.RETRY_WAIT])
@pytest.mark.parametrize("verb", ENDS)
async def test_what_an_older_worker_gave_back(redis_server, verb, state):
    """U1: the next claim that meets it does what was asked for, and leases nothing."""
    async with driven(redis_server) as kit:
        await given_back_by_an_older_roost(kit, "a", verb, state)
        assert verb is (await kit.read("a")).wish
        if state is not State.QUEUED:
            await kit.age_due("a")
        batch = await kit.claim()
        assert () == batch.claims
        assert (("a",) if verb is Verb.BURY else ()) == batch.dead_letters
        stored = await kit.read("a")
        assert (ENDS[verb], None) == (stored.state, stored.wish)
        assert stored.act.confirmed_at is not None
        if verb is Verb.PAUSE:
            assert state is (await kit.done("a", Verb.RESUME)).state


@pytest.mark.parametrize("state", [State.QUEUED, State.SLEEPING, State.RETRY_WAIT])
@pytest.mark.parametrize("verb", ENDS)
async def test_a_verb_meets_what_an_older_worker_gave_back(redis_server, verb, state):
    """What was asked for before comes first; then the verb fits, or does not."""
    async with driven(redis_server) as kit:
        await given_back_by_an_older_roost(kit, "a", verb, state)
        answer = await kit.order("a", Verb.RESUME)
        if verb is Verb.PAUSE:
            assert (OrderOutcome.DONE, state) == (answer.outcome, answer.state)
        else:
            assert OrderAnswer(OrderOutcome.UNFIT, ENDS[verb], (await kit.read("a")).version) == (
                answer
            )


@pytest.mark.parametrize("verb", [Verb.CANCEL, Verb.BURY])
async def test_an_older_worker_has_lost_what_is_to_end(redis_server, verb):
    """U1: it compares the token with its own, and is refused; this one knows the mark."""
    async with driven(redis_server) as kit:
        claim = await kit.leased("a")
        token = claim.lease.token.encode()
        ack = await kit.commit(claim, commit_id="one")
        assert token in (await record(kit, "a"))[0].split(b" ")
        await kit.requested("a", Verb.PAUSE)
        assert token in (await record(kit, "a"))[0].split(b" ")
        await kit.requested("a", verb)
        words = (await record(kit, "a"))[0].split(b" ")
        assert (False, True) == (token in words, b"!" + token in words)
        renewed = await kit.renewed(claim)
        assert ((), (claim.lease.token,)) == (renewed.lost, renewed.wanted)
        assert ack == await kit.commit(claim, commit_id="one")
        await kit.age_lease("a")
        await kit.claim(worker_id="worker-2")
        assert ENDS[verb] is (await kit.read("a")).state
        assert ack == await kit.commit(claim, commit_id="one")


async def test_what_an_older_worker_finished(redis_server):
    """It is done: nothing is asked of it any more."""
    async with driven(redis_server) as kit:
        await given_back_by_an_older_roost(kit, "a", Verb.CANCEL, State.DONE)
        assert None is (await kit.read("a")).wish
        assert OrderOutcome.UNFIT == (await kit.order("a", Verb.CANCEL)).outcome
        assert State.DONE is (await kit.read("a")).state


async def test_a_wish_of_a_newer_roost(redis_server):
    """What it means is not known: it stays, verbs leave it alone, and the work runs, if slowly."""
    async with driven(redis_server) as kit:
        claim = await kit.leased("a")
        await set_wish(kit, "a", b"dream")
        assert None is (await kit.read("a")).wish
        for verb in Verb:
            assert OrderOutcome.UNFIT == (await kit.order("a", verb)).outcome
        assert ((), ()) == ((renewed := await kit.renewed(claim)).lost, renewed.wanted)
        assert State.QUEUED == (await kit.commit(claim)).state
        assert (await record(kit, "a"))[0].endswith(b" dream 0")
        claim = await kit.claim_one("a")
        assert State.DONE == (await kit.commit(claim, Finish())).state


@pytest.mark.parametrize(
    "tail",
    [
        [],
        [b""],
        [b"team=search", b"x", b""],
        [b"", b"r done pause queued paused 0 1-0 1-0 0 - {", b"\xff\x00"],
        [b"", b"r done pause nowhere paused 0 1-0 1-0 0 - {}"],
        [b"", b'r done pause sleeping paused 0 1-0 1-0 0 99999999999999999999 {"who":5}'],
        [b"x" * 10_000],
    ],
)
async def test_a_damaged_tail(redis_server, tail):
    """V1: what was asked for is done anyway, if by nobody known; and work goes back to the line."""
    async with driven(redis_server) as kit:
        claim = await kit.leased("a")
        await kit.requested("a", Verb.BURY)
        await set_record(kit, "a", [*(await record(kit, "a"))[:6], *tail])
        await kit.read("a")
        await kit.ledger.trail("a")
        assert State.FAILED == (await kit.commit(claim)).state
        stored = await kit.read("a")
        assert "buried" == error_of(stored).kind
        assert stored.act.actor.who == "?"
        assert tail[:1] in ([], (await record(kit, "a"))[6:7])
        await kit.done("a", Verb.RETRY)
        await kit.done("a", Verb.PAUSE)
        await set_record(kit, "a", [*(await record(kit, "a"))[:6], *tail])
        await kit.read("a")
        await kit.done("a", Verb.RESUME)
        await kit.age_due("a")
        await kit.claim_one("a")
        trail = await kit.ledger.trail("a")
        assert "resumed" in [event.kind for event in trail]


async def test_a_repeated_commit_of_a_record_with_a_tail(redis_server):
    """The answer ends where its line does."""
    async with driven(redis_server) as kit:
        claim = await kit.leased("a")
        ack = await kit.commit(claim, Yield(), commit_id="one")
        await kit.done("a", Verb.PAUSE)
        assert ack == await kit.commit(claim, Yield(), commit_id="one")
        assert ack == await kit.commit(claim, commit_id="one")


async def test_no_words_of_people_are_taken_for_an_answer(redis_server):
    """Who knows a lease's token, as its engine does, cannot make up what a commit came to."""
    async with driven(redis_server) as kit:
        claim = await kit.leased("a")
        forged = f";{claim.lease.token} one done 99 0 1 -1"
        await kit.requested("a", Verb.PAUSE, actor=Actor("eve", "tests", forged))
        await kit.commit(claim)
        for then in (Yield(), GoOn(HOUR_MS)):
            with pytest.raises(LeaseLost):
                await kit.commit(claim, then, commit_id="one")


async def test_what_people_did_is_bounded(redis_server):
    """Eight acts, each of bounded length, however long the names."""
    async with driven(redis_server) as kit:
        await kit.created("a")
        actor = Actor("\N{ROOSTER}" * 100, "ü" * 100, "\N{ROOSTER}" * 200)
        for _ in range(6):
            await kit.done("a", Verb.PAUSE, actor=actor)
            await kit.done("a", Verb.RESUME, actor=actor)
        lines = await record(kit, "a")
        assert 7 + 8 == len(lines)
        assert max(map(len, lines)) < MOST_BYTES


async def test_nothing_is_left_behind(redis_server):
    """Dropped or purged, work is gone with all that was stored of it."""
    async with driven(redis_server) as kit:
        for name in ("a", "b"):
            claim = await kit.leased(name, idempotency_key=name, resources=("r",))
            await kit.requested(name, Verb.CANCEL)
            await kit.commit(claim, events=(b"{}",))
        await kit.order("a", Verb.DROP)
        await kit.purge(0, None, 10)
        client, key = kit.ledger.client, kit.ledger.keys.key
        for name in ("work", "key", "created", "cancelled", "held", "lines", "forgetting"):
            assert 0 == await client.exists(key(name)), name


async def test_only_a_drop_fits_what_does_not_decode(redis_server):
    """It takes everything with it: its place, its hold on resources, its idempotency key."""
    async with driven(redis_server) as kit:
        await kit.leased("a", resources=("r",), idempotency_key="k")
        await kit.created("b", resources=("r",))
        assert [] == await kit.claimed_ids()
        lines = await record(kit, "a")
        await set_record(kit, "a", [b"junk", *lines[1:]])
        for verb in set(Verb) - {Verb.DROP}:
            assert OrderAnswer(OrderOutcome.CORRUPT) == await kit.order("a", verb)
        answer = await kit.order("a", Verb.DROP)
        assert (OrderOutcome.DONE, State.FAILED, "a") == (
            answer.outcome,
            answer.state,
            answer.purged.work_id,
        )
        assert None is await kit.ledger.read("a")
        await kit.claim_one("b")
        await kit.created("a", idempotency_key="k")
        await kit.ledger.repair(dry_run=False)
        assert [] == await kit.ledger.repair(dry_run=False)


async def test_a_newer_record_is_left_alone(redis_server):
    """Only a newer Roost knows what fits it."""
    async with driven(redis_server) as kit:
        await kit.created("a")
        await set_record(kit, "a", [b"9 queued counter and more"])
        for verb in Verb:
            assert OrderAnswer(OrderOutcome.NEWER) == await kit.order("a", verb)
        assert [b"9 queued counter and more"] == await record(kit, "a")


async def test_the_worker_is_told_at_once(redis_server):
    """A message on its own channel, when a running step is to end, and only then."""
    async with driven(redis_server) as kit:
        heard = []
        channel = kit.ledger.keys.wake_channel(WORKER)
        async with kit.ledger.client.pubsub() as messages:
            await messages.subscribe(channel)
            await kit.leased("a")
            await kit.requested("a", Verb.PAUSE)
            await kit.requested("a", Verb.CANCEL)
            await kit.leased("b")
            await kit.requested("b", Verb.BURY)
            while len(heard) < 3:
                message = await messages.get_message(timeout=10)
                assert message is not None
                heard.append(message["data"])
            assert [1, b"!", b"!"] == heard
            assert None is await messages.get_message(timeout=0.05)


async def test_a_worker_of_a_held_engine_does_not_ask_in_vain(redis_server):
    """With work ready that it may not take it is idle; let go, it is told, and takes all of it."""
    settings = settings_for(redis_server, lease_ttl=3600.0)
    engine = Counting()
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        items = [await roost.enqueue("counting", {"steps": 1}) for _ in range(5)]
        await roost.ledger.halt("counting", ACTOR)
        await crew.start(concurrency=2)
        await idle(roost)
        items += [await roost.enqueue("counting", {"steps": 1}) for _ in range(5)]
        before = await calls(roost)
        await asyncio.sleep(1)
        found = await calls(roost) - before
        assert found["evalsha"] <= 2
        assert 10 == (await roost.counts())[State.QUEUED]
        await roost.ledger.unhalt("counting", ACTOR)
        assert [State.DONE] * 10 == await all_done(roost, items)


async def test_a_held_engine_beside_another(redis_server):
    """Who runs both sleeps between the steps of the other: no claim for what is held."""
    settings = settings_for(redis_server, lease_ttl=3600.0, slice_seconds=3600.0)
    engines = (Counting(), Counting("other"))
    async with queue(settings, *engines) as roost, Crew(settings, *engines) as crew:
        await crew.start()
        await idle(roost)
        await roost.ledger.halt("other", ACTOR)
        for _ in range(3):
            await roost.enqueue("other", {"steps": 1})
        before = await calls(roost)
        item = await roost.enqueue("counting", {"steps": 100, "delay": 0.002})

        async def is_done():
            return await roost.ledger.client.zcard(roost.ledger.keys.key("done"))

        await eventually(is_done)
        found = await calls(roost) - before
        assert found["evalsha"] <= 2 * 101 + 1
        assert [State.DONE] == await all_done(roost, [item])
        assert 3 == (await roost.counts())[State.QUEUED]


async def test_many_leases_of_an_engine_that_is_held(redis_server):
    """Each is marked, however many; nothing else is touched."""
    async with driven(redis_server) as kit:
        names = [f"a-{number}" for number in range(450)]
        await kit.created(*names)
        claims = []
        while len(claims) < len(names):
            claims += (await kit.claim(limit=100)).claims
        await kit.ledger.halt("counter", ACTOR)
        states = {(await kit.commit(claim)).state for claim in claims}
        assert {State.QUEUED} == states


async def test_with_the_permissions_that_the_docs_name(redis_server):
    """The login of the documentation may use each verb, and hold engines."""
    line = re.search(r"^ACL SETUSER roost (.+)$", page("operations"), re.MULTILINE)
    async with driven(redis_server) as kit:
        await kit.ledger.client.execute_command("ACL", "SETUSER", "roost", *line[1].split())
    login = redis_server.url.replace("unix://", "unix://roost:password@")
    kit = RedisHarness(login)
    await kit.open()
    try:
        claim = await kit.leased("a")
        await kit.requested("a", Verb.PAUSE)
        await kit.requested("a", Verb.BURY)
        assert 1 == len((await kit.renewed(claim)).wanted)
        await kit.commit(claim)
        await kit.done("a", Verb.RETRY, delay_ms=HOUR_MS)
        for verb in (Verb.PAUSE, Verb.RESUME, Verb.CANCEL):
            await kit.done("a", verb)
        await kit.ledger.halt("counter", ACTOR)
        assert 1 == len(await kit.ledger.halts())
        await kit.ledger.unhalt("counter", ACTOR)
        assert OrderOutcome.DONE == (await kit.order("a", Verb.DROP)).outcome
    finally:
        await kit.close()
