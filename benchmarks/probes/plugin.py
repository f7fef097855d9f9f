"""An engine for ``roost worker --plugin benchmarks.probes.plugin:plugin``.

It imports nothing besides Roost, so that time and memory are the worker's own.
"""

from __future__ import annotations

from roost_core import Snapshot, WorkItem, hookimpl


class SmallEngine:
    """Takes as many steps as the payload says; each stores a small text anew."""

    engine_id = "small"

    @hookimpl
    async def init_snapshot(self, item: WorkItem) -> Snapshot:
        """Take the first step."""
        return _made(Snapshot.start(item), item, 1)

    @hookimpl
    async def step(self, snapshot: Snapshot, item: WorkItem) -> Snapshot:
        """Take the next one."""
        return _made(snapshot, item, snapshot.data["n"] + 1)


def _made(snapshot: Snapshot, item: WorkItem, n: int) -> Snapshot:
    return snapshot.evolve(data={"n": n, "text": "x" * 300}, is_finished=n >= item.payload["steps"])


plugin = SmallEngine()
