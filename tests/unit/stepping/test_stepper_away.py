"""Steps whose server does not answer, or whose answers get lost."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.errors import RetryLater
from roost_core.models import State
from tests.unit.stepping.stepper_bench import (
    TTL,
    Bench,
    Flaky,
    counting,
    engine,
    leaping,
    noting_losses,
    observer,
)

pytestmark = leaping


async def test_lost_replies_of_commits():
    """A commit whose reply is lost is recognized when it is sent again: one version each."""
    ledger = Flaky()
    ledger.lost["commit"] = 3
    bench = Bench(engine(counting(3)), ledger=ledger)
    work_id = await bench.enqueue()
    await bench.once()
    assert 7 == len(ledger.calls)
    events = [one for one in await ledger.events(limit=100) if one.kind == "committed"]
    assert [1, 2, 3, 4] == [one.version for one in events]
    assert State.DONE is await bench.state(work_id)


@pytest.mark.parametrize(("method", "expected"), [("fail", 1), ("interrupt", 0)])
async def test_lost_replies_of_others(method, expected):
    """An attempt counts once, and an interruption not at all, however often it is sent."""

    async def step(snapshot):
        raise ValueError("no") if method == "fail" else RetryLater(5)

    ledger = Flaky()
    ledger.lost[method] = 2
    bench = Bench(engine(step), ledger=ledger)
    work_id = await bench.enqueue()
    await bench.once()
    assert [method] * 3 == ledger.calls[1:]
    work = await ledger.read(work_id)
    assert (expected, 1) == (work.attempts, work.version)


async def test_a_repeat_extends_trust_from_the_first_request():
    """The server extended the lease when it applied the commit, not when it was asked again."""

    async def step(snapshot):
        await asyncio.sleep(TTL / 2)  # otherwise the commit would not extend the lease
        ledger.lost["commit"] = 6
        return await counting(2)(snapshot)

    ledger = Flaky()
    lease_end, extended = [], []

    async def on_step_committed(snapshot):
        work = await ledger.read(snapshot.work_id)
        if work.expires_ms is not None:
            now = await ledger.now_ms()
            trusted = bench.keeper.holds[0].trusted_until - asyncio.get_running_loop().time()
            extended.append(trusted > TTL / 2)
            lease_end.append((work.expires_ms - now) / 1000 - trusted)

    bench = Bench(
        engine(step),
        observer(on_step_committed=on_step_committed),
        ledger=ledger,
        slice_seconds=1000,
    )
    await bench.enqueue()
    await bench.once()
    assert 2 == len(lease_end)
    assert extended[1]
    assert all(one >= -0.001 for one in lease_end)


async def test_server_away_for_less_than_the_lease():
    """A short absence is waited out; the step is not run again."""
    begun = []

    async def step(snapshot):
        begun.append(1)
        ledger.away_until = asyncio.get_running_loop().time() + TTL - 2
        return await counting(1)(snapshot)

    ledger = Flaky()
    bench = Bench(engine(step), ledger=ledger)
    work_id = await bench.enqueue()
    await bench.once()
    assert (State.DONE, [1]) == (await bench.state(work_id), begun)


async def test_server_away_for_longer_than_the_lease():
    """After that the lease is not trusted; observers are told, and others continue."""
    lost = []

    async def step(snapshot):
        if not lost:
            ledger.away_until = asyncio.get_running_loop().time() + 60
        return await counting(1)(snapshot)

    ledger = Flaky()
    bench = Bench(engine(step), observer(on_lease_lost=noting_losses(lost)), ledger=ledger)
    work_id = await bench.enqueue()
    await bench.once()
    assert 1 == len(lost)
    assert TTL <= asyncio.get_running_loop().time() < TTL + 2
    assert set() == bench.keeper.kept
    await asyncio.sleep(60)
    await bench.through()
    work = await ledger.read(work_id)
    assert (State.DONE, 2, 0) == (work.state, work.version, work.attempts)
