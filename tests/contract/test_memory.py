"""The model passes the contract."""

from __future__ import annotations

from roost_core.testing import ManualClock, MemoryBackend
from roost_core.testing.contract import BackendContract, Harness


class MemoryHarness(Harness):
    """The model, by a clock that the scenario advances; its invariants hold at the end."""

    def __init__(self) -> None:
        self._clock = ManualClock()
        self._backend = MemoryBackend(self._clock)

    @property
    def backend(self) -> MemoryBackend:
        """The model."""
        return self._backend

    async def open(self) -> None:
        """Open it."""
        await self._backend.open()

    async def close(self) -> None:
        """Look at its invariants and close it."""
        self._backend.check()
        await self._backend.close()

    async def age_lease(self, work_id: str) -> None:
        """Set the lease's expiry to now."""
        self._backend.age_lease(work_id)

    async def age_due(self, work_id: str) -> None:
        """Set the due time to now."""
        self._backend.age_due(work_id)

    async def pass_time(self, ms: int) -> None:
        """Advance the clock."""
        self._clock.advance(ms)


class TestMemoryBackend(BackendContract):
    """The whole contract over the model."""

    def make(self) -> Harness:
        """Return a fresh model."""
        return MemoryHarness()
