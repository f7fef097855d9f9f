"""All rows of the table, and all probes, by their names."""

from __future__ import annotations

from typing import Final

from benchmarks.measuring.row import Row
from benchmarks.probes.growth import GROWTH
from benchmarks.probes.holding import HOLD, IDLE
from benchmarks.probes.serving import SERVE
from benchmarks.probes.states import STATE
from benchmarks.probes.storming import STORM
from benchmarks.probes.waking import WAKE
from benchmarks.rows import (
    celery_chain,
    dbos_sqlite,
    langgraph_sqlite,
    limit,
    roost,
    saq_empty,
    streaq_empty,
)

#: In the table's order.
ROWS: Final[tuple[Row, ...]] = (
    limit.ROW,
    *roost.ROWS,
    saq_empty.ROW,
    streaq_empty.ROW,
    dbos_sqlite.ROW,
    langgraph_sqlite.ROW,
    celery_chain.ROW,
)
PROBES: Final[tuple[Row, ...]] = (WAKE, HOLD, IDLE, STATE, GROWTH, STORM, SERVE)


def row(key: str) -> Row:
    """Return the row, or the probe, of this name."""
    return next(one for one in (*ROWS, *PROBES) if one.key == key)
