"""The server: one connection for all queues, and a worker's lanes over one or several."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from roost_core.backend import Finding, Ledger, Reach, Server
from roost_core.errors import BackendError, BackendUnavailable
from roost_core.settings import Settings
from roost_plugins.redis_saq import diagnosis
from roost_plugins.redis_saq.connection.calls import Calls
from roost_plugins.redis_saq.connection.endpoint import Endpoint
from roost_plugins.redis_saq.connection.refusals import is_lasting, translated
from roost_plugins.redis_saq.ledger.ledger import RedisLedger

if TYPE_CHECKING:
    from roost_core.backend import Claim, ServePlan

_log = logging.getLogger("roost.worker")


class RedisServer(Server):
    """A Redis or Valkey server, or Roost's own; lanes are run by SAQ's worker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: Where the server is.
        self.endpoint = Endpoint(settings)
        self._calls = Calls(self.endpoint)
        self._ledgers: dict[str, RedisLedger] = {}

    @property
    def description(self) -> str:
        """Where the data is, for people; no password in it."""
        return self.endpoint.description

    async def open(self) -> None:
        """Connect and check the server's version."""
        await self._calls.open()
        try:
            try:
                info = diagnosis.parse_info(await self._calls.plain("INFO", "server"))
            except BackendUnavailable as error:
                kind = BackendError if is_lasting(error) else BackendUnavailable
                raise kind(f"{error}; {self.endpoint.advice}") from error
            refusal = diagnosis.refused_version(info)
            if refusal:
                raise BackendError(f"{self.endpoint.description}: {refusal}")
        except BaseException:
            await self.close()
            raise

    @property
    def is_started_here(self) -> bool:
        """The embedded server is started by whatever needs it."""
        return self.endpoint.is_embedded

    @property
    def reach(self) -> Reach:
        """The embedded server has a socket only; any other may have workers anywhere.

        A socket or port of another server may lead to another machine, or out of a container.
        """
        return Reach.MACHINE if self.endpoint.is_embedded else Reach.NETWORK

    def nothing_here(self) -> str | None:
        """Return whether the embedded server was never started in this home."""
        return self.endpoint.nothing_here()

    async def close(self) -> None:
        """Give back every connection."""
        for ledger in self._ledgers.values():
            await ledger.close()
        await self._calls.close()

    def ledger(self, queue: str) -> RedisLedger:
        """Return the ledger of a queue."""
        if queue not in self._ledgers:
            self._ledgers[queue] = RedisLedger(self._settings, queue, self.endpoint, self._calls)
        return self._ledgers[queue]

    async def now_ms(self) -> int:
        """Return the server's clock."""
        return await self._calls.now_ms()

    async def diagnose(self) -> Sequence[Finding]:
        """Check for what would lose data."""
        with translated(self.endpoint.description):
            return list(await diagnosis.findings(self._calls.client, self.endpoint))

    def repair_log(self) -> Sequence[Finding]:
        """Cut off what is damaged at the end of the embedded server's file; keep a copy."""
        if not self.endpoint.is_embedded:
            return super().repair_log()
        from roost_plugins.redis_saq.embedded import server as embedded

        mended = embedded.repair_log(self._settings.home)
        nothing = self.nothing_here()
        if nothing is not None:
            return [Finding("info", "log", f"nothing to repair: {nothing}")]
        if mended is None:
            return [Finding("ok", "log", "the append-only file is intact; nothing was changed")]
        damage, copy = mended
        text = f"cut off {damage.cut} bytes: {damage}; the original file is {copy}"
        return [Finding("warning", "log", text)]

    async def serve(
        self,
        plan: ServePlan,
        handle: Callable[[Ledger, Claim], Awaitable[None]],
        on_dead_letters: Callable[[Ledger, Sequence[str]], Awaitable[None]],
        upkeep: Callable[[], Awaitable[None]],
    ) -> None:
        """Run a worker's lanes with SAQ's worker."""
        from roost_plugins.redis_saq.lanes.lanes import Lanes
        from roost_plugins.redis_saq.lanes.running import run_lanes

        await self._check_eviction(plan.stopping)
        lanes = Lanes([self.ledger(one.queue) for one in plan.ledgers], plan, on_dead_letters)
        for served in lanes.served:
            served.ledger.lanes = served
        try:
            await run_lanes(lanes, plan, handle, upkeep)
        finally:
            await lanes.close()
            # The lanes are kept until the worker has retired: they name its engines.

    async def _check_eviction(self, stopping: asyncio.Event) -> None:
        """Refuse a server that would evict work; one that has just gone is waited for."""
        refusal, pause = None, 0.1
        while not stopping.is_set():
            try:
                with translated(self.endpoint.description):
                    refusal = await diagnosis.refused_eviction(self._calls.client)
                break
            except BackendUnavailable as error:
                if pause == 0.1:
                    _log.warning("cannot begin, trying again: %s", error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await stopping.wait()
                pause = min(pause * 2, 2.0)
        if refusal:
            raise BackendError(f"{self.endpoint.description}: {refusal}")
