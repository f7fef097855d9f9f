"""When lanes claim: for news, for alarms, and not otherwise. Time leaps; no server is asked."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise

import attrs
import pytest

from roost_core.backend import Alone, ClaimBatch
from roost_core.errors import BackendUnavailable
from tests.unit.lanes_bench import claim_of, runner, times


@pytest.fixture
def run(monkeypatch):
    """Run a coroutine function of a bench, and close its lanes."""
    return runner(monkeypatch)


def test_no_claim_without_a_free_lane(run):
    """A worker whose lanes are all busy asks for nothing."""

    async def main(bench):
        await asyncio.sleep(100)
        assert [] == bench.backend.claims

    run(main)


def test_one_claim_for_all_lanes(run):
    """Lanes that are free together are served by one claim, first come first."""

    async def main(bench):
        bench.backend.ready = [claim_of(1), claim_of(2), claim_of(3)]
        free = [bench.free() for _ in range(3)]
        got = [await one for one in free]
        assert ["t1", "t2", "t3"] == [one.lease.token for one in got]
        assert [(0.0, 3)] == bench.backend.claims

    run(main)


def test_an_idle_worker_asks_seldom(run):
    """Every ten seconds, or within a lease's time."""

    async def main(bench):
        bench.free()
        await asyncio.sleep(101)
        assert 11 <= len(times(bench)) <= 12

    run(main)

    async def short(bench):
        bench.free()
        await asyncio.sleep(10.5)
        assert 6 <= len(times(bench)) <= 7

    run(short, ttl_ms=3000)


def test_a_message_is_news(run):
    """Each message leads to one claim; several at once to one."""

    async def main(bench):
        bench.free()
        await asyncio.sleep(1.5)
        before = len(times(bench))
        bench.backend.mailbox.put_nowait({"type": "message"})
        await asyncio.sleep(0.1)
        assert before + 1 == len(times(bench))
        assert ["{roost:default:default}:wake:worker-1"] == bench.backend.channels

    run(main)


def test_the_next_due_time_is_an_alarm(run):
    """It comes not a moment too early, once, and not again and again."""

    async def main(bench):
        bench.backend.next_wake_ms = 2500
        bench.free()
        await asyncio.sleep(0.01)
        before = len(times(bench))
        await asyncio.sleep(5)
        assert [2.501] == times(bench)[before:]

    run(main)


def test_an_earlier_alarm_replaces_a_later_one(run):
    """Of the leases that end, the soonest due time counts; each later one is learned anew."""

    async def main(bench):
        bench.free()
        await asyncio.sleep(1)
        before = len(times(bench))
        bench.lanes.lease_ended("x", 900)
        bench.lanes.lease_ended("y", 300)
        bench.lanes.lease_ended("z", 600)
        await asyncio.sleep(0.5)
        assert [1.301] == times(bench)[before:]

    run(main)


def test_an_alarm_wakes_a_lane_that_comes_later(run):
    """An alarm that is set while all lanes are busy holds for the next free one."""

    async def main(bench):
        bench.backend.ready = [claim_of(number) for number in range(1, 4)]
        free = [bench.free() for _ in range(3)]
        claims = [await one for one in free]
        bench.lanes.lease_ended("t1", 700)
        bench.lanes.lane_done(claims[0])
        bench.free()
        await asyncio.sleep(1)
        assert [0.0, 0.701] == times(bench)

    run(main)


def test_a_lane_that_learns_of_ready_work_claims_at_once(run):
    """The script that ended its lease said so."""

    async def main(bench):
        bench.backend.ready = [claim_of(1)]
        claim = await bench.free()
        await asyncio.sleep(0.1)
        before = len(times(bench))
        bench.lanes.lease_ended("t1", 0)
        bench.lanes.lane_done(claim)
        bench.free()
        await asyncio.sleep(0.1)
        assert before + 1 == len(times(bench))

    run(main)


def test_a_lane_that_knows_nothing_claims(run):
    """A lease that was lost, or whose end nobody heard, is a reason to look."""

    async def main(bench):
        bench.backend.ready = [claim_of(1)]
        claim = await bench.free()
        await asyncio.sleep(0.1)
        before = len(times(bench))
        bench.lanes.lane_done(claim)
        bench.free()
        await asyncio.sleep(0.1)
        assert before + 1 == len(times(bench))

    run(main)


def test_more_than_was_looked_at(run):
    """A claim that gave up in the middle is followed by the next."""

    async def main(bench):
        bench.backend.next_wake_ms = 0
        bench.free()
        await asyncio.sleep(0.1)
        assert 2 <= len(times(bench)) <= 3

    run(main)


