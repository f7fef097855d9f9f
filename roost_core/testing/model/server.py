"""A server that lives in this process, with a ledger for each queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Claim
from roost_core.backend.reports import Finding
from roost_core.backend.server import Reach, Server
from roost_core.backend.serving import ServePlan
from roost_core.testing.clock import Clock, RealClock
from roost_core.testing.model.ledger import DESCRIPTION, MemoryLedger
from roost_core.testing.model.serve import serve_lanes


class MemoryServer(Server):
    """Ledgers in memory.

    :param clock: the server's clock; a :class:`~roost_core.testing.ManualClock`
        lets a test decide when leases expire and sleepers are due.
    :param ledgers: those of queues that exist already, with the same clock.
    """

    def __init__(self, clock: Clock | None = None, ledgers: Iterable[MemoryLedger] = ()) -> None:
        self.clock = clock or RealClock()
        self._ledgers = {ledger.queue: ledger for ledger in ledgers}

    async def open(self) -> None:
        """Do nothing: there is no connection."""

    async def close(self) -> None:
        """Do nothing: the state lives as long as this object."""

    @property
    def description(self) -> str:
        """Say that it is in memory."""
        return DESCRIPTION

    @property
    def reach(self) -> Reach:
        """Its workers are in this process."""
        return Reach.PROCESS

    def ledger(self, queue: str) -> MemoryLedger:
        """Return the ledger of a queue."""
        if queue not in self._ledgers:
            self._ledgers[queue] = MemoryLedger(self.clock, queue)
        return self._ledgers[queue]

    async def now_ms(self) -> int:
        """Return the clock's time."""
        return self.clock.now_ms()

    async def diagnose(self) -> Sequence[Finding]:
        """Say that nothing is kept."""
        return [Finding("problem", "persistence", "work lives in memory and ends with the process")]

    async def serve(
        self,
        plan: ServePlan,
        handle: Callable[[Ledger, Claim], Awaitable[None]],
        on_dead_letters: Callable[[Ledger, Sequence[str]], Awaitable[None]],
        upkeep: Callable[[], Awaitable[None]],
    ) -> None:
        """Run a worker's lanes; see the interface."""
        changed = asyncio.Event()
        with contextlib.ExitStack() as stack:
            for number, ledger in enumerate(plan.ledgers):
                own = self.ledger(ledger.queue)
                stack.enter_context(own.watch(changed))
                stack.enter_context(own.told_of_orders(partial(plan.look, number)))
            await serve_lanes(self.clock, changed, plan, handle, on_dead_letters, upkeep)
