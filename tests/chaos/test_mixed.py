"""All faults of processes and servers at once: in the end only poison is in the dead letters."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from roost_core import Settings
from roost_core.models import State
from tests.chaos.crew import Crew, accepted_versions, ask, counts, enqueue, events, eventually
from tests.servers import Server, need, redis_binary, start_server

#: The long form, for a night: ten times the faults, and 2,000 items.
IS_LONG = os.environ.get("ROOST_X_FAULTS") == "long"
ITEMS, FAULTS = (2000, 120) if IS_LONG else (300, 12)
ON_DISK = ("--appendonly", "yes", "--appendfsync", "always")


class Havoc:
    """Does one kind of harm after another to a crew and its server."""

    def __init__(self, crew: Crew, server: Server, dice: random.Random) -> None:
        self.crew, self.server, self.dice = crew, server, dice
        self.kinds = (self.kill, self.freeze, self.restart, self.outage, self.crash)

    def tend(self) -> None:
        """Start workers anew that the poison has killed."""
        for index, worker in enumerate(self.crew.workers):
            if worker.poll() is not None:
                self.crew.replace(index)

    def kill(self) -> None:
        """Kill -9 of a worker."""
        self.crew.replace(self.dice.randrange(3))

    def restart(self) -> None:
        """SIGTERM of a worker."""
        self.crew.replace(self.dice.randrange(3), signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP of a worker for longer than its lease."""
        self._stopped(self.dice.choice(self.crew.workers).pid)

    def outage(self) -> None:
        """SIGSTOP of the server for longer than a lease."""
        self._stopped(self.server.process.pid)

    def crash(self) -> None:
        """Kill -9 of the server, and a restart on its files."""
        self.server.kill()
        self.server = start_server(self.server.binary, self.server.folder, *ON_DISK)

    def _stopped(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1.5)
        os.kill(pid, signal.SIGCONT)


def test_mixed(server_root: Path, tmp_path: Path, tally: Callable[[str, int], None]) -> None:
    """Deaths, stops, outages and crashes at random, with poison among the work."""
    seed = int(os.environ.get("ROOST_X_SEED", "8"))
    dice = random.Random(seed)
    binary = need(redis_binary(), "redis-server")
    server = start_server(binary, server_root / "mixed", *ON_DISK)
    settings = Settings(
        home=tmp_path, redis_url=server.url, namespace="mixed", lease_ttl=1.0, events_kept=100_000
    )
    try:
        bad = enqueue(settings, 2, payload={"poison": "kill", "after": 0.2}, max_recoveries=2)
        good = enqueue(settings, ITEMS, max_recoveries=50)
        with Crew(tmp_path, settings, steps=5, pause=0.3) as crew:
            havoc = Havoc(crew, server, dice)
            for _ in range(3):
                crew.start()
            eventually(lambda: bool(crew.runs()), "a first step")
            hits = 0
            for number in range(FAULTS):
                hits += counts(settings)[State.DONE] < len(good)
                havoc.kinds[number % len(havoc.kinds)]()
                server = havoc.server
                time.sleep(dice.uniform(0.1, 0.6))
                havoc.tend()

            def is_over() -> bool:
                havoc.tend()
                standing = counts(settings)
                return standing[State.FAILED] + standing[State.DONE] == len(bad) + len(good)

            eventually(is_over, f"all have come to an end (seed {seed})")
        letters = ask(settings, lambda roost: roost.dead_letters(1000))
        assert set(bad) == {one.item.work_id for one in letters}  # type: ignore[attr-defined]
        accepted = accepted_versions(events(settings))
        assert {one: list(range(1, 7)) for one in good} == {one: accepted[one] for one in good}
        tally(f"mixed, while work was left (seed {seed})", hits)
    finally:
        server.kill()
