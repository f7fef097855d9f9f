"""How fast work went, as scripts are told; ``lua/lib/rates.lua`` keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roost_core.backend import Tally


def tally_text(tally: Tally | None) -> str:
    """Write what a worker has done: a line for each engine, each label and what failed."""
    if tally is None:
        return ""
    leases = dict(tally.leases)
    steps = dict.fromkeys(leases, 0)
    for one in tally.steps:
        steps[one.engine] = steps.get(one.engine, 0) + one.count
    return "\n".join(
        [
            *(f"{count} {leases.get(engine, 0)} {engine}" for engine, count in steps.items()),
            *(
                f"{one.count} {one.total_ms} {one.longest_ms} {one.engine} {one.step}"
                for one in tally.steps
            ),
            *(f"! {one.attempts} {one.dead} {one.engine}" for one in tally.failures),
        ]
    )
