"""When lanes claim: for news, for alarms, and not otherwise. Time leaps; no server is asked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace

import pytest

from roost_core.backend import Claim, ClaimBatch, ServePlan
from roost_core.errors import BackendUnavailable, LeaseLost
from roost_core.models import Lease
from roost_plugins.redis_saq import lanes as lanes_module
from roost_plugins.redis_saq.keys import Keys
from roost_plugins.redis_saq.lanes import Lanes
from tests.unit.stepper_bench import LeapingLoop


def claim_of(number):
    """Make a claim."""
    lease = Lease(f"w{number}", "worker-1", f"t{number}", 1, datetime(2026, 1, 1, tzinfo=UTC))
    return Claim(lease, "demo", 0, 0, 0, 0, None, None, b"{}", None, 0.0)


class FakePubSub:
    """A connection that listens; what is put into the mailbox arrives, errors break it."""

    def __init__(self, backend):
        self.backend = backend

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.backend.listeners -= 1

    async def subscribe(self, channel):
        """Listen."""
        self.backend.listeners += 1
        self.backend.channels.append(channel)

    async def get_message(self, **_):
        """Wait for a message."""
        message = await self.backend.mailbox.get()
        if isinstance(message, Exception):
            raise message
        return message


class FakeBackend:
    """Answers claims from a script of its own, and notes when they came."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.keys = Keys("roost", "default", "default")
        self.endpoint = self
        self.description = "here"
        self.ready = []
        self.next_wake_ms = None
        self.leaves_more = False
        self.dead_letters = ()
        self.errors = []
        self.claims = []
        self.idle_flags = []
        self.given_back = []
        self.listeners = 0
        self.channels = []
        self.mailbox = asyncio.Queue()
        self.answering = asyncio.Event()
        self.answering.set()

    def client(self, *, blocking):
        """Return a client that can only listen."""
        assert blocking

        async def aclose():
            pass

        return SimpleNamespace(pubsub=lambda: FakePubSub(self), aclose=aclose)

    async def claim(self, request, *, was_idle):
        """Hand out what is ready."""
        self.claims.append((round(self.loop.time(), 3), request.limit))
        self.idle_flags.append(was_idle)
        await self.answering.wait()
        if self.errors:
            raise self.errors.pop(0)
        taken = [self.ready.pop(0) for _ in range(min(request.limit, len(self.ready)))]
        wake = None if len(taken) == request.limit else self.next_wake_ms
        if self.leaves_more:
            wake = 0
        self.next_wake_ms = None
        dead, self.dead_letters = self.dead_letters, ()
        return ClaimBatch(tuple(taken), dead, wake)

    async def interrupt(self, lease, commit_id, reason, delay_ms):
        """Take a lease back."""
        self.given_back.append(lease.token)
        if lease.token == "t-lost":
            raise LeaseLost("lost")


class Bench:
    """Lanes over the fake backend, and tasks that stand for SAQ's."""

    def __init__(self, *, burst=False, ttl_ms=15_000):
        self.backend = FakeBackend()
        self.letters = []
        self.stopping = asyncio.Event()
        plan = ServePlan("worker-1", ("a", "demo"), 3, ttl_ms, 1.0, burst, self.stopping)
        self.lanes = Lanes(self.backend, plan, self.on_dead_letters)

    async def on_dead_letters(self, ids):
        """Note them, or fail."""
        if "explode" in ids:
            raise ValueError("a bug in what observes")
        self.letters.extend(ids)

    def free(self):
        """Let a lane wait for a claim."""
        return asyncio.create_task(self.lanes.next_claim())


@pytest.fixture
def run(monkeypatch):
    """Run a coroutine function of a bench, and close its lanes."""

    def run_it(main, **how):
        with asyncio.Runner(loop_factory=LeapingLoop) as runner:
            clock = SimpleNamespace(monotonic=runner.get_loop().time)
            monkeypatch.setattr(lanes_module, "time", clock)
            monkeypatch.setattr(lanes_module.random, "uniform", lambda low, high: high)

            async def with_bench():
                bench = Bench(**how)
                bench.lanes.start()
                try:
                    await main(bench)
                finally:
                    await bench.lanes.close()
                assert 0 == bench.backend.listeners

            runner.run(with_bench())

    return run_it


