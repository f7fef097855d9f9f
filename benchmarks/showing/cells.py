"""How figures are shown: what a column is called, and how a number is written."""

from __future__ import annotations

import math
import re
from typing import Any, Final

#: What a field of the JSON is called in a table; others are shown by their own name.
HEADS: Final = {
    "title": "",
    "rate": "a second",
    "rate_spread": "spread",
    "of_limit": "of limit",
    "of_saq": "of SAQ",
    "of_one": "of one",
    "client_cpu_us": "client µs",
    "server_cpu_us": "server µs",
    "commands_sent": "sent",
    "commands_in_scripts": "in scripts",
    "aof_bytes": "AOF bytes",
    "script_us": "µs a call",
    "script_calls": "calls a step",
    "server_share": "server busy",
    "client_shares": "workers busy",
    "server_shares": "nodes busy",
    "machine_share": "machine busy",
    "cores_used": "cores used",
    "cores_of_others": "by others",
    "server_ceiling": "ceiling by server",
    "cores_ceiling": "ceiling by cores",
    "queue_rates": "each queue, a second",
    "us": "µs",
    "sent_of_final": "sent, by final state",
    "written_of_final": "written, by final state",
    "aof_of_final": "AOF, by final state",
    "wall_of_constant": "time, of constant",
    "client_of_constant": "client, of constant",
    "server_of_constant": "server, of constant",
    "sent_of_wholes": "sent, of wholes",
    "written_of_wholes": "AOF, of wholes",
    "client_of_wholes": "client, of wholes",
    "server_of_wholes": "server, of wholes",
    "wall_of_wholes": "time, of wholes",
    "text_kb": "KB of text",
    "wall_of_inside": "time, of in the server",
    "client_of_inside": "client, of in the server",
    "server_of_inside": "server, of in the server",
    "sent_of_inside": "sent, of in the server",
    "aof_of_inside": "AOF, of in the server",
    "memory_of_inside": "memory, of in the server",
    "server_of_none": "server, of no history",
    "client_of_none": "client, of no history",
    "sent_of_none": "sent, of no history",
    "aof_of_none": "AOF, of no history",
    "memory_of_a_version": "memory of a version",
    "cpu_of_wholes": "worker's CPU, of wholes",
    "claim_of_final": "a claim sends, by final state",
    "kept_of_final": "50 versions, by final state",
    "what": "budget",
    "is_met": "kept",
}
#: Fields that are written as percentages.
_SHARES: Final = frozenset(
    {
        *("share", "rate_spread", "server_share", "server_shares", "client_shares"),
        *("machine_share", "margin"),
    }
)
#: How many figures are shown side by side in one cell.
_SIDE_BY_SIDE: Final = 3


def head(name: str) -> str:
    """Return a column's title."""
    if name in HEADS:
        return HEADS[name]
    # Modules keep their names.
    words = re.sub(r"(roost_[\w.]*)|_", lambda found: found[1] or " ", name)
    return re.sub(r"\bus\b", "µs", words)


def cell(name: str, value: Any) -> str:
    """Return a figure as text: a few side by side, or the lowest and the highest of many."""
    if isinstance(value, list | tuple):
        if len(value) > _SIDE_BY_SIDE:
            return f"{cell(name, min(value))} to {cell(name, max(value))}"
        return " / ".join(cell(name, one) for one in value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if name in _SHARES:
        return f"{value:.0%}"
    if isinstance(value, int):
        return f"{value:,}"
    places = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{places}f}"


def margin(share: float | None) -> str:
    """Return the distance to a budget with its sign; empty if there is no budget."""
    # Adding 0 turns -0% into +0%.
    return "" if share is None else f"{share + 0:+.0%}"
