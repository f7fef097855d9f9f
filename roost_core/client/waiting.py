"""How often a client tries, and how long it waits for an answer or for the end of work."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from roost_core.backend.ledger import Ledger
from roost_core.backend.reports import StoredWork
from roost_core.errors import BackendUnavailable, DiskFull

_T = TypeVar("_T")

#: A request without an answer is repeated, but not begun later than this, in seconds.
PATIENCE_SECONDS: Final = 3.0
#: The same for calls that wait and follow: long enough for a server to restart.
FOLLOW_PATIENCE_SECONDS: Final = 30.0


async def repeated(
    call: Callable[[], Awaitable[_T]], patience: float, *, waits: bool = False
) -> _T:
    """Repeat a call without an answer, with growing pauses, for up to ``patience`` seconds.

    A full disk is raised at once. The error says that the call took no effect only if that is true
    of every try.

    :param waits: the call itself may wait long: patience counts from the first failure in a row,
        not from the start.
    :raises BackendUnavailable: there was no answer.
    """
    ends = time.monotonic() + patience
    pause = 0.1
    failed_before = False
    is_unsure = False
    while True:
        began = time.monotonic()
        try:
            return await call()
        except BackendUnavailable as error:
            now = time.monotonic()
            is_unsure |= not error.took_no_effect
            if waits and (not failed_before or now - began > patience):
                ends, pause, failed_before = now + patience, 0.1, True
            if now + pause > ends or isinstance(error, DiskFull):
                if is_unsure and error.took_no_effect:
                    raise BackendUnavailable(str(error)) from error
                raise
        # Not at the same moment as all others that hit the same failure.
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter
        pause = min(2 * pause, 2.0)


async def until_terminal(ledger: Ledger, work_id: str, timeout: float | None) -> StoredWork | None:
    """Return a work item once it is terminal, or as it stands after ``timeout`` seconds.

    :returns: None if there is none with this id.
    :raises BackendUnavailable: the server was unreachable for 30 s.
    """
    ends = None if timeout is None else time.monotonic() + timeout

    async def once() -> StoredWork | None:
        left = None if ends is None else max(0.0, ends - time.monotonic())
        return await ledger.wait_terminal(work_id, left)

    return await repeated(once, FOLLOW_PATIENCE_SECONDS, waits=True)
