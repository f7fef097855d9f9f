"""Workers of an older and of today's Roost share a queue: nothing is lost, buried or blamed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from roost_core import State
from roost_core.backend import Order, OrderAnswer, OrderOutcome
from roost_core.models import Actor, Verb
from roost_core.settings import Settings
from roost_plugins.redis_saq.server import RedisServer
from tests.servers import Server
from tests.upgrade.pinned import ROOT, unpack

PATIENCE = 60.0

ENGINE = """
import time
from roost_core import hookimpl

engine_id = "slow"


@hookimpl
def step(snapshot, item):
    time.sleep(item.payload["pause"])
    n = snapshot.data.get("n", 0) + 1
    delay = 0.05 if n % 2 else None
    return snapshot.evolve(
        data={"n": n}, is_finished=n >= item.payload["steps"], next_step_delay_seconds=delay
    )
"""


def blocked(tree: Path) -> list[str]:
    """Block those of today's installed plugins that a tree does not have."""
    installed = metadata.entry_points(group="roost")
    return sorted(
        {f"no:{one.name}" for one in installed if one.module.startswith("roost_plugins.")}
        - {f"no:{path.stem}" for path in (tree / "roost_plugins").iterdir()}
    )


class Side:
    """One Roost's command line, on a queue that others share."""

    def __init__(self, tree: Path, folder: Path, url: str, namespace: str) -> None:
        self.tree = tree
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("ROOST_")
        } | {
            "PYTHONPATH": str(tree),
            "ROOST_HOME": str(folder / "home"),
            "ROOST_REDIS_URL": url,
            "ROOST_NAMESPACE": namespace,
            "ROOST_LEASE_TTL": "2",
            "ROOST_PLUGINS": ",".join((str(folder / "slow.py"), *blocked(tree))),
        }

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "roost_core.cli", *words],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def worker(self) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until it says that it is running."""
        log = self.folder / f"{uuid.uuid4().hex}.log"
        with log.open("ab") as file:
            worker = subprocess.Popen(
                [sys.executable, "-m", "roost_core.cli", "worker", "--engines", "slow"],
                env=self.environment,
                cwd=self.folder,
                stdout=file,
                stderr=file,
            )
        self.workers.append(worker)
        deadline = time.monotonic() + PATIENCE
        while b" runs slow" not in log.read_bytes():
            assert worker.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return worker

    def enqueue(
        self, number: int, *, steps: int = 4, delay: str = "0", pause: float = 0.05
    ) -> list[str]:
        """Enqueue some work; return the ids."""
        payload = json.dumps({"steps": steps, "pause": pause})
        words = ("enqueue", "--engine", "slow", "--payload", payload, "--delay-seconds", delay)
        return [self.run(*words).strip() for _ in range(number)]

    def meta(self, work_id: str) -> dict[str, object]:
        """Return a work item's standing."""
        found: dict[str, object] = json.loads(self.run("status", work_id))["meta"]
        return found


