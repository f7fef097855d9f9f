"""Listening for work, and for what people want: one connection for all queues of a worker.

A server that refuses to let it listen to one queue must not make it deaf to the others: then each
has its own connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from roost_core.errors import BackendError, BackendUnavailable
from roost_plugins.redis_saq.lanes.served import ServedQueue

#: What a message says if people want something of what this worker runs. Any other says that
#: there is work.
LOOK: Final = b"!"

_log = logging.getLogger("roost.worker")


class Heard(Protocol):
    """Called when there may be something in a queue."""

    def __call__(self, served: ServedQueue, *, is_ready: bool) -> None:
        """Note it; ``is_ready`` if a message says that there is."""


async def listen(
    served: Sequence[ServedQueue],
    heard: Heard,
    wanted: Callable[[ServedQueue], None],
    backoff: Callable[[int], float],
) -> None:
    """Listen to the server's messages; after each break, look for what was missed. Never returns.

    :param wanted: called for a queue if people want something of its leases, or if that may have
        been missed.
    :param backoff: returns how many seconds to pause after a number of failures in a row.
    """
    failures = 0
    by_channel = {one.wake_channel: one for one in served}
    known: set[str] = set()

    def hear(kind: str, channel: str, said: bytes) -> None:
        nonlocal failures
        if kind == "subscribe" and failures:
            _log.info("the server's messages are heard again")
            failures = 0
        is_message = kind == "message"
        is_look = is_message and said == LOOK
        if is_look or (kind == "subscribe" and channel in known):
            wanted(by_channel[channel])
        known.add(channel)
        if not is_look:
            heard(by_channel[channel], is_ready=is_message)

    while True:
        messages, is_refused = None, False
        try:
            messages = await served[0].ledger.subscribe(list(by_channel), hear)
            await messages.until_end()
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker must keep running
            failures += 1
            served[0].report("cannot listen for work", error, failures)
            await asyncio.sleep(backoff(failures))
            is_refused = isinstance(error, BackendError) and not isinstance(
                error, BackendUnavailable
            )
        finally:
            if messages is not None:
                await messages.close()
        if is_refused and len(served) > 1:
            await asyncio.gather(*(listen([one], heard, wanted, backoff) for one in served))
