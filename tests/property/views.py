"""What both sides of a comparison have to agree on, all but times; and who stands in line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from roost_core.backend import Ack, Claim, Facts, Ledger, StoredWork
from roost_core.testing import MemoryLedger

WORK_IDS = [f"w{number}" for number in range(8)]


@attrs.frozen
class Held:
    """One lease that was given out: as each side gave it."""

    claims: tuple[Claim, ...]

    @property
    def work_id(self) -> str:
        """The work item that it is on."""
        return self.claims[0].lease.work_id


class Refused:
    """Stands for an answer that is an error."""

    def __init__(self, error: Exception) -> None:
        self.name = type(error).__name__


def view(stored: StoredWork | None) -> Any:
    """Return what both sides have to agree on: all but times."""
    if stored is None:
        return None
    fields = attrs.asdict(stored)
    for name in ("due_ms", "expires_ms", "started_ms", "finished_ms", "committed_ms", "leased_ms"):
        fields[name] = fields[name] is not None
    del fields["created_ms"], fields["updated_ms"]
    if stored.act is not None:
        confirmed = stored.act.confirmed_at is not None
        fields["act"] = (stored.act.verb, stored.act.actor, confirmed)
    fields["error"] = None if stored.error is None else json.loads(stored.error)["kind"]
    return fields


async def look(side: Ledger, work_ids: Iterable[str]) -> list[Any]:
    """Return the view of each work item, and the counts."""
    stored = await asyncio.gather(*(side.read(work_id) for work_id in work_ids))
    return [*map(view, stored), dict(await side.counts())]


def facts_view(facts: Facts | None) -> Any:
    """Return what of the facts about a work item both sides have to agree on: all but times."""
    if facts is None:
        return None
    way = facts.obstacle
    obstacle = way and (
        way.resource,
        way.is_held,
        way.work_id,
        way.engine,
        way.worker_id,
        way.ahead,
    )
    halt = facts.halt and (facts.halt.engine, facts.halt.actor)
    return (view(facts.work), facts.ahead, obstacle, facts.offering, facts.others, halt)


def answer_view(answer: Any) -> Any:
    """Return what of an answer both sides have to agree on."""
    if isinstance(answer, Refused):
        return answer.name
    if isinstance(answer, Ack):
        return (answer.state, answer.version, answer.attempts, answer.due_ms is not None)
    return answer


def claim_view(claim: Claim) -> Any:
    """Return what of a claim both sides have to agree on."""
    lease = claim.lease
    counters = (claim.version, claim.attempts, claim.recoveries, claim.deadline_ms, claim.is_solo)
    texts = (claim.item, claim.snapshot, claim.committed_ms is not None)
    return (lease.work_id, lease.worker_id, lease.fence, claim.engine, counters, texts)


def event_view(event: Any) -> Any:
    """Return what of an event both sides have to agree on."""
    data = dict(event.data)
    if "error" in data:
        data["error"] = data["error"]["kind"]
    return (event.kind, event.engine, event.version, event.state, data)


#: Whoever stands in line: by work id its place, and the resources that it stands in line for.
InLine = Mapping[str, tuple[tuple[int, int], frozenset[str]]]


def in_line(model: MemoryLedger) -> InLine:
    """Return who stands in line in the model."""
    return model.run(
        lambda state, _now: {
            work_id: (work.ready_order, frozenset(work.resources))
            for work_id, work in state.works.items()
            if work.is_in_line
        }
    )


def overtaken(model: MemoryLedger, before: InLine, taken: Iterable[str]) -> list[tuple[str, str]]:
    """Return who stood in line all the time, and which later ones were taken first."""
    after = in_line(model)
    works = model.run(lambda state, _now: dict(state.works))
    return [
        (work_id, later)
        for work_id, (place, resources) in before.items()
        if after.get(work_id) == (place, resources)
        for later in taken
        if place < works[later].ready_order and resources & set(works[later].resources)
    ]


def reserved_for_nobody(model: MemoryLedger) -> list[str]:
    """Return who stands in line although no live worker runs its engine."""
    return model.run(
        lambda state, now: [
            work_id
            for work_id, work in state.works.items()
            if work.is_in_line and not state.offers.has(now, work.new.engine)
        ]
    )
