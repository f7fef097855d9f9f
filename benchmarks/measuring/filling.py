"""Work items in large numbers, and what the server's scripts cost with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import attrs

from benchmarks.measuring.server import Server
from benchmarks.measuring.working import Engine
from roost_core import Roost, Snapshot
from roost_core.backend import Claim, ClaimRequest, Commit, Failure, Finish, GoOn, Next, Sleep
from roost_core.client.requests import EnqueueRequest
from roost_core.codec.records import encode_model
from roost_core.codec.snapshots import encode_snapshot
from roost_core.models import ErrorRecord

#: Sleepers sleep this long, each a little longer. Seconds.
_LONG = 86_400.0
_A_DAY = Sleep(round(_LONG * 1000))
#: A cost is the mean of this many calls of each script, unless stated otherwise.
_CALLS = 400
#: When a backlog comes back, and the claims that are timed then. Seconds, number.
_SOON = 3.0
_BACKLOG_CLAIMS = 5
_ENGINE = Engine.engine_id
#: How many steps a long life takes in each lease.
_SLICE = 50


def _requests(count: int, delay: float) -> Iterator[EnqueueRequest]:
    for number in range(count):
        yield EnqueueRequest(
            engine=_ENGINE,
            payload={"task": "x" * 85},
            delay_seconds=delay and delay + number / 100,
        )


async def add_sleepers(roost: Roost, count: int) -> None:
    """Enqueue work that is due in a day, as a client does."""
    await roost.enqueue_many(_requests(count, _LONG), any_engine=True)


async def add_ready(roost: Roost, count: int) -> None:
    """Enqueue work that may begin at once."""
    await roost.enqueue_many(_requests(count, 0), any_engine=True)


async def add_stepped_sleepers(roost: Roost, count: int) -> None:
    """Enqueue work and take it through one step each, to sleep for a day with a snapshot."""
    await add_ready(roost, count)
    left = count
    while left:
        claims = await _claim(roost, min(left, 100))
        await asyncio.gather(*(_commit(roost, claim, _A_DAY, 150) for claim in claims))
        left -= len(claims)


async def add_failed(roost: Roost, count: int) -> None:
    """Enqueue work and let it fail for good, with three kinds of error in turns."""
    await add_ready(roost, count)
    left = count
    while left:
        claims = await _claim(roost, min(left, 100))
        await asyncio.gather(*(_fail(roost, claim, left + n) for n, claim in enumerate(claims)))
        left -= len(claims)


async def _fail(roost: Roost, claim: Claim, number: int) -> None:
    what = ("429 Too Many Requests", "no such page", "out of memory")[number % 3]
    error = encode_model(ErrorRecord("permanent", f"{what}: page {number}", "Broken", "a line\n"))
    await roost.ledger.fail(claim.lease, Failure("failed", error, permanent=True, delay_ms=0))


async def add_long_life(roost: Roost, steps: int, size: int) -> str:
    """Take one work item through many steps, the last with a state of this many bytes.

    :returns: its id; it is asleep.
    """
    item = await roost.enqueue(_ENGINE, {"task": "x" * 85}, priority=100, any_engine=True)
    claim = await _claim_of(roost, item.work_id)
    for version in range(steps):
        at = attrs.evolve(claim, version=version)
        if version == steps - 1:
            await _commit(roost, at, _A_DAY, size)
        elif version % _SLICE == _SLICE - 1:
            # A worker takes turns with other work after as many steps as that.
            await _commit(roost, at, Sleep(0), 150)
            claim = await _claim_of(roost, item.work_id)
        else:
            await _commit(roost, at, GoOn(60_000), 150)
    return item.work_id


async def _claim_of(roost: Roost, work_id: str) -> Claim:
    (claim,) = await _claim(roost, 1)
    if claim.lease.work_id != work_id:
        raise RuntimeError(f"other work is in line before {work_id}")
    return claim


async def _claim(roost: Roost, limit: int, ttl_ms: float = 60_000) -> tuple[Claim, ...]:
    request = ClaimRequest(
        worker_id="filler", engines=(_ENGINE,), limit=limit, lease_ttl_ms=round(ttl_ms)
    )
    return (await roost.ledger.claim(request)).claims


async def _commit(roost: Roost, claim: Claim, what_follows: Next, size: int) -> None:
    snapshot = Snapshot(
        work_id=claim.lease.work_id,
        engine=claim.engine,
        version=claim.version + 1,
        step="step",
        data={"n": 1, "text": "x" * size},
    )
    commit = Commit(
        commit_id=f"c{claim.version}",
        expected_version=claim.version,
        snapshot=encode_snapshot(snapshot),
        step="step",
        next=what_follows,
    )
    await roost.ledger.commit(claim.lease, commit)


@attrs.frozen
class Costs:
    """Microseconds of the server for one call of each kind."""

    enqueue: float
    claim: float
    commit_continue: float
    commit_sleep: float
    commit_finish: float


async def script_costs(roost: Roost, server: Server, calls: int = _CALLS) -> Costs:
    """Call each script alone, and read its cost from the server's own count.

    Afterwards, that many more work items are asleep.
    """

    async def cost_of(work: Any) -> tuple[float, Any]:
        before = server.counters()
        result = await work
        spent = server.counters() - before
        return spent.script_us / max(1, spent.script_calls), result

    async def claims() -> list[Claim]:
        return [claim for _ in range(calls) for claim in await _claim(roost, 1)]

    async def commits(found: list[Claim], what_follows: Next) -> None:
        for claim in found:
            await _commit(roost, claim, what_follows, 250)

    enqueue, _ = await cost_of(add_ready(roost, calls))
    claim, found = await cost_of(claims())
    going_on, _ = await cost_of(commits(found, GoOn(60_000)))
    found = [attrs.evolve(one, version=one.version + 1) for one in found]
    finish, _ = await cost_of(commits(found, Finish()))
    await add_ready(roost, calls)
    sleep, _ = await cost_of(commits(await claims(), _A_DAY))
    return Costs(enqueue, claim, going_on, sleep, finish)


async def backlog_claims(
    roost: Roost, server: Server, count: int, *, is_expired: bool
) -> list[float]:
    """Claim while a large backlog comes back at once, and return the server's ms for each claim.

    The first claims work the backlog off, in portions that the backend chooses.

    :param is_expired: what comes back are expired leases; else work that has become due.
    """
    if is_expired:
        await add_ready(roost, count)
        for _ in range(0, count, 100):
            await _claim(roost, 100, _SOON * 1000)
    else:
        requests = (EnqueueRequest(engine=_ENGINE, delay_seconds=_SOON) for _ in range(count))
        await roost.enqueue_many(requests, any_engine=True)
    await asyncio.sleep(_SOON * 1.2)
    found = []
    for _ in range(_BACKLOG_CLAIMS):
        before = server.counters()
        await _claim(roost, 10)
        found.append((server.counters() - before).script_us / 1000)
    return found
