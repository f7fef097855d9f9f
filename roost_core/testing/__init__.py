"""The kit that Roost's own tests use, for tests of engines, plugins and backends.

:func:`run_to_end` runs an engine from payload to end, and :func:`run_step` one step of it.
:class:`MemoryServer` is a whole backend in this process, with a :class:`MemoryLedger` for each
queue, :class:`ManualClock` lets its time pass at will, and :class:`MemoryArtifactStore` keeps
artifacts.
:mod:`roost_core.testing.contract` holds the tests that every backend passes; only it needs pytest.
"""

from __future__ import annotations

from roost_core.testing.artifacts import MemoryArtifactStore
from roost_core.testing.clock import Clock, ManualClock, RealClock
from roost_core.testing.model.ledger import MemoryLedger
from roost_core.testing.model.server import MemoryServer
from roost_core.testing.model.state import MemoryState
from roost_core.testing.one_step import StepRun, arun_step, run_step
from roost_core.testing.running import Run, arun_to_end, run_to_end

__all__ = [
    "Clock",
    "ManualClock",
    "MemoryArtifactStore",
    "MemoryLedger",
    "MemoryServer",
    "MemoryState",
    "RealClock",
    "Run",
    "StepRun",
    "arun_step",
    "arun_to_end",
    "run_step",
    "run_to_end",
]
