"""Real worker processes over one home folder or server, and what they have written."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from roost_core import Roost, Settings
from roost_core.errors import BackendUnavailable
from roost_core.models import Event, State
from roost_core.settings import variable

ENGINE = Path(__file__).with_name("ledger_engine.py")
#: A wait that lasts this long has failed; nothing that works comes near it. Seconds.
PATIENCE = 120.0


class Crew:
    """Some workers, each in a process of its own, that run the ledger engine.

    :ivar workers: those that are meant to run now.
    :ivar ended: those that were replaced, in order; each has its ``returncode``.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        *,
        steps: int,
        pause: float,
        queues: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self.ledger = folder / "ledger.txt"
        self.log = folder / "workers.log"
        self.steps = steps
        self.queues = queues
        self.workers: list[subprocess.Popen[bytes]] = []
        self.ended: list[subprocess.Popen[bytes]] = []
        self._how: dict[int, Callable[[], subprocess.Popen[bytes]]] = {}
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("ROOST_")
        } | {
            "ROOST_HOME": str(settings.home),
            "ROOST_NAMESPACE": settings.namespace,
            "ROOST_LEASE_TTL": str(settings.lease_ttl),
            "ROOST_STUCK_AFTER": str(settings.stuck_after),
            "ROOST_EVENTS_KEPT": str(settings.events_kept),
            "ROOST_EVENTS_BYTES": str(settings.events_bytes),
            "ROOST_X_LEDGER": str(self.ledger),
            "ROOST_X_STEPS": str(steps),
            "ROOST_X_PAUSE": str(pause),
            **{variable(name): str(one.value) for name, one in settings.extra.items()},
        }

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
            worker.kill()
            worker.wait()

    def start(
        self, url: str = "", *, pause: float | None = None, **extra: str
    ) -> subprocess.Popen[bytes]:
        """Start one more worker; it may reach the server through another URL, or be slower.

        :param extra: more environment variables.
        """
        environment = self.environment | extra
        if url:
            environment["ROOST_REDIS_URL"] = url
        if pause is not None:
            environment["ROOST_X_PAUSE"] = str(pause)
        command = [sys.executable, "-m", "roost_core.cli", "worker"]
        command += ["--plugin", str(ENGINE), "--engines", "ledger"]
        command += [word for name in self.queues for word in ("--queue", name)]
        with self.log.open("ab") as log:
            worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.workers.append(worker)
        self._how[id(worker)] = partial(self.start, url, pause=pause, **extra)
        return worker

    def replace(self, index: int, number: signal.Signals = signal.SIGKILL) -> None:
        """End a worker by a signal, and start another as it was started, in its place."""
        worker = self.workers.pop(index)
        self.ended.append(worker)
        worker.send_signal(number)
        worker.wait()
        self._how.pop(id(worker))()

    def tend(self) -> None:
        """Restart workers that have ended by themselves, as a service manager would."""
        for worker in [one for one in self.workers if one.poll() is not None]:
            self.replace(self.workers.index(worker))

    def runs(self) -> Counter[tuple[str, int]]:
        """Return how often each step (work id, version it started from) was begun."""
        return Counter((work_id, int(version)) for work_id, version, *_ in self._lines())

    def await_more(self, what: str) -> None:
        """Wait until this many more steps have begun."""
        so_far = self.runs().total()
        eventually(lambda: self.runs().total() > so_far + 5, what)

    def last_begun(self) -> dict[int, float]:
        """Return when each worker, by its process id, began its latest step."""
        return {int(pid): float(at) for *_, pid, at in self._lines()}

    def _lines(self) -> list[list[str]]:
        if not self.ledger.exists():
            return []
        return [line.split() for line in self.ledger.read_text().splitlines()]


def eventually(
    true: Callable[[], bool], what: str, *, patience: float = PATIENCE, pause: float = 0.02
) -> None:
    """Wait until something is true; fail if it never is. Checks every ``pause`` seconds."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(pause)


def ask(settings: Settings, question: Callable[[Roost], object]) -> object:
    """Ask through the client, in an event loop of its own."""

    async def session() -> object:
        async with Roost.connect(settings) as roost:
            return await question(roost)  # type: ignore[misc]

    return asyncio.run(session())


def enqueue(settings: Settings, count: int, **fields: object) -> list[str]:
    """Enqueue ``count`` items of the ledger engine; return their ids."""

    async def question(roost: Roost) -> list[str]:
        items = [
            await roost.enqueue("ledger", any_engine=True, **fields)  # type: ignore[arg-type]
            for _ in range(count)
        ]
        return [item.work_id for item in items]

    return ask(settings, question)  # type: ignore[return-value]


def counts(settings: Settings) -> dict[State, int]:
    """Return how many work items are in each state."""
    return dict(ask(settings, lambda roost: roost.counts()))  # type: ignore[call-overload]


def events(settings: Settings) -> list[Event]:
    """Return all events, oldest first; start over if the server ends between two pages."""

    def read() -> object:
        return ask(settings, lambda roost: roost.events(limit=10_000_000))

    try:
        found = read()
    except BackendUnavailable:
        found = read()
    return list(found)  # type: ignore[call-overload]


def accepted_versions(found: list[Event]) -> dict[str, list[int]]:
    """Return each work item's accepted versions, in the order of their events."""
    versions: dict[str, list[int]] = defaultdict(list)
    for event in found:
        if event.kind == "committed":
            versions[event.work_id].append(event.version)
    return dict(versions)
