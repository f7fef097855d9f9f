"""Requests that must arrive: sent until answered, or until the lease is no longer trusted.

Each has its own id, so that a repeat after a lost reply is recognized and gets the same answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from roost_core.backend.messages import Ack
from roost_core.errors import BackendUnavailable, LeaseLost, RoostError
from roost_core.models.work import State
from roost_core.stepping.holds import Hold
from roost_core.stepping.run import Run

_T = TypeVar("_T")

#: On the path of every step, and looking up an enum's member is slow before Python 3.12.
_RUNNING: Final = State.RUNNING
#: The first pause between two requests, and the longest. Seconds.
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0

Send = Callable[[], Awaitable[Ack]]


async def deliver(hold: Hold, send: Callable[[], Awaitable[_T]]) -> _T:
    """Send until there is an answer, for as long as the lease is trusted.

    :raises LeaseLost: it is no longer trusted.
    :raises RoostError: any other error that the server answers with.
    """
    try:
        return await send()
    except BackendUnavailable as error:
        return await _repeat(hold, send, error)


async def settle(run: Run, send: Send, *, extends: bool = False) -> Ack:
    """Deliver a step's outcome; after a cancellation ``run.in_flight`` is what to repeat.

    :param extends: whether the request extends the lease, if the lease continues.
    :raises LeaseLost: the lease is no longer trusted.
    :raises RoostError: any other error that the server answers with.
    """
    # Taken before the first request: a repeat is recognized and does not extend the lease again.
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


async def put_in_order(run: Run, give_back: Send) -> Ack:
    """After a cancellation, settle the request in flight, then give back what is still leased.

    :returns: the answer that ended the lease.
    :raises LeaseLost: the lease is lost, or no longer trusted.
    :raises RoostError: any other error that the server answers with.
    """
    if run.in_flight is not None:
        ack = await deliver(run.hold, run.in_flight)
        if ack.state is not _RUNNING:
            return ack
        run.version, run.attempts = ack.version, ack.attempts
    return await deliver(run.hold, give_back)


async def _repeat(hold: Hold, send: Callable[[], Awaitable[_T]], error: BackendUnavailable) -> _T:
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