def times(bench):
    """Return when claims came."""
    return [at for at, _ in bench.backend.claims]


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
    """Whatever a claim raises, the worker tries again, more and more slowly; told once."""

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


# -- claims made ahead ------------------------------------------------------------------------


async def backlog(bench):
    """Let one lane have work while more is ready; return its claim."""
    bench.backend.leaves_more = True
    bench.backend.ready = [claim_of(1)]
    claim = await bench.free()
    await asyncio.sleep(0.01)
    return claim


def test_a_claim_follows_the_call_that_ends_a_lease(run):
    """While more is ready, it does not wait for the answer; the lane finds its next work there."""

    async def main(bench):
        claim = await backlog(bench)
        before = len(times(bench))
        bench.backend.ready = [claim_of(2)]
        assert "-" == bench.lanes.lease_ends("t1")
        await asyncio.sleep(0.01)
        assert before + 1 == len(times(bench))
        assert [] == bench.backend.ready
        bench.lanes.lease_ended("t1", None)
        bench.lanes.lane_done(claim)
        assert "t2" == (await bench.free()).lease.token
        assert [] == bench.backend.given_back

    run(main)


def test_no_claim_ahead_without_more(run):
    """Where a claim found less than it might take, the script that ends a lease looks itself."""

    async def main(bench):
        bench.backend.ready = [claim_of(1)]
        await bench.free()
        await asyncio.sleep(0.01)
        before = len(times(bench))
        assert "a demo" == bench.lanes.lease_ends("t1")
        await asyncio.sleep(0.01)
        assert before == len(times(bench))

    run(main)


def test_no_claim_ahead_of_no_lane(run):
    """A lease that no lane holds, such as one that is given back, makes room for nothing."""

    async def main(bench):
        await backlog(bench)
        before = len(times(bench))
        assert "a demo" == bench.lanes.lease_ends("t-other")
        await asyncio.sleep(0.01)
        assert before == len(times(bench))

    run(main)


def test_a_lane_that_does_not_come(run):
    """What was claimed for it is given back after a while, without blame."""

    async def main(bench):
        await backlog(bench)
        bench.backend.ready = [claim_of(2)]
        bench.lanes.lease_ends("t1")
        await asyncio.sleep(lanes_module._AHEAD_GRACE - 0.01)
        assert [] == bench.backend.given_back
        await asyncio.sleep(0.02)
        assert ["t2"] == bench.backend.given_back

    run(main)


def test_lanes_that_are_held_up_again_and_again(run):
    """Nothing more is claimed ahead of lanes that do not come, for a while."""

    async def main(bench):
        claim = await backlog(bench)
        bench.backend.ready = [claim_of(number) for number in range(2, 9)]
        bench.lanes.lease_ends("t1")
        await asyncio.sleep(lanes_module._AHEAD_GRACE + 0.01)
        assert ["t2"] == bench.backend.given_back
        # The call that gave it back has seen that there is more.
        bench.lanes.lease_ended("t2", 0)
        before = len(times(bench))
        await asyncio.sleep(5)
        assert before == len(times(bench))

        bench.lanes.lease_ended("t1", None)
        bench.lanes.lane_done(claim)
        claim = await bench.free()
        assert "a demo" == bench.lanes.lease_ends(claim.lease.token)
        await asyncio.sleep(lanes_module._AHEAD_PAUSE)
        assert "-" == bench.lanes.lease_ends(claim.lease.token)

    run(main)


def test_stopping_with_claims_ahead(run):
    """They are given back before the lanes are closed."""

    async def main(bench):
        await backlog(bench)
        bench.backend.ready = [claim_of(2)]
        bench.lanes.lease_ends("t1")
        await asyncio.sleep(0.01)
        bench.stopping.set()
        await bench.lanes.close()
        assert ["t2"] == bench.backend.given_back
        assert "" == bench.lanes.lease_ends("t1")

    run(main)


# -- two claims under way ---------------------------------------------------------------------


