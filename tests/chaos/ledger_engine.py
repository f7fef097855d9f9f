"""An engine that writes every step it runs into a ledger file; loaded by path as a plugin.

``ROOST_X_LEDGER`` names the file, ``ROOST_X_STEPS`` the steps of a work item and
``ROOST_X_PAUSE`` the seconds that each takes. A payload of ``{"poison": KIND}`` makes
each step do one of :data:`DEEDS`, after ``{"after": seconds}``; ``{"once": {VERSION: KIND}}``
makes the step that starts from a version do so the first time that it runs, and not again.
``{"pause": SECONDS}`` is the work item's own pause, ``{"sleep": SECONDS}`` the delay after each
step, and ``{"artifact": true}`` has each step write one.

``{"grow": BYTES}`` has the state grow by a row per step, from this size on; with ``{"images": N}``
it also has the last N of some large texts, a new one per step. No two runs of a step bring the same
row or text, and what each has brought is known from the ledger's name with
``.returned``: work id, version, SHA-256 of the data, written before the step returns.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
import time

from roost_core import RetryLater, Snapshot, hookimpl
from roost_core.stepping import texts

engine_id = "ledger"

if "ROOST_X_TIDY" in os.environ:
    # What is done now and then is done after each step.
    texts._TIDY_EVERY = 1
    texts._GRACE = 0.0


def _raise():
    raise RuntimeError("as the payload asks")


def _later():
    raise RetryLater(0.05, "as the payload asks")


#: What a payload may ask for. A hang or block holds up the whole process: nothing else in it runs.
DEEDS = {
    "raise": _raise,
    "later": _later,
    "exit": lambda: os._exit(3),
    "system_exit": lambda: sys.exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hang": lambda: time.sleep(3600),
    "block": lambda: time.sleep(2.5),
}


def _is_first(snapshot):
    """Return whether this is asked about the step for the first time; a file remembers."""
    name = f"{os.environ['ROOST_X_LEDGER']}.{snapshot.work_id}.{snapshot.version}"
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    return True


def digest(data):
    """Return what stands for some data: SHA-256 of it as JSON."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _note(name, line):
    """Add a line to a file in one write, so that those of several workers do not mix."""
    file = os.open(name, os.O_APPEND | os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(file, line.encode())
    os.close(file)


def _grown(snapshot, n, wish):
    """Return the data after a step that adds a row, and note it."""
    rows = [*snapshot.data.get("rows", []), {"n": n, "by": os.urandom(8).hex()}]
    data = {"n": n, "pad": "x" * wish["grow"], "rows": rows}
    if "images" in wish:
        images = [*snapshot.data.get("images", []), os.urandom(2000).hex()]
        data["images"] = images[-wish["images"] :]
    line = f"{snapshot.work_id} {snapshot.version + 1} {digest(data)}\n"
    _note(f"{os.environ['ROOST_X_LEDGER']}.returned", line)
    return data


@hookimpl
async def init_snapshot(item):
    """Start at nothing."""
    return Snapshot.start(item, data={"n": 0})


@hookimpl
async def step(snapshot, item, context):
    """Record what runs, take a moment, count."""
    line = f"{snapshot.work_id} {snapshot.version} {context.fence} {os.getpid()} {time.time()}\n"
    _note(os.environ["ROOST_X_LEDGER"], line)
    wish = item.payload if isinstance(item.payload, dict) else {}
    if "poison" in wish:
        await asyncio.sleep(wish.get("after", 0))
        DEEDS[wish["poison"]]()
    once = wish.get("once", {}).get(str(snapshot.version))
    if once is not None and _is_first(snapshot):
        DEEDS[once]()
    await asyncio.sleep(float(wish.get("pause", os.environ["ROOST_X_PAUSE"])))
    n = snapshot.data["n"] + 1
    if "artifact" in wish:
        context.artifacts.put_json({"of": snapshot.work_id, "n": n})
    return snapshot.evolve(
        data=_grown(snapshot, n, wish) if "grow" in wish else {"n": n},
        is_finished=n >= int(os.environ["ROOST_X_STEPS"]),
        next_step_delay_seconds=wish.get("sleep", 0.05 if n % 4 == 0 else None),
    )
