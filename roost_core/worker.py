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
from roost_core.backend.reports import Purged
from roost_core.backend.server import Server
from roost_core.backend.serving import ServePlan
from roost_core.errors import BackendError, PluginError, RoostError, UnknownEngine
from roost_core.models.worker import WorkerInfo
from roost_core.settings import Settings
from roost_core.stepping.leases import LeaseKeeper
from roost_core.stepping.lost import LostSteps
from roost_core.stepping.stepper import Stepper
from roost_core.threads import run_in_thread

if TYPE_CHECKING:
    from roost_core.plugins.registry import Plugins

_log = logging.getLogger("roost.worker")

#: How many terminal work items one call of the purge removes: few, so that it holds nobody up.
_PURGE_AT_ONCE: Final = 100
#: How long a worker that ends tries to strike itself from the register. Seconds.
_RETIRE_SECONDS: Final = 3.0
#: How long it waits for a renewal under way. Seconds.
_KEEPER_SECONDS: Final = 1.0
#: How long observers may take over its end. Seconds.
_OBSERVER_SECONDS: Final = 3.0
#: How long it tries to give back what no step has begun. Seconds.
_GIVE_BACK_SECONDS: Final = 3.0


class Worker:
    """Runs work of some engines until it is told to stop. The server is open and stays so.

    If its event loop hangs for the setting ``stuck_after``, it ends the *process*, with exit
    code 75: a program that runs a worker beside other things may want that to be 0.
    """

    def __init__(
        self,
        settings: Settings,
        plugins: Plugins,
        server: Server,
        store: ArtifactStore,
        *,
        engines: Sequence[str] | None = None,
        concurrency: int | None = None,
        burst: bool = False,
    ) -> None:
        """Choose the engines.

        :param engines: ids, or None for all that the plugins offer.
        :param concurrency: how many work items at a time; the setting if not given.
        :param burst: end when nothing is ready.
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
        self._ledger = server.ledger(settings.queue)
        self._store = store
        self._burst = burst
        self._stopping = asyncio.Event()
        self._is_aborted = False
        self._running: dict[asyncio.Task[Any], str] = {}
        self._observers = plugins.observers()
        self._workspaces = plugins.make_workspaces(settings)
        self._engines = {name: offered[name] for name in sorted(engines or offered)}
        self.info = WorkerInfo(
            worker_id=new_worker_id(),
            host=socket.gethostname(),
            pid=os.getpid(),
            engines=tuple(self._engines),
            concurrency=concurrency or settings.concurrency,
            lease_ttl_seconds=settings.lease_ttl,
            roost_version=roost_core.__version__,
            started_at=datetime.now(UTC),
        )

    @property
    def worker_id(self) -> str:
        """This worker's id, new at every start."""
        return self.info.worker_id

    @property
    def running(self) -> list[str]:
        """The work items that are being stepped now."""
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

        A server that is away is waited for.

        :raises BackendError: the server refuses what a worker needs.
        """
        lost = LostSteps(self._ledger, self.info.concurrency, self._settings.lease_ttl)
        keeper = LeaseKeeper(
            self._ledger.renewer(),
            self.info,
            stuck_after=self._settings.stuck_after,
            lost=lost,
        )
        stepper = Stepper(
            settings=self._settings,
            engines=self._engines,
            observers=self._observers,
            around_step=self._plugins.around_step(),
            ledger=self._ledger,
            store=self._store,
            workspaces=self._workspaces,
            keeper=keeper,
            is_stopping=self._stopping.is_set,
        )
        plan = ServePlan(
            ledgers=(self._ledger,),
            worker_id=self.info.worker_id,
            engines=self.info.engines,
            concurrency=self.info.concurrency,
            lease_ttl_ms=round(self._settings.lease_ttl * 1000),
            drain_timeout=self._settings.drain_timeout,
            burst=self._burst,
            stopping=self._stopping,
            lost=lost.lanes,
        )

        async def handle(_ledger: Ledger, claim: Claim) -> None:
            if self._is_aborted:
                # It was on its way to its lane at the abort, which could not cancel it yet.
                await self._give_back(claim)
                return
            task = asyncio.current_task()
            assert task is not None
            self._running[task] = claim.lease.work_id
            try:
                await stepper.run(claim)
            finally:
                del self._running[task]

        async def dead_lettered(_ledger: Ledger, work_ids: Sequence[str]) -> None:
            await stepper.dead_lettered(work_ids)

        keeper.start()
        try:
            await self._observers.notify("on_worker_start", worker=self.info)
            await self._server.serve(plan, handle, dead_lettered, self._upkeep)
        finally:
            stepper.close()
            await self._leave(keeper)

    async def _leave(self, keeper: LeaseKeeper) -> None:
        """Put this worker's affairs in order; whatever hangs is left behind after a while."""
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
            _log.warning("a renewal of leases still waits for the server; leaving without it")
        try:
            async with asyncio.timeout(_RETIRE_SECONDS):
                await self._ledger.retire(self.info.worker_id)
        except (BackendError, TimeoutError) as error:
            _log.warning("cannot strike %s from the register: %s", self.info.worker_id, error)
        try:
            async with asyncio.timeout(_OBSERVER_SECONDS):
                await self._observers.notify("on_worker_stop", worker=self.info)
        except TimeoutError:
            _log.warning("an observer of on_worker_stop takes too long; leaving without it")

    async def _give_back(self, claim: Claim) -> None:
        with contextlib.suppress(RoostError, TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                await self._ledger.interrupt(claim.lease, "i0", "the worker stopped", None)

    async def _upkeep(self) -> None:
        """Purge what is over its retention, with its artifacts and workspaces."""
        seen: set[Purged] = set()
        forgotten: list[Purged] = []
        try:
            while not self._stopping.is_set():
                gone = await self._purge(_PURGE_AT_ONCE, forgotten)
                forgotten = []
                fresh = [one for one in gone if one not in seen]
                for one in fresh:
                    if await run_in_thread(self._forget, one):
                        forgotten.append(one)
                seen.update(fresh)
                if len(gone) < _PURGE_AT_ONCE or not fresh:
                    break
            if forgotten:
                await self._purge(0, forgotten)
        except BackendError as error:
            _log.warning("cannot purge old work, trying again later: %s", error)

    async def _purge(self, limit: int, forgotten: Sequence[Purged]) -> Sequence[Purged]:
        letters = self._settings.dead_letter_retention
        return await self._ledger.purge(
            round(self._settings.retention * 1000),
            None if letters is None else round(letters * 1000),
            limit,
            forgotten,
        )

    def _forget(self, gone: Purged) -> bool:
        """Return whether nothing is left of it; else it stays on record, and is tried again."""
        is_done = True
        for forget in (self._store.forget, self._workspaces.remove):
            try:
                forget(gone.work_id, gone.life)
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises, the rest goes
                is_done = False
                text = "%s is purged, but something of it is left, trying again later: %s"
                _log.warning(text, gone.work_id, error)
        return is_done


def new_worker_id() -> str:
    """Make a worker id: readable, and new at every start, also where pods share a name."""
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:24]
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