async def busy_with_more(bench):
    """Let all three lanes be busy while more is ready; return what they run."""
    bench.backend.leaves_more = True
    bench.backend.ready = [claim_of(number) for number in range(1, 9)]
    claims = [await one for one in [bench.free() for _ in range(3)]]
    bench.backend.claims.clear()
    bench.backend.idle_flags.clear()
    bench.backend.answering.clear()
    return claims


async def end(bench, claim):
    """End a lease."""
    assert "-" == bench.lanes.lease_ends(claim.lease.token)
    await asyncio.sleep(0.01)


def test_two_claims_while_more_is_ready(run):
    """A second claim does not wait for the answer to the first, if half of the lanes need it."""

    async def main(bench):
        one, other, last = await busy_with_more(bench)
        bench.lanes.lease_ends(one.lease.token)
        await end(bench, other)
        assert [2] == [limit for _, limit in bench.backend.claims]
        await end(bench, last)
        # One of three is less than half: it waits, and joins the next claim.
        assert [2] == [limit for _, limit in bench.backend.claims]

        bench.backend.answering.set()
        for claim in (one, other, last):
            bench.lanes.lease_ended(claim.lease.token, None)
            bench.lanes.lane_done(claim)
        found = [await one for one in [bench.free() for _ in range(3)]]
        assert ["t4", "t5", "t6"] == sorted(one.lease.token for one in found)
        assert [2, 1] == [limit for _, limit in bench.backend.claims]

    run(main)


def test_each_takes_half_of_the_lanes(run):
    """So that worker and server take turns at halves; and no third is under way."""

    async def main(bench):
        for claim in await busy_with_more(bench):
            bench.lanes.lease_ends(claim.lease.token)
        for _ in range(3):
            bench.free()
        await asyncio.sleep(0.01)
        assert [2, 2] == [limit for _, limit in bench.backend.claims]
        # The first may yet find too little, and register the worker: the second has to know.
        assert [False, True] == bench.backend.idle_flags

    run(main)


def test_one_claim_while_nothing_is_known_to_be_ready(run):
    """One claim serves all free lanes, and those that come meanwhile wait for its answer."""

    async def main(bench):
        bench.backend.answering.clear()
        bench.free()
        await asyncio.sleep(0.01)
        for _ in range(2):
            bench.free()
        bench.backend.mailbox.put_nowait({})
        await asyncio.sleep(5)
        assert [1] == [limit for _, limit in bench.backend.claims]
        bench.backend.answering.set()
        await asyncio.sleep(0.01)
        assert [1, 3] == [limit for _, limit in bench.backend.claims]

    run(main)


def test_no_second_claim_after_an_error(run):
    """What failed is tried again by one claim, after its pause."""

    async def main(bench):
        claims = await busy_with_more(bench)
        bench.backend.errors = [BackendUnavailable("away")]
        bench.backend.answering.set()
        for claim in claims[:2]:
            bench.lanes.lease_ends(claim.lease.token)
        await asyncio.sleep(0.01)
        for _ in range(3):
            bench.free()
        await asyncio.sleep(0.08)
        assert 1 == len(bench.backend.claims)
        await asyncio.sleep(0.02)
        assert 2 == len(bench.backend.claims)
        # Whether the one that failed was carried out, nobody knows.
        assert bench.backend.idle_flags[1]

    run(main)


def test_a_burst_is_not_over_while_a_claim_is_under_way(run):
    """What the first of two has found in vain, the second may find."""

    async def main(bench):
        bench.backend.leaves_more = True
        bench.backend.ready = [claim_of(1)]
        claim = await bench.free()
        bench.backend.answering.clear()
        bench.lanes.lease_ended(claim.lease.token, None)
        bench.lanes.lane_done(claim)
        for _ in range(4):
            bench.free()
        await asyncio.sleep(0.01)
        assert 2 == bench.lanes._under_way
        bench.backend.leaves_more = False
        await bench.lanes._hand_out(ClaimBatch(()))
        assert not bench.lanes.is_over.is_set()
        bench.backend.answering.set()
        await bench.lanes.is_over.wait()

    run(main, burst=True)
