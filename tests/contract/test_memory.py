"""The model passes the contract."""

from __future__ import annotations

from roost_core.testing import ManualClock, MemoryLedger, MemoryServer
from roost_core.testing.contract import BackendContract, Harness
from roost_core.testing.contract.kit import QUEUE


class MemoryHarness(Harness):
    """The model, by a clock that the scenario advances; its invariants hold at the end."""

    def __init__(self) -> None:
        self._clock = ManualClock()
        self._server = MemoryServer(self._clock)

    @property
    def server(self) -> MemoryServer:
        """The model."""
        return self._server

    @property
    def ledger(self) -> MemoryLedger:
        """The ledger under test."""
        return self._server.ledger(QUEUE)

    async def open(self) -> None:
        """Open it."""
        await self._server.open()

    async def close(self) -> None:
        """Check its invariants and close it."""
        self.ledger.check()
        await self._server.close()

    async def age_lease(self, work_id: str) -> None:
        """Set the lease's expiry to now."""
        self.ledger.age_lease(work_id)

    async def age_due(self, work_id: str) -> None:
        """Set the due time to now."""
        self.ledger.age_due(work_id)

    async def pass_time(self, ms: int) -> None:
        """Advance the clock."""
        self._clock.advance(ms)


class TestMemory(BackendContract):
    """The whole contract over the model."""

    def make(self) -> Harness:
        """Return a fresh model."""
        return MemoryHarness()
