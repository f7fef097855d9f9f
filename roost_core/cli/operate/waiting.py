"""A worker that starts before its server: it waits, and says so now and then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Final

from roost_core.cli import plugin_output
from roost_core.cli.session import Session
from roost_core.client.roost import Roost
from roost_core.errors import BackendUnavailable

_log = logging.getLogger("roost.worker")

#: Shortest and longest wait between two tries. Seconds.
_PAUSES: Final = (0.1, 2.0)
#: How often a waiting worker reports it. Seconds.
_SAY_AGAIN: Final = 60.0


async def connected(session: Session) -> AbstractAsyncContextManager[Roost]:
    """Return an open connection, closed by its context; wait until the server is there.

    The embedded server is not waited for: whoever needs it starts it, and a failure to start has
    its own reason.

    :raises BackendUnavailable: it was unreachable for longer than ``wait_for_server`` allows.
    :raises BackendError: it answers, but refuses for good.
    """
    with plugin_output.to_stderr():  # the plugin's hook makes the backend
        is_own = session.plugins().make_server(session.settings).is_started_here
    patience = 0.0 if is_own else session.settings.wait_for_server
    began = said_at = time.monotonic()
    pause, tries = _PAUSES[0], 0
    while True:
        roost = session.connect()
        try:
            await roost.__aenter__()
        except BackendUnavailable as error:
            tries += 1
            now = time.monotonic()
            if patience is not None and now - began >= patience:
                if tries == 1:
                    raise
                raise BackendUnavailable(f"{error}; gave up after {now - began:.0f} s") from error
            if tries == 1:
                _log.warning("waiting for the server: %s", error)
            elif now - said_at >= _SAY_AGAIN:
                said_at = now
                _log.warning("still waiting for the server, %.0f s so far: %s", now - began, error)
            left = pause if patience is None else min(pause, began + patience - now)
            await asyncio.sleep(left * random.uniform(0.5, 1))  # noqa: S311 - jitter
            pause = min(pause * 2, _PAUSES[1])
        else:
            if tries:
                _log.warning("the server is there, after %.0f s", time.monotonic() - began)
            return _leaving(roost)


@contextlib.asynccontextmanager
async def _leaving(roost: Roost) -> AsyncIterator[Roost]:
    try:
        yield roost
    finally:
        await roost.__aexit__(None, None, None)
