"""Steps that continue although they were ended: noticed, logged, and ended on record."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from datetime import UTC, datetime

from roost_core import threads
from roost_core.backend import Failure
from roost_core.codec.records import decode_model, encode_model
from roost_core.errors import BackendUnavailable
from roost_core.models import ErrorRecord, Lease
from roost_core.stepping import holds, lost
from roost_core.stepping.holds import DEAF_AFTER, Hold, Watch
from roost_core.stepping.lost import LostSteps
from roost_core.stepping.outcome import Ending
from tests.event_loops import leaping, real_time

TTL = 15.0


def lease(token="t1"):
    """Make a lease."""
    return Lease(f"w-{token}", "worker-1", token, 1, datetime(2026, 1, 1, tzinfo=UTC))


class Bench:
    """Lost steps of a worker with two lanes; failed attempts are recorded."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.failed = []
        self.given_back = []
        self.refusal = None
        self.lost = LostSteps([self], 2, TTL)
        self.watch = Watch(self.lost.deaf, self.lost.heard)

    async def fail(self, lease, failure):
        """Note it, or refuse."""
        self.failed.append(
            (lease.token, round(self.loop.time()), decode_model(ErrorRecord, failure.error))
        )
        if self.refusal is not None:
            raise self.refusal

    async def interrupt(self, lease, commit_id, reason, delay_ms):
        """Note it."""
        self.given_back.append((lease.token, round(self.loop.time()), commit_id, delay_ms))

    def hold(self, token="t1"):
        """Hold a lease for a long time."""
        found = Hold(lease(token), self.loop.time(), 10_000.0, self.watch)
        found.blame = lambda record: Failure("f0", encode_model(record), False, 0)
        return found

    async def step(self, hold, seconds, deaf_for):
        """Run a step that may take this long, and continues for a time after it was ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as scope:
                hold.begin_step(scope, seconds)
                ends = self.loop.time() + seconds + deaf_for
                try:
                    while (left := ends - self.loop.time()) > 0:
                        with contextlib.suppress(asyncio.CancelledError):
                            await asyncio.sleep(left)
                finally:
                    hold.end_step()


pytestmark = leaping(holds, lost)


def told(caplog, action):
    """Return the work items that the log reports in this way."""
    found = [one for one in caplog.records if getattr(one, "action", "") == action]
    return [getattr(one, "work_id", None) for one in found]


async def until(true):
    """Wait until threads have made something true."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - threads set no event of a loop's
            await asyncio.sleep(0)


async def test_a_step_that_hears_in_time_is_none_of_ours(caplog):
    """Every step may take some seconds to clean up."""
    bench = Bench()
    hold = bench.hold()
    for _ in range(10):
        await bench.step(hold, 1.0, DEAF_AFTER - 0.1)
    await asyncio.sleep(100)
    assert (0, []) == (bench.lost.lanes.lanes, bench.failed)
    assert [] == told(caplog, "lane_lost")


async def test_a_deaf_step(caplog):
    """Its lane counts as lost until it ends; one TTL after its time its attempt has failed."""
    bench = Bench()
    hold = bench.hold()
    step = asyncio.create_task(bench.step(hold, 10.0, 100.0))
    await asyncio.sleep(10 + DEAF_AFTER - 0.1)
    assert 0 == bench.lost.lanes.lanes
    await asyncio.sleep(0.2)
    assert 1 == bench.lost.lanes.lanes
    assert bench.lost.lanes.changed.is_set()
    assert ([], None, set()) == (bench.failed, hold.lost, bench.lost.lanes.ended)
    await asyncio.sleep(TTL)
    ((token, at, record),) = bench.failed
    assert ("t1", round(10 + TTL), "timeout") == (token, at, record.kind)
    assert "its step does not end" == hold.lost
    assert (1, {"t1"}) == (bench.lost.lanes.lanes, bench.lost.lanes.ended)
    await step
    assert (0, set()) == (bench.lost.lanes.lanes, bench.lost.lanes.ended)
    assert ["w-t1"] == told(caplog, "lane_lost")
    assert ["w-t1"] == told(caplog, "lane_back")


async def test_a_deaf_step_that_ends_before_its_ttl_is_over():
    """Then its own end decides its outcome."""
    bench = Bench()
    await bench.step(bench.hold(), 10.0, DEAF_AFTER + 1)
    await asyncio.sleep(10 * TTL)
    assert (0, []) == (bench.lost.lanes.lanes, bench.failed)


