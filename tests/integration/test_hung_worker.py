"""A real worker process whose event loop hangs: what is shown about it, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from roost_core import Roost, Settings
from roost_core.client.examining import of_workers
from roost_core.models import RetryPolicy, State
from roost_core.stepping.stuck import EXIT_STUCK
from roost_plugins.redis_saq.settings import RedisSettings
from tests.integration.redis_bench import PATIENCE, eventually, settings_for
from tests.servers import need, redis_binary, server_in

ENGINE = """
import asyncio, time
from roost_core import hookimpl

engine_id = "patience"

@hookimpl
async def step(snapshot, item):
    if item.payload["hangs"]:
        time.sleep(1e6)
    await asyncio.sleep(0.3)
    n = snapshot.data.get("n", 0) + 1
    return snapshot.evolve(data={"n": n}, is_finished=n >= 10)
"""


@pytest.fixture(scope="module")
def server(server_root):
    """Give a server of its own."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "hung") as found:
        yield found


class Workers:
    """Worker processes, one after the other, as a service manager starts them."""

    def __init__(self, folder, settings):
        self.settings = settings
        self.log = folder / "log"
        self.engine = folder / "patience.py"
        self.engine.write_text(ENGINE)
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.started:
            worker.send_signal(signal.SIGCONT)
            worker.kill()
            worker.wait()

    def start(self):
        """Start one."""
        settings = self.settings
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ROOST_")} | {
            "ROOST_REDIS_URL": settings.of(RedisSettings).url,
            "ROOST_NAMESPACE": settings.namespace,
            "ROOST_HOME": str(settings.home),
            "ROOST_LEASE_TTL": str(settings.lease_ttl),
            "ROOST_STUCK_AFTER": str(settings.stuck_after),
        }
        command = [sys.executable, "-m", "roost_core.cli", "worker", "--plugin", str(self.engine)]
        with self.log.open("ab") as log:
            worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.started.append(worker)
        return worker


async def item_of(roost, hangs, **fields):
    """Enqueue a work item."""
    retry = RetryPolicy(max_attempts=2, base_seconds=0.1, max_seconds=0.1)
    return await roost.enqueue("patience", {"hangs": hangs}, retry=retry, any_engine=True, **fields)


@pytest.mark.fault(8, "a step that blocks the event loop for good", n=2)
async def test_one_item_that_hangs_worker_after_worker(server, tmp_path):
    """It is shown, it alone is blamed, and it is buried after its attempts; the others get done."""
    settings = settings_for(server, lease_ttl=2.0, stuck_after=7.0, home=tmp_path / "home")

    with Workers(tmp_path, settings) as workers:
        async with Roost.connect(settings) as roost:
            good = [await item_of(roost, hangs=False) for _ in range(5)]
            bad = await item_of(roost, hangs=True, priority=-10)
            workers.start()

            async def is_shown():
                return (await roost.work(bad).status()).stuck

            shown = await eventually(is_shown)
            assert bad.work_id == shown.work_id
            assert f"{workers.engine}:10 in step" == shown.where
            alive, trouble = of_workers(await roost.workers())
            assert "1 alive, 1 stuck" == alive.message
            assert "problem" == trouble.level
            assert bad.work_id in trouble.message
            exits = []
            async with asyncio.timeout(PATIENCE):
                while len(exits) < 2:
                    exits.append(await asyncio.to_thread(workers.started[-1].wait))
                    workers.start()
                found = [(await roost.work(one).wait()).meta for one in (*good, bad)]
            assert [EXIT_STUCK] * 2 == exits
            assert [State.DONE] * 5 + [State.FAILED] == [one.state for one in found]
            assert {0} == {one.recoveries for one in found}
            buried = found[-1]
            assert ("hung", 2) == (buried.error.kind, buried.attempts)
            assert "time.sleep(1e6)" in buried.error.traceback
            for one in good:
                kinds = [event.kind for event in await roost.work(one).events()]
                assert "attempt_failed" not in kinds
                assert "recovered" not in kinds

    log = workers.log.read_text()
    assert "the event loop has not moved for" in log
    assert "time.sleep(1e6)" in log
    assert "this worker ends: its event loop has not moved for" in log


async def test_a_hung_worker_whose_server_is_away_ends_all_the_same(server_root, tmp_path):
    """It tries, and does not try for long."""
    binary = need(redis_binary(), "redis-server")
    with server_in(binary, server_root / "away") as server:
        settings = settings_for(server, lease_ttl=1.0, stuck_after=3.0, home=tmp_path / "home")

        with Workers(tmp_path, settings) as workers:
            worker = workers.start()
            async with Roost.connect(settings) as roost:
                bad = await item_of(roost, hangs=True)

                async def hangs():
                    return (await roost.work(bad).status()).stuck

                await eventually(hangs)
            server.process.send_signal(signal.SIGSTOP)
            try:
                assert EXIT_STUCK == await asyncio.to_thread(worker.wait, PATIENCE)
            finally:
                server.process.send_signal(signal.SIGCONT)


@pytest.mark.fault(2, "SIGSTOP of a worker past its lease")
async def test_a_worker_that_was_stopped_goes_on(server, tmp_path):
    """SIGSTOP for longer than a hung worker may live, then SIGCONT: it does not count as hung."""
    settings = settings_for(server, lease_ttl=1.0, stuck_after=3.0, home=tmp_path / "home")

    with Workers(tmp_path, settings) as workers:
        worker = workers.start()
        async with Roost.connect(settings) as roost:
            items = [await item_of(roost, hangs=False) for _ in range(3)]

            async def begun():
                return (await roost.work(items[0]).status()).meta.version >= 1

            await eventually(begun)
            worker.send_signal(signal.SIGSTOP)
            await asyncio.to_thread(time.sleep, 4.5)
            worker.send_signal(signal.SIGCONT)
            async with asyncio.timeout(PATIENCE):
                found = [(await roost.work(one).wait()).meta.state for one in items]
            assert [State.DONE] * 3 == found
            assert worker.poll() is None

    assert "hangs at" not in workers.log.read_text()


def test_settings_say_when():
    """Five minutes, unless the setting says otherwise."""
    assert 300.0 == Settings().stuck_after
