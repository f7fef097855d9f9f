"""Kill -9 of workers and of the server loses nothing, and nothing runs twice for the record."""

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
from roost_plugins.redis_saq import embedded
from tests.chaos.crew import (
    Crew,
    accepted_versions,
    counts,
    enqueue,
    events,
    eventually,
)
from tests.servers import Server

#: Notes a fault and how often it was injected.
Tally = Callable[[str, int], None]


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
    assert expected == accepted_versions(events(settings))


def test_workers_killed_again_and_again(home: Path, tally: Tally) -> None:
    """200 items of 10 steps, the worker killed within a second of its first step, each time.

    All are done, and each version is accepted once.
    """
    settings = Settings(home=home, lease_ttl=2.0)
    work_ids = enqueue(settings, 200, max_recoveries=10)
    seed = 1
    dice = random.Random(seed)
    with Crew(home, settings, steps=10, pause=0.05) as crew:
        crew.start()
        kills = 0

        while counts(settings)[State.DONE] < len(work_ids):
            before = crew.runs().total()
            eventually(
                lambda before=before: (
                    crew.runs().total() > before or counts(settings)[State.DONE] == len(work_ids)
                ),
                f"a step after kill {kills} (seed {seed})",
            )
            time.sleep(dice.uniform(0.0, 1.0))
            crew.replace(0)
            kills += 1
        check_record(settings, work_ids, steps=10)
        runs = crew.runs()
        # A kill repeats at most the steps that were in flight: ten lanes.
        assert sum(runs.values()) - len(runs) <= kills * 10
        assert {(w, v) for w in work_ids for v in range(1, 11)} == set(runs)
        tally("fault 1, kill -9 of workers", kills)


def test_server_and_workers_killed(home: Path, tally: Tally) -> None:
    """Three workers and the embedded server, killed in turn: what was acknowledged is there."""
    settings = Settings(home=home, lease_ttl=2.0)
    work_ids = enqueue(settings, 60, max_recoveries=10)
    dice = random.Random(2)
    with Crew(home, settings, steps=10, pause=0.2) as crew:
        for _ in range(3):
            crew.start()
        eventually(lambda: bool(crew.runs()), "a first step")
        for round_number in range(6):
            before = dict(accepted_versions(events(settings)))
            victim = "server_pid" if round_number % 2 else "supervisor_pid"
            os.kill(json.loads((home / "server" / "server.json").read_text())[victim], 9)
            after = accepted_versions(events(settings))
            for work_id, versions in before.items():
                assert versions == after[work_id][: len(versions)]
            time.sleep(dice.uniform(0.1, 0.5))
            crew.replace(dice.randrange(3))
        eventually(lambda: counts(settings)[State.DONE] == len(work_ids), "all done")
        check_record(settings, work_ids, steps=10)
        tally("fault 5, kill -9 of the server or its supervisor", 6)


def test_zombie(home: Path, tally: Tally) -> None:
    """A worker stopped for longer than its lease finds, on waking, that its commit is refused."""
    settings = Settings(home=home, lease_ttl=1.0)
    [work_id] = enqueue(settings, 1)
    with Crew(home, settings, steps=3, pause=1.0) as crew:
        zombie = crew.start()
        eventually(lambda: (work_id, 1) in crew.runs(), "the first step")
        zombie.send_signal(signal.SIGSTOP)
        crew.start()
        eventually(lambda: crew.runs()[work_id, 1] == 2, "the step run by another worker")
        zombie.send_signal(signal.SIGCONT)
        eventually(lambda: counts(settings)[State.DONE] == 1, "done")
        check_record(settings, [work_id], steps=3)
        # Whether by its own clock or by the server's word, the zombie has let go.
        eventually(lambda: b"the lease is lost" in crew.log.read_bytes(), "the zombie says so")
        assert zombie.poll() is None
        tally("fault 2, SIGSTOP past the lease", 1)


def test_rolling_restarts(redis_server: Server, tmp_path: Path, tally: Tally) -> None:
    """Workers replaced by SIGTERM give their work back: no attempt, no recovery, no lost step."""
    settings = Settings(
        home=tmp_path, redis_url=redis_server.url, namespace="rolling", lease_ttl=5.0
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
        tally("fault 15, rolling SIGTERM restarts", 10)
