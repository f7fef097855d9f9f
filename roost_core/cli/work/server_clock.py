"""The server's clock, for what a terminal says of times: this machine's may be wrong, or be set."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from roost_core.cli import output
from roost_core.client.roost import Roost
from roost_core.codec.times import from_milliseconds


async def server_now(roost: Roost) -> datetime | None:
    """Return the server's time where a person reads; None elsewhere: programs get plain times."""
    return from_milliseconds(await roost.server.now_ms()) if output.on_terminal() else None


async def server_clock(roost: Roost) -> Callable[[], datetime]:
    """Return what tells the server's time from now on, without asking again."""
    then, began = from_milliseconds(await roost.server.now_ms()), time.monotonic()
    return lambda: then + timedelta(seconds=time.monotonic() - began)