@pytest.fixture
def sides(redis_server: Server, tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    """Return the older and today's."""
    (tmp_path / "slow.py").write_text(ENGINE)
    namespace = f"t-{uuid.uuid4().hex}"
    older = unpack(tmp_path / "older")
    both = [Side(tree, tmp_path, redis_server.url, namespace) for tree in (older, ROOT)]
    yield both[0], both[1]
    # Those of a test that has failed, too.
    for worker in [*both[0].workers, *both[1].workers]:
        worker.kill()
        worker.wait()


def eventually(side: Side, work_ids: list[str], state: State) -> None:
    """Wait until all of them are in a state."""
    deadline = time.monotonic() + PATIENCE
    while {side.meta(one)["state"] for one in work_ids} != {state.value}:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def ended(worker: subprocess.Popen[bytes]) -> int:
    """End a worker as a service manager does; return its exit code."""
    worker.send_signal(signal.SIGTERM)
    return worker.wait(PATIENCE)


def unblamed(side: Side, work_ids: list[str]) -> None:
    """Check that none of them is blamed for anything."""
    for work_id in work_ids:
        meta = side.meta(work_id)
        counters = [meta[name] for name in ("attempts", "recoveries", "suspicions")]
        assert [0, 0, 0] == counters, meta


def test_todays_worker_goes_on_with_the_olders_work(sides: tuple[Side, Side]) -> None:
    """Ready, sleeping and half-done work of the older one is done by today's."""
    older, today = sides
    work_ids = older.enqueue(3) + older.enqueue(1, delay="0.5") + older.enqueue(1, steps=40)
    first = older.worker()
    eventually(today, work_ids[:3], State.DONE)
    assert 0 == ended(first)
    second = today.worker()
    try:
        eventually(today, work_ids, State.DONE)
        unblamed(today, work_ids)
    finally:
        assert 0 == ended(second)


def test_the_older_worker_leaves_todays_work(sides: tuple[Side, Side]) -> None:
    """It runs its own work and leaves today's untouched, which today's worker then does."""
    older, today = sides
    todays = today.enqueue(2) + today.enqueue(1, delay="0.2")
    first = older.worker()
    second: subprocess.Popen[bytes] | None = None
    try:
        olders = older.enqueue(3)
        eventually(today, olders, State.DONE)
        time.sleep(1)
        assert {0} == {today.meta(one)["version"] for one in todays}
        unblamed(today, todays)
        second = today.worker()
        eventually(today, todays, State.DONE)
        unblamed(today, todays)
    finally:
        codes = [ended(one) for one in (first, second) if one is not None]
    assert {0} == set(codes)


def ordered(today: Side, work_id: str, verb: Verb) -> OrderAnswer:
    """Use a verb on a work item, as today's Roost does."""

    async def use() -> OrderAnswer:
        environment = today.environment
        extra = {"redis_url": environment["ROOST_REDIS_URL"]}
        server = RedisServer(Settings(extra=extra, namespace=environment["ROOST_NAMESPACE"]))
        await server.open()
        try:
            order = Order(uuid.uuid4().hex, verb, Actor("alice", "tests"))
            return await server.ledger("default").order(work_id, order)
        finally:
            await server.close()

    return asyncio.run(use())


def test_verbs_beside_an_older_worker(sides: tuple[Side, Side]) -> None:
    """U1, V1: it loses nothing, runs nothing that is paused, and what it runs is cancelled."""
    older, today = sides
    resting = [*older.enqueue(1), *older.enqueue(1, delay="0.2"), *today.enqueue(1)]
    for work_id in resting:
        assert OrderOutcome.DONE is ordered(today, work_id, Verb.PAUSE).outcome
    buried = older.enqueue(1)
    assert OrderOutcome.DONE is ordered(today, buried[0], Verb.BURY).outcome
    first = older.worker()
    second: subprocess.Popen[bytes] | None = None
    try:
        olders = older.enqueue(2)
        running = older.enqueue(1, pause=10)
        eventually(today, olders, State.DONE)
        eventually(today, running, State.RUNNING)
        answer = ordered(today, running[0], Verb.CANCEL)
        assert (OrderOutcome.REQUESTED, Verb.CANCEL) == (answer.outcome, answer.wish)
        second = today.worker()
        eventually(today, running, State.CANCELLED)
        assert {"paused"} == {today.meta(one)["state"] for one in resting}
        assert {0} == {today.meta(one)["version"] for one in resting}
        for work_id in [*resting, *buried]:
            verb = Verb.RESUME if work_id in resting else Verb.RETRY
            assert OrderOutcome.DONE is ordered(today, work_id, verb).outcome
        eventually(today, [*resting, *buried], State.DONE)
        unblamed(today, [*resting, *olders, *buried])
    finally:
        codes = [ended(one) for one in (first, second) if one is not None]
    assert {0} == set(codes)


def test_a_rolling_upgrade(sides: tuple[Side, Side]) -> None:
    """Both work on one backlog while the older workers are replaced one after the other."""
    older, today = sides
    work_ids = older.enqueue(6, steps=12)
    workers = [older.worker(), older.worker()]
    try:
        for index in range(2):
            time.sleep(1)
            fresh = today.worker()
            assert 0 == ended(workers[index])
            workers[index] = fresh
            work_ids += today.enqueue(2, steps=12)
        eventually(today, work_ids, State.DONE)
        unblamed(today, work_ids)
        lines = today.run("events", "--limit", "10000", "--json").splitlines()
        kinds = [json.loads(line)["kind"] for line in lines]
        assert 0 == kinds.count("dead_lettered") == kinds.count("attempt_failed")
    finally:
        for worker in workers:
            ended(worker)
