"""Deaths, outages and lost replies: only what has killed its worker is buried for that."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from roost_core import Settings, State
from roost_core.errors import BackendUnavailable
from roost_core.testing import MemoryArtifactStore
from roost_core.worker import Worker
from tests.chaos.crew import Crew, ask, counts, enqueue, events, eventually
from tests.integration.redis_bench import Counting, all_done, queue, settings_for
from tests.servers import Server, need, redis_binary, server_in


@pytest.mark.parametrize(("poisons", "workers"), [(1, 1), (2, 2)])
def test_poison_is_buried_alone(
    redis_server: Server,
    tmp_path: Path,
    tally: Callable[[int, str, int], None],
    poisons: int,
    workers: int,
) -> None:
    """B1: work that ran alongside it, and whose workers died each time, is done in the end."""
    settings = Settings(
        home=tmp_path,
        extra={"redis_url": redis_server.url},
        namespace=f"poison-{poisons}",
        lease_ttl=1.0,
    )
    bad = enqueue(settings, poisons, payload={"poison": "kill", "after": 0.3}, max_recoveries=2)
    good = enqueue(settings, 8, max_recoveries=2)
    with Crew(tmp_path, settings, steps=2, pause=1.0) as crew:
        for _ in range(workers):
            crew.start()

        def is_over() -> bool:
            for index, worker in enumerate(crew.workers):
                if worker.poll() is not None:
                    crew.replace(index)
            standing = counts(settings)
            return standing[State.FAILED] + standing[State.DONE] == len(bad) + len(good)

        eventually(is_over, "all have come to an end")
    for work_id in good:
        status = ask(settings, lambda roost, one=work_id: roost.work(one).status())
        assert State.DONE is status.meta.state  # type: ignore[attr-defined]
    for work_id in bad:
        status = ask(settings, lambda roost, one=work_id: roost.work(one).status())
        meta = status.meta  # type: ignore[attr-defined]
        assert (State.FAILED, "recoveries", 2) == (meta.state, meta.error.kind, meta.recoveries)
    tally(9, "poison that kills, beside healthy work", poisons)


def test_outages_are_no_deaths(server_root: Path, tmp_path: Path) -> None:
    """B2: the server stops again and again for longer than the lease; one worker lives on."""
    binary = need(redis_binary(), "redis-server")
    with server_in(binary, server_root / "outages") as server:
        settings = Settings(
            home=tmp_path, extra={"redis_url": server.url}, namespace="outages", lease_ttl=0.6
        )
        work_ids = enqueue(settings, 4, max_recoveries=1)
        with Crew(tmp_path, settings, steps=3, pause=2.0) as crew:
            crew.start()
            eventually(lambda: bool(crew.runs()), "a first step")
            for _ in range(5):
                os.kill(server.process.pid, signal.SIGSTOP)
                time.sleep(1.2)
                os.kill(server.process.pid, signal.SIGCONT)
                time.sleep(0.5)
            eventually(lambda: counts(settings)[State.DONE] == len(work_ids), "all done")
            assert crew.workers[0].poll() is None
        kinds = [event.kind for event in events(settings)]
        assert 0 == kinds.count("dead_lettered") == kinds.count("attempt_failed")


async def test_lost_answers_to_claims_are_no_deaths(redis_server: Server) -> None:
    """B2: what a claim leased before its answer got lost is taken back by the next claim."""
    settings = settings_for(redis_server, lease_ttl=60.0)
    engine = Counting()
    async with queue(settings, engine) as roost:
        items = [await roost.enqueue("counting", {"steps": 2}) for _ in range(10)]
        claim, left = roost.ledger.claim, 5

        async def lossy(request, **how):
            nonlocal left
            batch = await claim(request, **how)
            if batch.claims and left:
                left -= 1
                raise BackendUnavailable("the answer was lost")
            return batch

        roost.ledger.claim = lossy
        worker = Worker(
            settings, roost.plugins, roost.server, MemoryArtifactStore(), concurrency=10
        )
        running = asyncio.create_task(worker.run())
        # Long before their leases expire.
        assert [State.DONE] * 10 == await all_done(roost, items)
        worker.stop()
        await running
        found = await roost.events(limit=1000)
        kinds = [event.kind for event in found]
        assert 0 == kinds.count("recovered")
        assert 50 == kinds.count("interrupted")
        assert {1} == {engine.begun.count(one) for one in set(engine.begun)}


async def test_a_worker_that_leaves_gives_back_what_it_never_heard_of(redis_server: Server) -> None:
    """The answer to its last claim is lost, and then it is told to stop."""
    settings = settings_for(redis_server, lease_ttl=60.0)
    engine = Counting()
    async with queue(settings, engine) as roost:
        item = await roost.enqueue("counting", {"steps": 2})
        claim = roost.ledger.claim
        lost = asyncio.Event()

        async def lossy(request, **how):
            batch = await claim(request, **how)
            if batch.claims:
                lost.set()
                raise BackendUnavailable("the answer was lost")
            return batch

        roost.ledger.claim = lossy
        worker = Worker(settings, roost.plugins, roost.server, MemoryArtifactStore())
        running = asyncio.create_task(worker.run())
        await lost.wait()
        worker.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        meta = (await roost.work(item).status()).meta
        assert (State.QUEUED, 0) == (meta.state, meta.suspicions)
