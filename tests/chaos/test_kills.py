"""Kill -9 of workers and of the server loses nothing, and nothing is recorded twice."""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from roost_core import Settings
from roost_core.models import State
from roost_plugins.redis_saq.embedded import server as embedded
from tests.chaos.crew import (
    Crew,
    accepted_versions,
    counts,
    enqueue,
    events,
    eventually,
)
from tests.servers import Server, need, redis_binary, server_in

#: Notes a fault and how often it was injected.
Tally = Callable[[int, str, int], None]


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a home folder whose embedded server is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="roost-") as folder:
        path = Path(folder) / "home"
        yield path
        if path.exists():
            embedded.stop(path)


def check_record(settings: Settings, work_ids: list[str], steps: int) -> None:
    """Assert that every item is done, with every version accepted exactly once, in order."""
    expected = {work_id: list(range(1, steps + 2)) for work_id in work_ids}
    accepted = accepted_versions(events(settings))
    assert expected == {work_id: accepted.get(work_id) for work_id in work_ids}


@pytest.mark.parametrize(("workers", "items", "pause"), [(1, 80, 0.05), (3, 120, 0.3)])
def test_workers_killed_again_and_again(
    server_root: Path, tmp_path: Path, tally: Tally, workers: int, items: int, pause: float
) -> None:
    """Items of 10 steps, a worker killed soon after its first step until all is done, or 50 times.

    Each version is accepted once.
    """
    seed = workers
    dice = random.Random(seed)
    with server_in(need(redis_binary(), "redis-server"), server_root / "kills") as server:
        settings = Settings(home=tmp_path, extra={"redis_url": server.url}, lease_ttl=1.0)
        work_ids = enqueue(settings, items, max_recoveries=10)
        with Crew(tmp_path, settings, steps=10, pause=pause) as crew:
            for _ in range(workers):
                crew.start()
            kills = 0

            def is_done() -> bool:
                return counts(settings)[State.DONE] == items

            while kills < 50 and not is_done():
                index = dice.randrange(workers)
                pid = crew.workers[index].pid
                eventually(
                    lambda pid=pid: pid in crew.last_begun() or is_done(),
                    f"a step after kill {kills} (seed {seed})",
                )
                time.sleep(dice.uniform(0.0, 0.5))
                crew.replace(index)
                kills += 1
            eventually(is_done, f"all done (seed {seed})")
            check_record(settings, work_ids, steps=10)
            runs = crew.runs()
        # A kill repeats at most the steps that were in flight: ten lanes.
        assert sum(runs.values()) - len(runs) <= kills * 10
        assert {(w, v) for w in work_ids for v in range(1, 11)} == set(runs)
        tally(1, "kill -9 of workers", kills)


def test_workers_of_two_queues_killed_at_random(
    server_root: Path, tmp_path: Path, tally: Tally
) -> None:
    """Nothing of either queue is lost, and no more runs twice than there were leases lost."""
    dice, queues = random.Random(7), ("mail", "reports")
    with server_in(need(redis_binary(), "redis-server"), server_root / "pairs") as server:
        both = [
            Settings(home=tmp_path, queue=name, extra={"redis_url": server.url}, lease_ttl=1.0)
            for name in queues
        ]
        work_ids = [enqueue(one, 60, max_recoveries=10) for one in both]
        with Crew(tmp_path, both[0], steps=10, pause=0.1, queues=queues) as crew:
            for _ in range(2):
                crew.start()
            kills = 0

            def is_done() -> bool:
                return all(counts(one)[State.DONE] == 60 for one in both)

            while kills < 25 and not is_done():
                index = dice.randrange(2)
                pid = crew.workers[index].pid
                eventually(
                    lambda pid=pid: pid in crew.last_begun() or is_done(),
                    f"a step after kill {kills}",
                )
                time.sleep(dice.uniform(0.0, 0.5))
                crew.replace(index)
                kills += 1
            eventually(is_done, "all done")
            for settings, ids in zip(both, work_ids, strict=True):
                check_record(settings, ids, steps=10)
            runs = crew.runs()
        assert sum(runs.values()) - len(runs) <= kills * 10
        assert {(w, v) for ids in work_ids for w in ids for v in range(1, 11)} == set(runs)
        tally(1, "kill -9 of workers on two queues", kills)


