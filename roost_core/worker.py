"""A worker process: lanes that step work, a thread that keeps leases, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import encodings.idna  # noqa: F401 - each getaddrinfo needs it, in threads, which import nothing
import logging
import os
import re
import secrets
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import roost_core
from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Claim
from roost_core.backend.server import Server
from roost_core.backend.serving import ServePlan
from roost_core.errors import BackendError, PluginError, RoostError, UnknownEngine
from roost_core.large_values import Texts, least_for
from roost_core.models.worker import WorkerInfo
from roost_core.settings import Settings
from roost_core.stepping.leases import LeaseKeeper
from roost_core.stepping.lost import LostSteps
from roost_core.stepping.stepper import Stepper
from roost_core.stepping.telling import StepListener
from roost_core.stepping.texts import LargeTexts
from roost_core.upkeep import Upkeep

if TYPE_CHECKING:
    from roost_core.plugins.registry import Plugins

_log = logging.getLogger("roost.worker")

#: How long a worker that ends tries to remove itself from the register. Seconds.
_RETIRE_SECONDS: Final = 3.0
#: How long it waits for a renewal in flight. Seconds.
_KEEPER_SECONDS: Final = 1.0
#: How long its observers may take at the end. Seconds.
_OBSERVER_SECONDS: Final = 3.0
#: How long it tries to give back a claim that it has not begun to run. Seconds.
_GIVE_BACK_SECONDS: Final = 3.0


class Worker:
    """Runs the work of some engines until told to stop, on a server that is open and stays so.

    If its event loop hangs for as long as the setting ``stuck_after``, it ends the *process*, with
    exit code 75: a program that also does other things may want that setting to be 0.
    """

    def __init__(
        self,
        settings: Settings,
        plugins: Plugins,
        server: Server,
        store: ArtifactStore,
        *,
        queues: Sequence[str] | None = None,
        engines: Sequence[str] | None = None,
        concurrency: int | None = None,
        burst: bool = False,
        listener: StepListener | None = None,
    ) -> None:
        """Choose queues and engines.

        :param queues: names of the server's queues; the setting if not given. Several get equal
            shares of the lanes while each has a backlog.
        :param engines: ids, or None for all that the plugins offer.
        :param concurrency: how many work items at a time; the setting if not given.
        :param burst: end when nothing is ready.
        :param listener: hears of each accepted step, in this process.
        :raises UnknownEngine: no plugin offers one of ``engines``.
        :raises PluginError: there is no engine at all, or the plugin that offers workspaces fails.
        """
        offered = plugins.engines()
        if not offered:
            raise PluginError("no plugin offers an engine: name one with --plugin")
        missing = sorted(set(engines or ()) - set(offered))
        if missing:
            raise UnknownEngine(
                f"no plugin offers engine {', '.join(missing)}; "
                f"there are: {', '.join(sorted(offered))}"
            )
        self._settings = settings
        self._plugins = plugins
        self._server = server
        names = dict.fromkeys(queues or (settings.queue,))
        self._ledgers = tuple(server.ledger(name) for name in names)
        self._store = store
        self._burst = burst
        self._listener = listener
        self._stopping = asyncio.Event()
        self._is_aborted = False
        self._running: dict[asyncio.Task[Any], str] = {}
        self._observers = plugins.observers()
        # Ids are a queue's own, and so are workspaces.
        self._workspaces = {
            ledger: plugins.make_workspaces(self._settings_of(ledger)) for ledger in self._ledgers
        }
        self._stores = {one: store.of_queue(settings.namespace, one.queue) for one in self._ledgers}
        self._engines = {name: offered[name] for name in sorted(engines or offered)}
        self.info = self._describe(concurrency)

    @property
    def worker_id(self) -> str:
        """This worker's id, new at every start."""
        return self.info.worker_id

    @property
    def running(self) -> list[str]:
        """The ids of the work items whose steps run now."""
        return list(self._running.values())

    def stop(self) -> None:
        """Take no more work and let the steps in flight end, within the drain timeout."""
        self._stopping.set()

    def abort(self) -> None:
        """Stop, and cancel the steps in flight now; their work is given back."""
        self._stopping.set()
        self._is_aborted = True
        for task in list(self._running):
            task.cancel()

    async def run(self) -> None:
        """Work until stopped; on return the worker is retired and has given back what let go.

        It waits for a server that is away.

        :raises BackendError: the server refuses what a worker needs.
        """
        lost = LostSteps(self._ledgers, self.info.concurrency, self._settings.lease_ttl)
        keeper = LeaseKeeper(
            [ledger.renewer() for ledger in self._ledgers],
            self.info,
            stuck_after=self._settings.stuck_after,
            lost=lost,
        )
        steppers = {
            ledger: self._stepper(ledger, number, keeper)
            for number, ledger in enumerate(self._ledgers)
        }
        upkeep = Upkeep(self._settings, self._stores, self._workspaces, self._stopping.is_set)

        async def handle(ledger: Ledger, claim: Claim) -> None:
            if self._is_aborted:
                # It was on its way to its lane when the abort came, too early to be cancelled.
                await self._give_back(ledger, claim)
                return
            task = asyncio.current_task()
            assert task is not None
            self._running[task] = claim.lease.work_id
            try:
                await steppers[ledger].run(claim, task)
            finally:
                del self._running[task]

        async def dead_lettered(ledger: Ledger, work_ids: Sequence[str]) -> None:
            await steppers[ledger].dead_lettered(work_ids)

        async def look_after() -> None:
            await upkeep.run()
            for ledger, stepper in steppers.items():
                await stepper.large.look_again(ledger)

        keeper.start()
        try:
            await self._observers.notify("on_worker_start", worker=self.info)
            await self._server.serve(self._plan(lost, keeper), handle, dead_lettered, look_after)
        finally:
            for stepper in steppers.values():
                stepper.close()
            await self._leave(keeper)

    def _describe(self, concurrency: int | None) -> WorkerInfo:
        return WorkerInfo(
            worker_id=new_worker_id(),
            host=socket.gethostname(),
            pid=os.getpid(),
            engines=tuple(self._engines),
            concurrency=concurrency or self._settings.concurrency,
            lease_ttl_seconds=self._settings.lease_ttl,
            roost_version=roost_core.__version__,
            started_at=datetime.now(UTC),
            queues=tuple(one.queue for one in self._ledgers),
        )

    def _settings_of(self, ledger: Ledger) -> Settings:
        # A step acts in the name of its own queue.
        return self._settings.evolve(queue=ledger.queue)

    def _stepper(self, ledger: Ledger, number: int, keeper: LeaseKeeper) -> Stepper:
        store = self._stores[ledger]
        least = self._settings.large_values if ledger.takes_changes else 0
        return Stepper(
            settings=self._settings_of(ledger),
            engines=self._engines,
            observers=self._observers,
            around_step=self._plugins.around_step(),
            ledger=ledger,
            store=store,
            large=LargeTexts(Texts(store), least_for(self._server, store, least)),
            workspaces=self._workspaces[ledger],
            keeper=keeper,
            is_stopping=self._stopping.is_set,
            source=number,
            rates=keeper.rates(number),
            listener=self._listener,
        )

    def _plan(self, lost: LostSteps, keeper: LeaseKeeper) -> ServePlan:
        return ServePlan(
            ledgers=self._ledgers,
            worker_id=self.info.worker_id,
            engines=self.info.engines,
            concurrency=self.info.concurrency,
            lease_ttl_ms=round(self._settings.lease_ttl * 1000),
            drain_timeout=self._settings.drain_timeout,
            burst=self._burst,
            stopping=self._stopping,
            lost=lost.lanes,
            look=keeper.renew_now,
        )

    async def _leave(self, keeper: LeaseKeeper) -> None:
        """Shut down in order; whatever hangs is left behind after a while."""
        if left := sorted(self.running):
            more = f" and {len(left) - 5} more" if len(left) > 5 else ""
            _log.warning(
                "left behind: %s%s; their steps did not let go, and their leases will run out",
                ", ".join(left[:5]),
                more,
            )
        try:
            async with asyncio.timeout(_KEEPER_SECONDS):
                await keeper.close()
        except TimeoutError:
            _log.warning("a renewal of leases is still waiting for the server; leaving without it")
        await asyncio.gather(*(self._retire(ledger) for ledger in self._ledgers))
        try:
            async with asyncio.timeout(_OBSERVER_SECONDS):
                await self._observers.notify("on_worker_stop", worker=self.info)
        except TimeoutError:
            _log.warning("an observer of on_worker_stop takes too long; leaving without it")

    async def _retire(self, ledger: Ledger) -> None:
        try:
            async with asyncio.timeout(_RETIRE_SECONDS):
                await ledger.retire(self.info.worker_id)
        except (BackendError, TimeoutError) as error:
            _log.warning("cannot remove %s from the register: %s", self.info.worker_id, error)

    async def _give_back(self, ledger: Ledger, claim: Claim) -> None:
        with contextlib.suppress(RoostError, TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                await ledger.interrupt(claim.lease, "i0", "the worker stopped", None)


def new_worker_id() -> str:
    """Make a worker id: readable, and new at every start, even where pods share a name."""
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:24]
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
