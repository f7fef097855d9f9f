"""When lanes claim: for news, for alarms, and not otherwise. Time leaps; no server is asked."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise

import attrs
import pytest

from roost_core.backend import Alone, ClaimBatch
from roost_core.errors import BackendUnavailable
from roost_plugins.redis_saq.ledger.lane_watch import After
from tests.unit.redis_saq.lanes.lanes_bench import claim_of, leaping, over_lanes, times

pytestmark = leaping


@pytest.fixture
def bench():
    """Give lanes that run."""
    return over_lanes()


async def test_no_claim_without_a_free_lane(bench):
    """A worker whose lanes are all busy asks for nothing."""
    await asyncio.sleep(100)
    assert [] == bench.ledger.claims


async def test_one_claim_for_all_lanes(bench):
    """Lanes that are free together are served by one claim, first come first."""
    bench.ledger.ready = [claim_of(1), claim_of(2), claim_of(3)]
    free = [bench.free() for _ in range(3)]
    got = [await one for one in free]
    assert ["t1", "t2", "t3"] == [one.lease.token for one in got]
    assert [(0.0, 3)] == bench.ledger.claims


async def test_an_idle_worker_asks_seldom():
    """Every ten seconds, or within a lease's time."""
    async with over_lanes() as bench:
        bench.free()
        await asyncio.sleep(101)
        assert 11 <= len(times(bench)) <= 12

    async with over_lanes(ttl_ms=3000) as bench:
        bench.free()
        await asyncio.sleep(10.5)
        assert 6 <= len(times(bench)) <= 7


async def test_a_message_is_news(bench):
    """Each message leads to one claim; several at once to one."""
    bench.free()
    await asyncio.sleep(1.5)
    before = len(times(bench))
    bench.ledger.mailbox.put_nowait(b"1")
    await asyncio.sleep(0.1)
    assert before + 1 == len(times(bench))
    assert ["{roost:default:default}:wake:worker-1"] == bench.ledger.channels


async def test_a_message_that_people_want_something(bench):
    """It has the worker look after its leases, and is no reason to claim."""
    bench.free()
    await asyncio.sleep(1.5)
    before = len(times(bench))
    bench.ledger.mailbox.put_nowait(b"!")
    await asyncio.sleep(0.1)
    assert ([0], before) == (bench.looks, len(times(bench)))
    bench.ledger.mailbox.put_nowait(b"1")
    await asyncio.sleep(0.1)
    assert ([0], before + 1) == (bench.looks, len(times(bench)))


async def test_the_next_due_time_is_an_alarm(bench):
    """It comes not a moment too early, once, and not again and again."""
    bench.ledger.next_wake_ms = 2500
    bench.free()
    await asyncio.sleep(0.01)
    before = len(times(bench))
    await asyncio.sleep(5)
    assert [2.501] == times(bench)[before:]


async def test_an_earlier_alarm_replaces_a_later_one(bench):
    """Of the leases that end, the earliest due time counts; each later one is learned again."""
    bench.free()
    await asyncio.sleep(1)
    before = len(times(bench))
    bench.served.lease_ended("x", 900)
    bench.served.lease_ended("y", 300)
    bench.served.lease_ended("z", 600)
    await asyncio.sleep(0.5)
    assert [1.301] == times(bench)[before:]


async def test_an_alarm_wakes_a_lane_that_comes_later(bench):
    """An alarm that is set while all lanes are busy holds for the next free one."""
    bench.ledger.ready = [claim_of(number) for number in range(1, 4)]
    free = [bench.free() for _ in range(3)]
    claims = [await one for one in free]
    bench.served.lease_ended("t1", 700)
    bench.lanes.lane_done(claims[0])
    bench.free()
    await asyncio.sleep(1)
    assert [0.0, 0.701] == times(bench)


async def test_a_lane_that_learns_of_ready_work_claims_at_once(bench):
    """The script that ended its lease said so."""
    bench.ledger.ready = [claim_of(1)]
    claim = await bench.free()
    await asyncio.sleep(0.1)
    before = len(times(bench))
    bench.served.lease_ended("t1", 0)
    bench.lanes.lane_done(claim)
    bench.free()
    await asyncio.sleep(0.1)
    assert before + 1 == len(times(bench))


async def test_a_lane_that_knows_nothing_claims(bench):
    """A lease that was lost, or whose end went unconfirmed, is a reason to look."""
    bench.ledger.ready = [claim_of(1)]
    claim = await bench.free()
    await asyncio.sleep(0.1)
    before = len(times(bench))
    bench.lanes.lane_done(claim)
    bench.free()
    await asyncio.sleep(0.1)
    assert before + 1 == len(times(bench))


async def test_more_than_was_looked_at(bench):
    """A claim that gave up in the middle is followed by the next."""
    bench.ledger.next_wake_ms = 0
    bench.free()
    await asyncio.sleep(0.1)
    assert 2 <= len(times(bench)) <= 3


