"""A queue at one glance, for programs and the console."""

from __future__ import annotations

import asyncio
from typing import Final

from roost_core.client.connection import Connection
from roost_core.codec.times import from_milliseconds
from roost_core.models.overview import Overview
from roost_core.shown.overview import overview_of, suspicious

#: Of this much running work it is read whether a warning says that its steps change nothing.
_TRAILS: Final = 10


async def overview(roost: Connection) -> Overview:
    """Return what there is to know of a queue at one glance; see :meth:`Roost.overview`."""
    survey = await roost.ledger.survey()
    now_ms = await roost.server.now_ms() if survey.now_ms is None else survey.now_ms
    ids = suspicious(survey, _TRAILS)
    found = await asyncio.gather(*map(roost.ledger.trail, ids))
    trails = {one: trail for one, trail in zip(ids, found, strict=True) if trail}
    known = roost.plugins.options_for
    return overview_of(survey, from_milliseconds(now_ms), trails, known=known)
