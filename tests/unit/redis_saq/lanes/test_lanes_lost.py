"""Lanes of a worker that has lost some to steps that do not end."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from roost_core.backend import Alone
from roost_plugins.redis_saq.lanes.extra_lanes import ExtraLanes
from tests.unit.redis_saq.lanes.lanes_bench import claim_of, leaping, over_lanes, times

pytestmark = leaping


@pytest.fixture
def bench():
    """Give lanes that run."""
    return over_lanes()


async def _no_step(_claim):
    """Run nothing."""


async def test_nothing_is_claimed_beyond_the_bound(bench):
    """Until some of what is lost ends; then at once."""
    bench.threads = 4
    bench.free()
    bench.ledger.ready = [claim_of(1)]
    await asyncio.sleep(100)
    assert [] == times(bench)
    bench.threads = 3
    bench.lanes.look_again()
    await asyncio.sleep(0.1)
    assert [100.0] == times(bench)[:1]


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_worker_with_lost_steps_does_not_wait_for_them(bench, lost):
    """Asked to let its work end, it would wait forever: it continues, and runs nothing alone."""
    # A lane is at work forever; the worker is told that something suspected waits.
    lane = bench.free()
    bench.ledger.ready = [claim_of(1)]
    await lane
    bench.lost.lanes = lost
    bench.ledger.drain = True
    bench.free()
    await asyncio.sleep(30)
    before = len(times(bench))
    bench.ledger.ready = [claim_of(2)]
    bench.lanes.policy.look_at_all()
    bench.lanes.look()
    await asyncio.sleep(100)
    assert (len(times(bench)) > before) is (lost == 1)
    assert {Alone.NEVER} == set(bench.ledger.alone[1:])


async def test_a_suspect_that_is_lost_holds_up_nobody(bench):
    """Once its lease has ended other work is claimed, though its lane never comes back."""
    lane = bench.free()
    bench.ledger.ready = [attrs.evolve(claim_of(1), is_solo=True)]
    claim = await lane
    bench.free()
    bench.ledger.ready = [claim_of(2)]
    await asyncio.sleep(30)
    before = len(times(bench))
    bench.lost.lanes = 1
    bench.served.lease_ended(claim.lease.token, None)
    await asyncio.sleep(0.1)
    assert before < len(times(bench))


async def test_a_suspect_whose_lease_is_lost_holds_up_nobody(bench):
    """Nothing says then that its lease has ended: the worker's own count of lost steps decides."""
    extra = ExtraLanes(bench.lanes, bench.lost, _no_step)
    lane = bench.free()
    bench.ledger.ready = [attrs.evolve(claim_of(1), is_solo=True)]
    claim = await lane
    bench.free()
    bench.ledger.ready = [claim_of(2)]
    bench.lost.lanes = 1
    bench.lost.changed.set()
    await asyncio.sleep(30)
    # Its lease may yet be held: nothing runs alongside it.
    before = len(times(bench))
    assert 1 == before
    bench.lost.ended.add(claim.lease.token)
    bench.lost.changed.set()
    await asyncio.sleep(0.1)
    assert before < len(times(bench))
    await extra.close()


async def test_a_suspect_that_no_lane_took_holds_up_nobody(bench):
    """Even if it cannot be given back, because its lease is lost."""
    lane = bench.free()
    bench.free()
    await asyncio.sleep(1)
    solo = attrs.evolve(claim_of(1), is_solo=True)
    object.__setattr__(solo.lease, "token", "t-lost")
    bench.ledger.ready = [solo]
    bench.lanes.policy.look_at_all()
    bench.lanes.look()
    found = await lane
    assert solo is found
    bench.ledger.ready = [claim_of(2)]
    await asyncio.sleep(30)
    before = len(times(bench))
    await bench.lanes._give_back(bench.served, found)
    bench.lanes._ends(found)
    await asyncio.sleep(0.1)
    assert before < len(times(bench))


async def test_extra_lanes_come_and_go(bench):
    """As many as are lost, up to the bound; those without work leave at once."""
    handled = []

    async def handle(claim):
        handled.append(claim.lease.token)

    extra = ExtraLanes(bench.lanes, bench.lost, handle)
    for lost, expected in [(1, 1), (3, 3), (5, 3), (2, 2), (0, 0), (1, 1)]:
        bench.lost.lanes = lost
        bench.lost.changed.set()
        await asyncio.sleep(0.1)
        assert expected == len(extra._waiting) == len(extra._tasks)
    for number in (1, 2):
        bench.ledger.ready = [claim_of(number)]
        bench.lanes.policy.look_at_all()
        bench.lanes.look()
        await asyncio.sleep(0.1)
    assert ["t1", "t2"] == handled
    await extra.close()
    assert set() == extra._tasks