async def test_idle_or_not(bench):
    """The server is told whether it may have this worker in its register."""
    bench.ledger.ready = [claim_of(1)]
    await bench.free()
    bench.free()
    for _ in range(2):
        bench.ledger.mailbox.put_nowait({})
        await asyncio.sleep(0.1)
    # The first claim was full; the second stood by; so did the lane whose script said so.
    assert [False, False, True] == bench.ledger.idle_flags
    bench.ledger.ready = [claim_of(2)]
    bench.ledger.mailbox.put_nowait({})
    await asyncio.sleep(0.1)
    assert After.STANDS_BY is bench.served.lease_ends("token")
    bench.free()
    bench.ledger.mailbox.put_nowait({})
    await asyncio.sleep(0.1)
    assert bench.ledger.idle_flags[-1]


async def test_errors_of_claims(bench, caplog):
    """Whatever a claim raises, the worker tries again, more and more slowly; it is logged once.

    So is its end.
    """
    caplog.set_level(logging.INFO, "roost.worker")
    bench.ledger.errors = [BackendUnavailable("away")] * 8
    bench.ledger.ready = [claim_of(1)]
    claim = await bench.free()
    assert "t1" == claim.lease.token
    found = times(bench)
    pauses = [round(b - a, 3) for a, b in pairwise(found)]
    assert [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0] == pauses
    assert 1 == sum("cannot claim" in one.getMessage() for one in caplog.records)
    assert 1 == sum("claims are answered again" == one.getMessage() for one in caplog.records)


@pytest.mark.parametrize("error", [ValueError("a bug"), RuntimeError("another"), OSError()])
async def test_bugs_do_not_end_the_claiming(bench, error):
    """An error that nobody foresaw is logged; the next claim comes."""
    bench.ledger.errors = [error, error]
    bench.ledger.ready = [claim_of(1)]
    assert "t1" == (await bench.free()).lease.token


async def test_failing_observers_of_dead_letters(bench):
    """What a claim has taken is handed out anyway, and claims continue."""
    bench.ledger.dead_letters = ("explode",)
    bench.ledger.ready = [claim_of(1)]
    assert "t1" == (await bench.free()).lease.token
    bench.ledger.dead_letters = ("w9",)
    bench.ledger.ready = [claim_of(2)]
    assert "t2" == (await bench.free()).lease.token
    assert ["w9"] == bench.letters


async def test_the_connection_that_listens_breaks(bench):
    """It is replaced, more and more slowly, and each time the worker looks for what it missed.

    That is work, and what people want of what it runs.
    """
    bench.free()
    await asyncio.sleep(0.5)
    assert [] == bench.looks
    for error in (BackendUnavailable("cut"), ConnectionResetError(), ValueError("a bug")):
        before = len(times(bench))
        bench.ledger.mailbox.put_nowait(error)
        await asyncio.sleep(0.5)
        assert before + 1 == len(times(bench))
    assert 4 == len(bench.ledger.channels)
    assert [0, 0, 0] == bench.looks


async def test_a_lane_that_is_cancelled_before_its_claim(bench):
    """Its place is given to nobody."""
    bench.ledger.answering.clear()
    lane, other = bench.free(), bench.free()
    await asyncio.sleep(0.1)
    lane.cancel()
    bench.ledger.ready = [claim_of(1)]
    bench.ledger.answering.set()
    assert "t1" == (await other).lease.token
    assert [] == bench.ledger.given_back


async def test_a_lane_that_is_cancelled_with_its_claim(bench):
    """What it was just given is given back, without blame."""
    lane = bench.free()
    await asyncio.sleep(0)
    place = bench.lanes._free[0] if bench.lanes._free else None
    assert place is not None
    await bench.lanes._hand_out(bench.served, ClaimBatch((claim_of(1),)))
    lane.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lane
    assert ["t1"] == bench.ledger.given_back


async def test_claims_that_nobody_takes_go_back(bench):
    """A claim that comes when the worker stops is given back; a lost one is left."""
    bench.ledger.answering.clear()
    bench.free()
    await asyncio.sleep(0.1)
    bench.stopping.set()
    lost = claim_of(1)
    object.__setattr__(lost.lease, "token", "t-lost")
    bench.ledger.ready = [lost, claim_of(2)]
    closing = asyncio.create_task(bench.lanes.close())
    bench.ledger.answering.set()
    await closing
    # One lane was free, so one was claimed.
    assert ["t-lost"] == bench.ledger.given_back


async def test_closing_does_not_wait_for_a_silent_server(bench):
    """A claim without an answer is given up after a while."""
    bench.ledger.answering.clear()
    bench.free()
    await asyncio.sleep(0.1)
    bench.stopping.set()
    began = bench.ledger.loop.time()
    await bench.lanes.close()
    assert bench.ledger.loop.time() - began <= 2.1


async def test_a_burst_is_over_when_nothing_is_in_flight():
    """Not while a lane is busy, whatever the claims bring; at once when the last has ended."""
    async with over_lanes(burst=True) as bench:
        bench.ledger.ready = [claim_of(1), claim_of(2)]
        free = [bench.free() for _ in range(3)]
        claims = [await one for one in free[:2]]
        await asyncio.sleep(30)
        assert not bench.lanes.is_over.is_set()
        assert After.LEAVES is bench.served.lease_ends("token")
        began = bench.ledger.loop.time()
        for claim in claims:
            bench.served.lease_ended(claim.lease.token, None)
            await asyncio.sleep(0.001)
            bench.lanes.lane_done(claim)
            bench.free()
        await bench.lanes.is_over.wait()
        assert bench.ledger.loop.time() - began < 0.1


