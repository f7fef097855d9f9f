"""What keeps the work of whole engines from running."""

from __future__ import annotations

from collections.abc import Iterable

from roost_core.client.roost import Roost
from roost_core.codec.times import from_milliseconds
from roost_core.shown.mending import Bar, bar


async def bars(roost: Roost, engines: Iterable[str]) -> list[Bar]:
    """Return what keeps the work of these engines from running, by engine, if something does.

    :raises BackendUnavailable: no answer.
    """
    workers = await roost.workers()
    halts = {one.engine: one for one in await roost.ledger.halts()}
    now = from_milliseconds(await roost.server.now_ms())
    found = [
        bar(
            engine,
            halts.get(engine),
            sum(engine in one.engines for one in workers),
            now,
            roost.plugins.options_for(engine),
        )
        for engine in sorted(set(engines))
    ]
    return [one for one in found if one is not None]