def test_server_and_workers_ended(home: Path, tally: Tally) -> None:
    """Three workers and the embedded server, ended in turn: what was acknowledged is there."""
    settings = Settings(home=home, lease_ttl=2.0)
    work_ids = enqueue(settings, 60, max_recoveries=10)
    dice = random.Random(2)
    blows = [
        (victim, number)
        for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)
        for victim in ("supervisor_pid", "server_pid")
    ]
    with Crew(home, settings, steps=10, pause=0.2) as crew:
        for _ in range(3):
            crew.start()
        eventually(lambda: bool(crew.runs()), "a first step")
        for victim, number in blows:
            before = dict(accepted_versions(events(settings)))
            about = json.loads((home / "server" / "server.json").read_text())
            os.kill(about[victim], number)
            after = accepted_versions(events(settings))
            for work_id, versions in before.items():
                assert versions == after[work_id][: len(versions)]
            time.sleep(dice.uniform(0.1, 0.5))
            crew.replace(dice.randrange(3))
        eventually(lambda: counts(settings)[State.DONE] == len(work_ids), "all done")
        check_record(settings, work_ids, steps=10)
    for number in (signal.SIGKILL, signal.SIGTERM):
        n = [one for _, one in blows].count(number)
        tally(5, f"{number.name} of the embedded server or its supervisor", n)
    tally(1, "kill -9 of workers", len(blows))


def test_zombies(server_root: Path, tmp_path: Path, tally: Tally) -> None:
    """Workers stopped past their leases find, on waking, that their commits are refused."""
    rounds, zombies = 3, 4
    with server_in(need(redis_binary(), "redis-server"), server_root / "zombies") as server:
        settings = Settings(home=tmp_path, extra={"redis_url": server.url}, lease_ttl=1.0)
        with Crew(tmp_path, settings, steps=2, pause=0.7) as crew:
            for _ in range(zombies):
                crew.start(ROOST_CONCURRENCY="1")
            done = 0
            for number in range(rounds):
                dropped = crew.log.read_bytes().count(b"the lease is lost")
                done += zombies
                work_ids = enqueue(settings, zombies)
                in_work = {(work_id, 1) for work_id in work_ids}
                eventually(lambda: in_work <= set(crew.runs()), f"first steps, {number}")  # noqa: B023
                for zombie in crew.workers:
                    zombie.send_signal(signal.SIGSTOP)
                helper = crew.start()
                eventually(
                    lambda: all(crew.runs()[one] == 2 for one in in_work),  # noqa: B023
                    f"the steps run by another worker, {number}",
                )
                for zombie in crew.workers:
                    zombie.send_signal(signal.SIGCONT)
                eventually(lambda: counts(settings)[State.DONE] == done, f"done, {number}")  # noqa: B023
                check_record(settings, work_ids, steps=2)
                # Whether by its own clock or because the server said so, each zombie has let go.
                eventually(
                    lambda: (
                        crew.log.read_bytes().count(b"the lease is lost") >= dropped + zombies  # noqa: B023
                    ),
                    f"the zombies say so, {number}",
                )
                crew.workers.remove(helper)
                helper.terminate()
                helper.wait()
            assert [None] * zombies == [worker.poll() for worker in crew.workers]
    tally(2, "SIGSTOP of a worker past its lease", rounds * zombies)


def test_rolling_restarts(redis_server: Server, tmp_path: Path, tally: Tally) -> None:
    """Workers replaced by SIGTERM give their work back: no attempt, no recovery, no lost step."""
    settings = Settings(
        home=tmp_path, extra={"redis_url": redis_server.url}, namespace="rolling", lease_ttl=5.0
    )
    work_ids = enqueue(settings, 30)
    with Crew(tmp_path, settings, steps=10, pause=0.05) as crew:
        crew.start()
        crew.start()
        eventually(lambda: bool(crew.runs()), "a first step")
        for restart in range(10):
            crew.replace(restart % 2, signal.SIGTERM)
        eventually(lambda: counts(settings)[State.DONE] == len(work_ids), "all done")
        found = events(settings)
        kinds = {event.kind for event in found}
        assert set() == kinds & {"recovered", "attempt_failed", "dead_lettered"}
        check_record(settings, work_ids, steps=10)
        assert {1} == set(crew.runs().values())
        tally(15, "rolling SIGTERM restarts", 10)