async def test_standing_by(bench):
    """A worker is registered for all its engines, unless it stops."""
    assert After.STANDS_BY is bench.served.lease_ends("token")
    bench.stopping.set()
    assert After.LEAVES is bench.served.lease_ends("token")


async def test_a_claim_without_an_answer_is_named_by_the_next(bench):
    """What it has leased is then taken back; so it is if the worker leaves before that."""
    bench.ledger.errors = [BackendUnavailable("lost"), BackendUnavailable("lost")]
    bench.ledger.ready = [claim_of(1)]
    await bench.free()
    tickets = [ticket for ticket, _ in bench.ledger.tickets[:3]]
    named = [unanswered for _, unanswered in bench.ledger.tickets[:3]]
    assert [(), (tickets[0],), (tickets[0], tickets[1])] == named
    assert 3 == len({ticket.slot for ticket in tickets})
    assert () == bench.served.unanswered


async def test_a_solo_claim_has_the_worker_for_itself(bench):
    """No lane claims alongside it, whatever is ready, until a step of it is accepted."""
    solo = attrs.evolve(claim_of(1), is_solo=True)
    bench.ledger.ready = [solo]
    assert solo is await bench.free()
    bench.ledger.ready = [claim_of(2)]
    other = bench.free()
    bench.served.lease_ended("t-other", 0)
    await asyncio.sleep(100)
    assert 1 == len(bench.ledger.claims)
    bench.served.step_accepted(solo.lease.token)
    await other
    assert [Alone.MAY, Alone.NEVER] == bench.ledger.alone[:2]


async def test_who_is_held_back_takes_nothing_of_others(bench):
    """What a lease's end makes ready is for others while suspects or a drain keep lanes empty."""
    bench.ledger.leaves_more = True
    bench.ledger.ready = [attrs.evolve(claim_of(number), is_solo=True) for number in (1, 2)]
    one, two = await asyncio.gather(bench.free(), bench.free())
    assert After.LEAVES is bench.served.lease_ends(one.lease.token)
    bench.lanes.lane_done(one)
    assert After.CLAIMS is bench.served.lease_ends(two.lease.token)
    bench.lanes.lane_done(two)
    bench.ledger.ready, bench.ledger.drain = [claim_of(3), claim_of(4)], True
    one, two = await asyncio.gather(bench.free(), bench.free())
    assert After.LEAVES is bench.served.lease_ends(one.lease.token)
    bench.lanes.lane_done(one)
    assert After.CLAIMS is bench.served.lease_ends(two.lease.token)


async def test_who_has_lost_steps_is_not_asked_to_drain(bench):
    """It could not end them."""
    bench.free()
    await asyncio.sleep(1)
    bench.lost.lanes = 1
    bench.lanes.lane_done(claim_of(1))
    await asyncio.sleep(1)
    assert [True, False] == bench.ledger.can_drain


async def test_what_may_bring_suspects_is_for_all_lanes(bench):
    """Even with a backlog: how many come together depends on how many lanes there are."""
    bench.ledger.leaves_more = True
    for numbers in ((1, 2, 3), (4, 5, 6)):
        bench.ledger.ready = [claim_of(number) for number in numbers]
        lanes = [bench.free() for _ in numbers]
        for claim in await asyncio.gather(*lanes):
            bench.lanes.lane_done(claim)
    assert [Alone.MAY] * 2 == bench.ledger.alone
    assert [3, 3] == [limit for _, limit in bench.ledger.claims]


async def test_closing_waits_for_no_backoff(bench):
    """Lanes that wait to try a failed claim again close at once."""
    bench.ledger.errors = [BackendUnavailable("away") for _ in range(20)]
    bench.free()
    await asyncio.sleep(10)
    while bench.served.view.under_way == 0:  # noqa: ASYNC110 - between two claims
        await asyncio.sleep(0.01)
    began = bench.ledger.loop.time()
    bench.stopping.set()
    await bench.lanes.close()
    assert began == pytest.approx(bench.ledger.loop.time(), abs=0.01)


async def test_a_person_is_told_why_lanes_are_empty(bench, caplog):
    """The log names what runs alone, and says once that other work has to end first."""
    bench.ledger.ready = [claim_of(1)]
    await bench.free()
    bench.ledger.drain = True
    bench.free()
    await asyncio.sleep(30)
    assert ["makes_room"] == [one.action for one in caplog.records]
    bench.ledger.drain = False
    bench.ledger.ready = [attrs.evolve(claim_of(2), is_solo=True)]
    bench.lanes.lane_done(claim_of(1))
    await asyncio.sleep(1)
    last = caplog.records[-1]
    assert ("runs_alone", "w2") == (last.action, last.work_id)
    assert "w2: suspected" in last.getMessage()
