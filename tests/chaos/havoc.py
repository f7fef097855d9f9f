"""Harm to a crew, its server and the way between them, of kinds that dice choose."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from redis import Redis

from roost_core import Roost
from roost_core.models import Event, WorkMeta
from tests.chaos.crew import Crew, ask
from tests.chaos.proxy import Harm, Plan, Proxy
from tests.servers import Server, start_server

_log = logging.getLogger(__name__)
#: What workers call all the time, or now and then while some of the work fails.
AT_WORK = ("claim", "advance", "commit", "renew", "fail", "interrupt")
#: A server with these loses nothing that it has acknowledged, however it ends.
ON_DISK = ("--appendonly", "yes", "--appendfsync", "always")
#: How long a stop or a silence lasts, in seconds: longer than a lease.
LONG = 1.5
#: More work than any run has.
ALL = 100_000


class Havoc:
    """Does one kind of harm after another; behaves the same for the same dice.

    :ivar done: how often each kind of harm was done.
    :ivar frozen: the process ids of workers that were stopped for a while.
    """

    def __init__(self, crew: Crew, server: Server, proxy: Proxy, dice: random.Random) -> None:
        self.crew, self.server, self.proxy, self.dice = crew, server, proxy, dice
        self.done: Counter[str] = Counter()
        self.frozen: set[int] = set()
        self.kinds: dict[str, Callable[[], None]] = {
            "kill -9 of a worker": self._kill,
            "SIGTERM of a worker": self._restart,
            "SIGSTOP of a worker past its lease": self._freeze,
            "SIGSTOP of the server past the leases": self._outage,
            "kill -9 of the server": lambda: self._crash(self.server.kill),
            "SIGTERM of the server": lambda: self._crash(self.server.terminate),
            "SCRIPT FLUSH": lambda: self._tell("SCRIPT", "FLUSH"),
            "CLIENT KILL": lambda: self._tell("CLIENT", "KILL", "TYPE", "normal"),
            "harm to three calls on their way": self._harm_calls,
        }

    def choose(self, count: int) -> list[str]:
        """Return names of kinds, each at least once if there is room, in a random order."""
        names = list(self.kinds)
        chosen = [names[n] if n < len(names) else self.dice.choice(names) for n in range(count)]
        self.dice.shuffle(chosen)
        return chosen

    def do(self, kind: str) -> None:
        """Do one kind of harm, and start anew what has ended of it."""
        _log.warning("%s", kind)  # shown if the test fails
        self.kinds[kind]()
        self.done[kind] += 1
        time.sleep(self.dice.uniform(0.1, 0.6))
        self.crew.tend()

    def _kill(self) -> None:
        self.crew.replace(self.dice.randrange(len(self.crew.workers)))

    def _restart(self) -> None:
        self.crew.replace(self.dice.randrange(len(self.crew.workers)), signal.SIGTERM)

    def _freeze(self) -> None:
        pid = self.dice.choice(self.crew.workers).pid
        self.frozen.add(pid)
        _stop(pid)

    def _outage(self) -> None:
        _stop(self.server.process.pid)

    def _crash(self, end: Callable[[], None]) -> None:
        before = self._versions()
        end()
        self.server = start_server(self.server.binary, self.server.folder, *ON_DISK)
        after = self._versions()
        lost = {one: (version, after[one]) for one, version in before.items()}
        assert {} == {one: pair for one, pair in lost.items() if pair[0] > pair[1]}

    def _versions(self) -> dict[str, int]:
        metas = all_metas(self.crew)
        return {one.work_id: one.version for one in metas}

    def _tell(self, *words: str) -> None:
        with Redis(unix_socket_path=str(self.server.socket)) as client:
            client.execute_command(*words)

    def _harm_calls(self) -> None:
        scripts = self.dice.choices(AT_WORK, k=3)
        harms = self.dice.choices(list(Harm), k=3)
        self.proxy.plan(*map(Plan, scripts, harms))
        time.sleep(LONG)


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(LONG)
    os.kill(pid, signal.SIGCONT)


def all_metas(crew: Crew) -> list[WorkMeta]:
    """Return how all work stands."""
    rows: Any = ask(crew.settings, lambda roost: roost.list(limit=ALL))
    return [row.meta for row in rows]


def deaths(crew: Crew) -> set[int]:
    """Return the process ids of the workers that did not end as they were asked to."""
    return {one.pid for one in (*crew.ended, *crew.workers) if one.poll() not in (None, 0)}


def lost_by(found: Iterable[Event], pids: set[int]) -> int:
    """Return how many leases of these workers were taken back, by the events of a work item."""
    # A worker's id is host, process id and chance.
    holders = [str(one.data["worker_id"]) for one in found if one.kind == "recovered"]
    return sum(int(holder.rsplit("-", 2)[1]) in pids for holder in holders)


def unexplained(crew: Crew, pids: set[int]) -> list[tuple[WorkMeta, int]]:
    """Return work that is blamed for more deaths than it has lost leases by these workers.

    One suspicion is none yet: whether that worker is gone is not decided.
    """
    suspects = [one.work_id for one in all_metas(crew) if _blame(one)]

    async def look(roost: Roost) -> list[tuple[WorkMeta, int]]:
        wrong = []
        for work_id in suspects:
            before = (await roost.status(work_id)).meta
            found = await roost.events(work_id, limit=1000)
            after = (await roost.status(work_id)).meta
            explained = lost_by(found, pids)
            if before == after and _blame(after) > explained:
                wrong.append((after, explained))
        return wrong

    return ask(crew.settings, look)  # type: ignore[return-value]


def _blame(meta: WorkMeta) -> int:
    return meta.recoveries + max(0, meta.suspicions - 1)


def socket_beside(server: Server) -> Path:
    """Return where a proxy of a server may listen."""
    return server.folder / "p"