def test_idle_or_not(run):
    """The server is told whether it may have this worker in its register."""

    async def main(bench):
        bench.backend.ready = [claim_of(1)]
        await bench.free()
        bench.free()
        for _ in range(2):
            bench.backend.mailbox.put_nowait({})
            await asyncio.sleep(0.1)
        # The first claim was full; the second stood by; so did the lane whose script said so.
        assert [False, False, True] == bench.backend.idle_flags
        bench.backend.ready = [claim_of(2)]
        bench.backend.mailbox.put_nowait({})
        await asyncio.sleep(0.1)
        assert bench.lanes.lease_ends("token")
        bench.free()
        bench.backend.mailbox.put_nowait({})
        await asyncio.sleep(0.1)
        assert bench.backend.idle_flags[-1]

    run(main)


def test_errors_of_claims(run, caplog):
    """Whatever a claim raises, the worker tries again, more and more slowly; told once.

    So is the end of it.
    """
    caplog.set_level(logging.INFO, "roost.worker")

    async def main(bench):
        bench.backend.errors = [BackendUnavailable("away")] * 8
        bench.backend.ready = [claim_of(1)]
        claim = await bench.free()
        assert "t1" == claim.lease.token
        found = times(bench)
        pauses = [round(b - a, 3) for a, b in pairwise(found)]
        assert [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0] == pauses

    run(main)
    assert 1 == sum("cannot claim" in one.getMessage() for one in caplog.records)
    assert 1 == sum("claims are answered again" == one.getMessage() for one in caplog.records)


@pytest.mark.parametrize("error", [ValueError("a bug"), RuntimeError("another"), OSError()])
def test_bugs_do_not_end_the_claiming(run, error):
    """An error that nobody foresaw is logged; the next claim comes."""

    async def main(bench):
        bench.backend.errors = [error, error]
        bench.backend.ready = [claim_of(1)]
        assert "t1" == (await bench.free()).lease.token

    run(main)


def test_failing_observers_of_dead_letters(run):
    """What a claim has taken is handed out all the same, and claims go on."""

    async def main(bench):
        bench.backend.dead_letters = ("explode",)
        bench.backend.ready = [claim_of(1)]
        assert "t1" == (await bench.free()).lease.token
        bench.backend.dead_letters = ("w9",)
        bench.backend.ready = [claim_of(2)]
        assert "t2" == (await bench.free()).lease.token
        assert ["w9"] == bench.letters

    run(main)


def test_the_connection_that_listens_breaks(run):
    """It is made anew, more and more slowly, and each time there is a look at what was missed."""

    async def main(bench):
        bench.free()
        await asyncio.sleep(0.5)
        for error in (BackendUnavailable("cut"), ConnectionResetError(), ValueError("a bug")):
            before = len(times(bench))
            bench.backend.mailbox.put_nowait(error)
            await asyncio.sleep(0.5)
            assert before + 1 == len(times(bench))
        assert 4 == len(bench.backend.channels)

    run(main)


def test_a_lane_that_is_cancelled_before_its_claim(run):
    """Its place is given to nobody."""

    async def main(bench):
        bench.backend.answering.clear()
        lane, other = bench.free(), bench.free()
        await asyncio.sleep(0.1)
        lane.cancel()
        bench.backend.ready = [claim_of(1)]
        bench.backend.answering.set()
        assert "t1" == (await other).lease.token
        assert [] == bench.backend.given_back

    run(main)


def test_a_lane_that_is_cancelled_with_its_claim(run):
    """What it was just given goes back, without blame."""

    async def main(bench):
        lane = bench.free()
        await asyncio.sleep(0)
        place = bench.lanes._free[0] if bench.lanes._free else None
        assert place is not None
        await bench.lanes._hand_out(ClaimBatch((claim_of(1),)))
        lane.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lane
        assert ["t1"] == bench.backend.given_back

    run(main)


def test_claims_that_nobody_takes_go_back(run):
    """A claim that comes when the worker stops is given back; a lost one is left."""

    async def main(bench):
        bench.backend.answering.clear()
        bench.free()
        await asyncio.sleep(0.1)
        bench.stopping.set()
        lost = claim_of(1)
        object.__setattr__(lost.lease, "token", "t-lost")
        bench.backend.ready = [lost, claim_of(2)]
        closing = asyncio.create_task(bench.lanes.close())
        bench.backend.answering.set()
        await closing
        # One lane was free, so one was claimed.
        assert ["t-lost"] == bench.backend.given_back

    run(main)


def test_closing_does_not_wait_for_a_silent_server(run):
    """A claim without an answer is given up after a while."""

    async def main(bench):
        bench.backend.answering.clear()
        bench.free()
        await asyncio.sleep(0.1)
        bench.stopping.set()
        began = bench.backend.loop.time()
        await bench.lanes.close()
        assert bench.backend.loop.time() - began <= 2.1

    run(main)


