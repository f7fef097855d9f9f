"""What each work item of the model keeps of its own past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roost_core.backend.trail import current_lease, lease_event, place_of
from roost_core.models.events import Event
from roost_core.testing.model.work import Work

#: How many entries are kept, besides the first.
MOST_ENTRIES: Final = 160
#: Events of these kinds are not entries of their own: their lease is one.
_IN_LEASE: Final = frozenset({"claimed", "committed"})


def add_to_trail(work: Work, now: int, event: Event, *, by_person: bool = False) -> None:
    """Keep an event with its work item, and the lease that it has ended.

    What people do is kept elsewhere, with the last verbs.
    """
    if event.kind not in _IN_LEASE and not by_person:
        work.trail.append(event)
    ending, work.ending = work.ending, None
    end_lease(work, now, event.kind, event.event_id, ending)
    # The first says how it began, and stays.
    del work.trail[1:-MOST_ENTRIES]


def end_lease(
    work: Work, now: int, ended: str, event_id: str, ending: tuple[int | None, int, str] | None
) -> None:
    """Keep a lease that an event has ended, if there is one."""
    if ending is None:
        return
    from_ms, first_version, worker_id = ending
    work.trail.append(
        lease_event(
            event_id,
            work.new.work_id,
            work.new.engine,
            work.version,
            work.state,
            worker_id=worker_id,
            from_ms=from_ms,
            to_ms=now,
            first_version=first_version,
            ended=ended,
        )
    )


def trail_of(work: Work) -> Sequence[Event]:
    """Return the trail, with what people did, and the lease that is current at its end."""
    acts = [one for done in work.done for one in (done.event, done.confirmed) if one is not None]
    # What took effect at once is one event; leases have the ids of those that ended them.
    unique = {one.event_id: one for one in acts}
    trail = sorted([*unique.values(), *work.trail], key=place_of)
    current = current_lease(work.to_stored(with_snapshot=False))
    return trail if current is None else [*trail, current]
