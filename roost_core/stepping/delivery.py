"""Requests that have to arrive: sent until they are answered or the lease is not trusted.

Each carries an id of its own, so that one whose reply was lost is recognized and answered again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from roost_core.backend.messages import Ack
from roost_core.errors import BackendUnavailable, LeaseLost, RoostError
from roost_core.models.work import State
from roost_core.stepping.holds import Hold
from roost_core.stepping.run import Run

#: In each step's way, and a member of an enumeration takes long to look up before Python 3.12.
_RUNNING: Final = State.RUNNING
#: The first pause between two requests, and the longest. Seconds.
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0

Send = Callable[[], Awaitable[Ack]]


async def deliver(hold: Hold, send: Send) -> Ack:
    """Send until there is an answer, for as long as the lease is trusted.

    :raises LeaseLost: it is not trusted any more.
    :raises RoostError: what else the answer is.
    """
    try:
        return await send()
    except BackendUnavailable as error:
        return await _repeat(hold, send, error)


async def settle(run: Run, send: Send, *, extends: bool = False) -> Ack:
    """Deliver what becomes of a step; if cancelled, ``run.in_flight`` is what to repeat.

    :param extends: whether the request extends the lease if that goes on.
    :raises LeaseLost: the lease is not trusted any more.
    :raises RoostError: what else the answer is.
    """
    # From before the first request: a repeat is recognized, and extends the lease no further.
    asked_at = time.monotonic()
    run.in_flight = send
    try:
        try:
            ack = await send()
        except BackendUnavailable as error:
            ack = await _repeat(run.hold, send, error)
    except RoostError:
        run.in_flight = None
        raise
    run.in_flight = None
    if extends and ack.state is _RUNNING:
        run.hold.extend(asked_at)
    return ack


async def put_in_order(run: Run, give_back: Send) -> None:
    """After a cancellation, settle what was under way; give back what is still leased then.

    :raises LeaseLost: the lease is lost, or not trusted any more.
    :raises RoostError: what else the answer is.
    """
    if run.in_flight is not None:
        ack = await deliver(run.hold, run.in_flight)
        if ack.state is not _RUNNING:
            return
    await deliver(run.hold, give_back)


async def _repeat(hold: Hold, send: Send, error: BackendUnavailable) -> Ack:
    pause = _FIRST_PAUSE
    while True:
        if hold.lost is not None:
            raise LeaseLost(f"the server was away for longer than the lease: {error}") from error
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        try:
            return await send()
        except BackendUnavailable as again:
            error = again
