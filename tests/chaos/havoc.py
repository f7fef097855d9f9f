"""Harm to a crew, its server and the connection between them, chosen by dice."""

from __future__ import annotations

import logging
import random
import signal
import subprocess
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
    """Does one kind of harm after another; the same dice give the same behaviour.

    :ivar done: how often each kind of harm was done.
    :ivar frozen: process ids of workers that were stopped for a while, from when and to when.
    :ivar looks: how often work was found to be blamed, and the blame was checked.
    """

    def __init__(self, crew: Crew, server: Server, proxy: Proxy, dice: random.Random) -> None:
        self.crew, self.server, self.proxy, self.dice = crew, server, proxy, dice
        self.done: Counter[str] = Counter()
        self.frozen: list[tuple[int, float, float]] = []
        self.looks = 0
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
        """Do one kind of harm, and restart what ended because of it."""
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
        worker = self.dice.choice(self.crew.workers)
        began = time.time()
        self._stop(worker)
        self.frozen.append((worker.pid, began, time.time()))

    def _outage(self) -> None:
        self._stop(self.server.process)

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        # Not by its id: poison may have ended it a moment ago.
        process.send_signal(signal.SIGSTOP)
        time.sleep(LONG)
        process.send_signal(signal.SIGCONT)

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

    # -- whom work may be blamed for -------------------------------------------------------------

    def losses(self, found: Iterable[Event], version: int) -> int:
        """Return how many leases of a version were lost by workers that had died, or stood still.

        A worker that continues afterwards was cut off, by an outage or a lost reply, and no more.
        """
        last = self.crew.last_begun()
        workers = (*self.crew.ended, *self.crew.workers)
        dead = {one.pid for one in workers if one.poll() not in (None, 0)}
        lease = self.crew.settings.lease_ttl
        count = 0
        for event in found:
            if event.kind == "recovered" and event.version == version:
                # A worker's id is host, process id and a random part.
                pid, at = int(str(event.data["worker_id"]).rsplit("-", 2)[1]), event.at.timestamp()
                has_died = pid in dead and last.get(pid, 0.0) < at + lease
                stood_still = any(
                    pid == one and began < at < ended + lease for one, began, ended in self.frozen
                )
                count += has_died or stood_still
        return count

    def unexplained(self) -> list[tuple[WorkMeta, int]]:
        """Return work that is blamed for more deaths than workers that ran it have died."""
        suspects = [one.work_id for one in all_metas(self.crew) if _blame(one)]

        async def look(roost: Roost) -> list[tuple[WorkMeta, int]]:
            wrong = []
            for work_id in suspects:
                before = (await roost.work(work_id).status()).meta
                found = await roost.work(work_id).events(limit=1000)
                after = (await roost.work(work_id).status()).meta
                if before.suspicions:
                    # One does not count yet: the worker lost last may still be alive.
                    lost = [one.event_id for one in found if one.kind == "recovered"]
                    found = [one for one in found if one.event_id not in lost[-1:]]
                losses = self.losses(found, after.version)
                if (before.version, before.fence) == (after.version, after.fence):
                    self.looks += 1
                    if _blame(before) > losses:
                        wrong.append((before, losses))
            return wrong

        return ask(self.crew.settings, look)  # type: ignore[return-value]


def all_metas(crew: Crew) -> list[WorkMeta]:
    """Return the meta of all work items."""
    rows: Any = ask(crew.settings, lambda roost: roost.list(limit=ALL))
    return [row.meta for row in rows]


def _blame(meta: WorkMeta) -> int:
    return meta.recoveries + max(0, meta.suspicions - 1)


def socket_beside(server: Server) -> Path:
    """Return where a proxy of a server may listen."""
    return server.folder / "p"
