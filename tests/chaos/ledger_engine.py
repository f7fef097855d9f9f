"""An engine that writes every step it runs into a ledger file; loaded by path as a plugin.

``ROOST_X_LEDGER`` names the file, ``ROOST_X_STEPS`` the steps of a work item and
``ROOST_X_PAUSE`` the seconds that each takes. A payload of ``{"poison": "kill"}``
makes the step kill its own process, after ``{"after": seconds}``.
"""

from __future__ import annotations

import asyncio
import os
import signal

from roost_core import Snapshot, hookimpl

engine_id = "ledger"


@hookimpl
async def init_snapshot(item):
    """Start at nothing."""
    return Snapshot.start(item, data={"n": 0})


@hookimpl
async def step(snapshot, item, context):
    """Write down what runs, take a moment, count."""
    line = f"{snapshot.work_id} {snapshot.version} {context.fence} {os.getpid()}\n"
    ledger = os.open(os.environ["ROOST_X_LEDGER"], os.O_APPEND | os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(ledger, line.encode())  # one write: lines of several workers do not mix
    os.close(ledger)
    if isinstance(item.payload, dict) and item.payload.get("poison") == "kill":
        await asyncio.sleep(item.payload.get("after", 0))
        os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.sleep(float(os.environ["ROOST_X_PAUSE"]))
    n = snapshot.data["n"] + 1
    return snapshot.evolve(
        data={"n": n},
        is_finished=n >= int(os.environ["ROOST_X_STEPS"]),
        next_step_delay_seconds=0.05 if n % 4 == 0 else None,
    )