def test_a_burst_is_over_when_nothing_is_in_flight(run):
    """Not while a lane is busy, whatever the claims bring; at once when the last has ended."""

    async def main(bench):
        bench.backend.ready = [claim_of(1), claim_of(2)]
        free = [bench.free() for _ in range(3)]
        claims = [await one for one in free[:2]]
        await asyncio.sleep(30)
        assert not bench.lanes.is_over.is_set()
        assert "" == bench.lanes.lease_ends("token")
        began = bench.backend.loop.time()
        for claim in claims:
            bench.lanes.lease_ended(claim.lease.token, None)
            await asyncio.sleep(0.001)
            bench.lanes.lane_done(claim)
            bench.free()
        await bench.lanes.is_over.wait()
        assert bench.backend.loop.time() - began < 0.1

    run(main, burst=True)


def test_standing_by(run):
    """A worker is registered for all its engines, unless it stops."""

    async def main(bench):
        assert "a demo" == bench.lanes.lease_ends("token")
        bench.stopping.set()
        assert "" == bench.lanes.lease_ends("token")

    run(main)


def test_a_claim_without_an_answer_is_named_by_the_next(run):
    """What it has leased is taken back then; so it is when the worker leaves before."""

    async def main(bench):
        bench.backend.errors = [BackendUnavailable("lost"), BackendUnavailable("lost")]
        bench.backend.ready = [claim_of(1)]
        await bench.free()
        tickets = [ticket for ticket, _ in bench.backend.tickets[:3]]
        named = [unanswered for _, unanswered in bench.backend.tickets[:3]]
        assert [(), (tickets[0],), (tickets[0], tickets[1])] == named
        assert 3 == len({ticket.slot for ticket in tickets})
        assert () == bench.lanes.unanswered

    run(main)


def test_a_solo_claim_has_the_worker_for_itself(run):
    """No lane claims beside it, whatever is ready, until a step of it is accepted."""

    async def main(bench):
        solo = attrs.evolve(claim_of(1), is_solo=True)
        bench.backend.ready = [solo]
        assert solo is await bench.free()
        bench.backend.ready = [claim_of(2)]
        other = bench.free()
        bench.lanes.lease_ended("t-other", 0)
        await asyncio.sleep(100)
        assert 1 == len(bench.backend.claims)
        bench.lanes.step_accepted(solo.lease.token)
        await other
        assert [Alone.MAY, Alone.NEVER] == bench.backend.alone[:2]

    run(main)


def test_who_is_held_back_takes_nothing_of_others(run):
    """What a lease's end makes ready is others' while suspects, or a drain, keep lanes empty."""

    async def main(bench):
        bench.backend.leaves_more = True
        bench.backend.ready = [attrs.evolve(claim_of(number), is_solo=True) for number in (1, 2)]
        one, two = await asyncio.gather(bench.free(), bench.free())
        assert "" == bench.lanes.lease_ends(one.lease.token)
        bench.lanes.lane_done(one)
        assert "-" == bench.lanes.lease_ends(two.lease.token)
        bench.lanes.lane_done(two)
        bench.backend.ready, bench.backend.drain = [claim_of(3), claim_of(4)], True
        one, two = await asyncio.gather(bench.free(), bench.free())
        assert "" == bench.lanes.lease_ends(one.lease.token)
        bench.lanes.lane_done(one)
        assert "-" == bench.lanes.lease_ends(two.lease.token)

    run(main)


def test_who_has_lost_steps_is_not_asked_to_drain(run):
    """It could not end them."""

    async def main(bench):
        bench.free()
        await asyncio.sleep(1)
        bench.lost.lanes = 1
        bench.lanes.lane_done(claim_of(1))
        await asyncio.sleep(1)
        assert [True, False] == bench.backend.can_drain

    run(main)


def test_what_may_bring_suspects_is_for_all_lanes(run):
    """Also with a backlog: how many come together goes by how many lanes there are."""

    async def main(bench):
        bench.backend.leaves_more = True
        for numbers in ((1, 2, 3), (4, 5, 6)):
            bench.backend.ready = [claim_of(number) for number in numbers]
            lanes = [bench.free() for _ in numbers]
            for claim in await asyncio.gather(*lanes):
                bench.lanes.lane_done(claim)
        assert [Alone.MAY] * 2 == bench.backend.alone
        assert [3, 3] == [limit for _, limit in bench.backend.claims]

    run(main)


def test_closing_waits_for_no_backoff(run):
    """Lanes that wait to try a failed claim again close at once."""

    async def main(bench):
        bench.backend.errors = [BackendUnavailable("away") for _ in range(20)]
        bench.free()
        await asyncio.sleep(10)
        while bench.lanes._under_way == 0:  # noqa: ASYNC110 - between two claims
            await asyncio.sleep(0.01)
        began = bench.backend.loop.time()
        bench.stopping.set()
        await bench.lanes.close()
        assert began == pytest.approx(bench.backend.loop.time(), abs=0.01)

    run(main)