async def test_a_step_deaf_to_the_loss_of_its_lease(caplog):
    """It loses a lane as well; there is nothing to fail."""
    bench = Bench()
    hold = bench.hold()
    step = asyncio.create_task(bench.step(hold, 1000.0, 0.0))
    await asyncio.sleep(1)
    hold.mark_lost("somebody else owns the work now")
    await asyncio.sleep(DEAF_AFTER + 0.1)
    assert 1 == bench.lost.lanes.lanes
    # The lanes have to know that the work is others' by now.
    assert {"t1"} == bench.lost.lanes.ended
    await step
    assert (0, set(), []) == (bench.lost.lanes.lanes, bench.lost.lanes.ended, bench.failed)
    assert ["w-t1"] == told(caplog, "lane_lost")


async def test_a_step_deaf_to_the_end_of_its_work(caplog):
    """A TTL after people wanted its work ended its lease is given back; no attempt has failed."""
    bench = Bench()
    hold = bench.hold()
    step = asyncio.create_task(bench.step(hold, 1000.0, 0.0))
    await asyncio.sleep(1)
    hold.mark_wanted()
    await asyncio.sleep(DEAF_AFTER + 0.1)
    assert (1, []) == (bench.lost.lanes.lanes, bench.given_back)
    await asyncio.sleep(TTL)
    assert [("t1", round(1 + TTL), "ended", None)] == bench.given_back
    assert (1, {"t1"}) == (bench.lost.lanes.lanes, bench.lost.lanes.ended)
    # What the step brings when it ends is still not wanted, rather than lost.
    assert Ending.WANTED is hold.ending
    await step
    assert (0, set(), []) == (bench.lost.lanes.lanes, bench.lost.lanes.ended, bench.failed)
    assert ["w-t1"] == told(caplog, "lane_back")


async def test_a_server_that_is_away_when_an_attempt_fails(caplog):
    """That is logged; the lease expires by itself."""
    bench = Bench()
    bench.refusal = BackendUnavailable("away")
    await bench.step(bench.hold(), 1.0, 100.0)
    assert any("cannot be given up: away" in one.getMessage() for one in caplog.records)


async def test_more_than_can_be_made_up_for(caplog):
    """As many are made up for as there are lanes; then the worker is full, and says so once."""
    bench = Bench()
    assert 2 == bench.lost.lanes.bound
    steps = [asyncio.create_task(bench.step(bench.hold(f"t{n}"), 1.0, 60.0)) for n in range(4)]
    await asyncio.sleep(DEAF_AFTER + 2)
    assert (4, True) == (bench.lost.lanes.lanes, bench.lost.lanes.is_full)
    await asyncio.gather(*steps)
    assert (0, False) == (bench.lost.lanes.lanes, bench.lost.lanes.is_full)
    assert 1 == len(told(caplog, "lanes_lost"))


@real_time
async def test_threads_that_go_on(monkeypatch, caplog):
    """They are counted at once, logged with their place, and forgotten when they end."""
    entered, release = threading.Event(), threading.Event()

    def block():
        entered.set()
        release.wait(60)

    found = LostSteps([None], 1, TTL)
    hold = Hold(lease(), time.monotonic(), TTL)
    async with asyncio.timeout(None) as scope:
        hold.begin_step(scope, 100)
        call = asyncio.create_task(threads.run_in_thread(block))
        await until(entered.is_set)
        assert 0 == found.lanes.count
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert (1, False) == (found.lanes.count, found.lanes.is_full)
        assert 1 == found.look()
        assert [] == told(caplog, "thread_lost")
        monkeypatch.setattr(lost, "DEAF_AFTER", 0.0)
        assert (1, 1) == (found.look(), found.look())
        release.set()
        await until(lambda: found.lanes.count == 0)
        assert 0 == found.look()
    hold.end_step()
    assert ["w-t1"] == told(caplog, "thread_lost")
    assert "release.wait(60)" in caplog.text


@real_time
async def test_a_call_that_ends_before_it_is_given_up():
    """It is not counted, however close it is."""
    pool = threads.DaemonThreads("t")
    for _ in range(200):
        call = asyncio.create_task(pool.run(lambda: None))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    await until(lambda: not pool.left_running())
    pool.close()
