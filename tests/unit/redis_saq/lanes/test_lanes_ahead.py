"""Claims while more is ready: made ahead for lanes that are soon free, and two under way."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.backend import ClaimBatch
from roost_core.errors import BackendError, BackendUnavailable
from roost_plugins.redis_saq.lanes import lanes as lanes_module
from roost_plugins.redis_saq.lanes.policy import AHEAD_PAUSE
from roost_plugins.redis_saq.ledger.lane_watch import After
from tests.unit.redis_saq.lanes.lanes_bench import claim_of, leaping, over_lanes, times

pytestmark = leaping


@pytest.fixture
def bench():
    """Give lanes that run."""
    return over_lanes()


# -- claims made ahead ------------------------------------------------------------------------


async def backlog(bench):
    """Let one lane have work while more is ready; return its claim."""
    bench.ledger.leaves_more = True
    bench.ledger.ready = [claim_of(1)]
    claim = await bench.free()
    await asyncio.sleep(0.01)
    return claim


async def test_a_claim_follows_the_call_that_ends_a_lease(bench):
    """While more is ready, it does not wait for the answer; the lane finds its next work there."""
    claim = await backlog(bench)
    before = len(times(bench))
    bench.ledger.ready = [claim_of(2)]
    assert After.CLAIMS is bench.served.lease_ends("t1")
    await asyncio.sleep(0.01)
    assert before + 1 == len(times(bench))
    assert [] == bench.ledger.ready
    bench.served.lease_ended("t1", None)
    bench.lanes.lane_done(claim)
    assert "t2" == (await bench.free()).lease.token
    assert [] == bench.ledger.given_back


async def test_no_claim_ahead_without_more(bench):
    """Where a claim found less than it could take, the script that ends a lease looks itself."""
    bench.ledger.ready = [claim_of(1)]
    await bench.free()
    await asyncio.sleep(0.01)
    before = len(times(bench))
    assert After.STANDS_BY is bench.served.lease_ends("t1")
    await asyncio.sleep(0.01)
    assert before == len(times(bench))


async def test_no_claim_ahead_of_no_lane(bench):
    """A lease that no lane holds, such as one that is given back, makes room for nothing."""
    await backlog(bench)
    before = len(times(bench))
    assert After.STANDS_BY is bench.served.lease_ends("t-other")
    await asyncio.sleep(0.01)
    assert before == len(times(bench))


async def test_a_lane_that_does_not_come(bench):
    """What was claimed for it is given back after a while, without blame."""
    await backlog(bench)
    bench.ledger.ready = [claim_of(2)]
    bench.served.lease_ends("t1")
    await asyncio.sleep(lanes_module._AHEAD_GRACE - 0.01)
    assert [] == bench.ledger.given_back
    await asyncio.sleep(0.02)
    assert ["t2"] == bench.ledger.given_back


async def test_each_is_given_back_in_its_own_time(bench):
    """One that was claimed later does not have to go with one whose lane has come."""
    claim = await backlog(bench)
    bench.ledger.ready = [claim_of(2)]
    bench.served.lease_ends("t1")
    grace = lanes_module._AHEAD_GRACE
    await asyncio.sleep(grace / 2)
    bench.lanes.lane_done(claim)
    claim = await bench.free()
    bench.ledger.ready = [claim_of(3)]
    bench.served.lease_ends("t2")
    await asyncio.sleep(grace - 0.01)
    assert [] == bench.ledger.given_back
    await asyncio.sleep(0.02)
    assert ["t3"] == bench.ledger.given_back


async def test_lanes_that_are_held_up_again_and_again(bench):
    """Nothing more is claimed ahead for lanes that do not come, for a while."""
    claim = await backlog(bench)
    bench.ledger.ready = [claim_of(number) for number in range(2, 9)]
    bench.served.lease_ends("t1")
    await asyncio.sleep(lanes_module._AHEAD_GRACE + 0.01)
    assert ["t2"] == bench.ledger.given_back
    # The call that gave it back has seen that there is more.
    bench.served.lease_ended("t2", 0)
    before = len(times(bench))
    await asyncio.sleep(5)
    assert before == len(times(bench))

    bench.served.lease_ended("t1", None)
    bench.lanes.lane_done(claim)
    claim = await bench.free()
    assert After.STANDS_BY is bench.served.lease_ends(claim.lease.token)
    await asyncio.sleep(AHEAD_PAUSE)
    assert After.CLAIMS is bench.served.lease_ends(claim.lease.token)


async def test_stopping_with_claims_ahead(bench):
    """They are given back before the lanes are closed."""
    await backlog(bench)
    bench.ledger.ready = [claim_of(2)]
    bench.served.lease_ends("t1")
    await asyncio.sleep(0.01)
    bench.stopping.set()
    await bench.lanes.close()
    assert ["t2"] == bench.ledger.given_back
    assert After.LEAVES is bench.served.lease_ends("t1")


# -- two claims under way ---------------------------------------------------------------------


async def busy_with_more(bench):
    """Let all three lanes be busy while more is ready; return what they run."""
    bench.ledger.leaves_more = True
    bench.ledger.ready = [claim_of(number) for number in range(1, 9)]
    claims = [await one for one in [bench.free() for _ in range(3)]]
    bench.ledger.claims.clear()
    bench.ledger.idle_flags.clear()
    bench.ledger.answering.clear()
    return claims


async def end(bench, claim):
    """End a lease."""
    assert After.CLAIMS is bench.served.lease_ends(claim.lease.token)
    await asyncio.sleep(0.01)


async def test_two_claims_while_more_is_ready(bench):
    """A second claim does not wait for the answer to the first, if half of the lanes need it."""
    one, other, last = await busy_with_more(bench)
    bench.served.lease_ends(one.lease.token)
    await end(bench, other)
    assert [2] == [limit for _, limit in bench.ledger.claims]
    await end(bench, last)
    # One of three is less than half: it waits, and joins the next claim.
    assert [2] == [limit for _, limit in bench.ledger.claims]

    bench.ledger.answering.set()
    for claim in (one, other, last):
        bench.served.lease_ended(claim.lease.token, None)
        bench.lanes.lane_done(claim)
    found = [await one for one in [bench.free() for _ in range(3)]]
    assert ["t4", "t5", "t6"] == sorted(one.lease.token for one in found)
    assert [2, 1] == [limit for _, limit in bench.ledger.claims]


async def test_a_claim_for_half_of_the_lanes_leaves_with_their_calls(bench):
    """No other lane has its turn before: the halves would come to run together."""
    one, other, last = await busy_with_more(bench)
    bench.served.lease_ends(one.lease.token)
    bench.served.claim_follows()
    assert [] == bench.ledger.claims
    bench.served.lease_ends(other.lease.token)
    bench.served.claim_follows()
    assert [2] == [limit for _, limit in bench.ledger.claims]
    bench.served.lease_ends(last.lease.token)
    bench.served.claim_follows()
    await asyncio.sleep(0.01)
    assert [2] == [limit for _, limit in bench.ledger.claims]


async def test_what_cannot_be_sent_is_tried_again(bench):
    """A claim that fails before it is sent is a failed claim, and the loop continues."""
    one, other, _ = await busy_with_more(bench)
    claim, tries = bench.ledger.claim, []

    def broken(request, **how):
        tries.append(request)
        if len(tries) < 3:
            raise BackendError("too many open files")
        return claim(request, **how)

    bench.ledger.claim = broken
    for ending in (one, other):
        bench.served.lease_ends(ending.lease.token)
        bench.served.claim_follows()
    assert 1 == len(tries)
    await asyncio.sleep(1)
    assert [2] == [limit for _, limit in bench.ledger.claims]
    assert 1 == bench.served.view.under_way


async def test_each_takes_half_of_the_lanes(bench):
    """Worker and server take turns with the halves; and no third claim is under way."""
    for claim in await busy_with_more(bench):
        bench.served.lease_ends(claim.lease.token)
    for _ in range(3):
        bench.free()
    await asyncio.sleep(0.01)
    assert [2, 2] == [limit for _, limit in bench.ledger.claims]
    # The first may yet find too little, and register the worker: the second has to know.
    assert [False, True] == bench.ledger.idle_flags


async def test_one_claim_while_nothing_is_known_to_be_ready(bench):
    """One claim serves all free lanes, and those that come meanwhile wait for its answer."""
    bench.ledger.answering.clear()
    bench.free()
    await asyncio.sleep(0.01)
    for _ in range(2):
        bench.free()
    bench.ledger.mailbox.put_nowait({})
    await asyncio.sleep(5)
    assert [1] == [limit for _, limit in bench.ledger.claims]
    bench.ledger.answering.set()
    await asyncio.sleep(0.01)
    assert [1, 3] == [limit for _, limit in bench.ledger.claims]


async def test_no_second_claim_after_an_error(bench):
    """What failed is tried again by one claim, after its pause."""
    claims = await busy_with_more(bench)
    bench.ledger.errors = [BackendUnavailable("away")]
    bench.ledger.answering.set()
    for claim in claims[:2]:
        bench.served.lease_ends(claim.lease.token)
    await asyncio.sleep(0.01)
    for _ in range(3):
        bench.free()
    await asyncio.sleep(0.08)
    assert 1 == len(bench.ledger.claims)
    await asyncio.sleep(0.02)
    assert 2 == len(bench.ledger.claims)
    # Nobody knows whether the one that failed was carried out.
    assert bench.ledger.idle_flags[1]


async def test_a_burst_is_not_over_while_a_claim_is_under_way():
    """What the first of two did not find, the second may."""
    async with over_lanes(burst=True) as bench:
        bench.ledger.leaves_more = True
        bench.ledger.ready = [claim_of(1), claim_of(2)]
        claim, other = await bench.free(), await bench.free()
        bench.ledger.answering.clear()
        bench.served.lease_ended(claim.lease.token, None)
        bench.lanes.lane_done(claim)
        for _ in range(4):
            bench.free()
        await asyncio.sleep(0.01)
        assert 2 == bench.served.view.under_way
        bench.ledger.leaves_more = False
        await bench.lanes._hand_out(bench.served, ClaimBatch(()))
        assert not bench.lanes.is_over.is_set()
        bench.lanes.lane_done(other)
        bench.ledger.answering.set()
        await bench.lanes.is_over.wait()
