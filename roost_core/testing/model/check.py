"""The invariants of the ledger, checked on the model's own state."""

from __future__ import annotations

from collections import Counter
from typing import Final

from roost_core.backend.messages import Alone
from roost_core.models.work import State
from roost_core.testing.model.state import MemoryState
from roost_core.testing.model.work import DUE_STATES, Work

#: What may still become of work that has ended.
_AFTER_THE_END: Final = frozenset({"purged", "emitted", "retried", "rewound", "forked", "dropped"})


def check_state(state: MemoryState) -> None:
    """Check every work item and the events.

    :raises AssertionError: an invariant does not hold; the text names it.
    """
    for work in state.works.values():
        _check_place(work)
        _check_counters(work)
        _check_wish(work)
    _check_leases(state)
    _check_resources(state)
    _check_keys(state)
    _check_versions(state)


def _require(is_true: bool, invariant: str, subject: object) -> None:
    # Raised by hand: the kit is not rewritten by pytest, and -O must not silence it.
    if not is_true:
        raise AssertionError(f"{invariant} does not hold for {subject}")


def _check_place(work: Work) -> None:
    """Q1: what belongs to a place is set in that place, and nowhere else."""
    places = {
        "leased": (work.state is State.RUNNING, work.token),
        "leased by": (work.state is State.RUNNING, work.worker_id),
        "leased until": (work.state is State.RUNNING, work.expires_ms),
        "due": (work.state in DUE_STATES, work.due_ms),
        "blocked": (work.state is State.BLOCKED, work.blocked_on),
        "terminal": (work.state.is_terminal, work.finished_ms),
    }
    if work.state is State.PAUSED:
        is_due_later = work.was in DUE_STATES
        places["due"] = (is_due_later, work.due_ms)
        _require(work.was is not None, "Q1 (paused from somewhere)", work)
    for place, (belongs, mark) in places.items():
        _require(belongs == (mark is not None), f"Q1 ({place})", work)
    is_in_doubt = work.blame.is_in_doubt(work.new.max_recoveries)
    if work.state in (State.FAILED, State.RETRY_WAIT) and not is_in_doubt:
        _require(work.error is not None, "D1 (the error is kept)", work)
    if work.blocked_on is not None:
        _require(work.blocked_on in work.new.resources, "X2 (blocked on its own)", work)
    if work.is_in_line:
        is_waiting = work.state in (State.BLOCKED, State.QUEUED)
        _require(is_waiting, "X2 (only waiting work is in line)", work)


def _check_wish(work: Work) -> None:
    """V1: what is wished is not done yet, and what is done is true until something else is."""
    is_asked = work.wish is not None
    _require(work.state is State.RUNNING or not is_asked, "V1 (a wish is a running step's)", work)
    if is_asked:
        newest = work.done[0]
        _require(newest.verb is work.wish, "V1 (the newest verb is the wish)", work)
        _require(newest.confirmed is None, "V1 (requested, not confirmed)", work)
    if work.state in (State.PAUSED, State.CANCELLED):
        _require(work.done[0].confirmed is not None, "V1 (confirmed)", work)
    is_last = work.is_last_step
    _require(work.state is State.RUNNING or not is_last, "V1 (a lease's last step)", work)


def _check_counters(work: Work) -> None:
    _require(0 <= work.attempts <= work.new.max_attempts, "R1", work)
    _require(0 <= work.blame.deaths <= max(1, work.new.max_recoveries), "R2", work)
    is_alone = work.blame.alone is not Alone.NEVER
    _require(work.state is State.RUNNING or not is_alone, "B1 (only a lease is alone)", work)
    _require((work.version > 0) == (work.snapshot is not None), "C1 (snapshot)", work)
    _require((work.fence > 0) == (work.started_ms is not None), "L2 (started)", work)


def _check_leases(state: MemoryState) -> None:
    tokens = Counter(work.token for work in state.works.values() if work.token is not None)
    for token, holders in tokens.items():
        _require(holders == 1, "L1", token)


def _check_resources(state: MemoryState) -> None:
    holders: Counter[str] = Counter()
    for work in state.works.values():
        if work.state is State.RUNNING:
            holders.update(work.new.resources)
    for resource, count in holders.items():
        _require(count == 1, "X1", resource)
    for work in state.works.values():
        if work.state is State.BLOCKED:
            _require(work.is_in_line, "Q5 (blocked work keeps its place)", work)
            _require(state.lines.in_the_way(work) is not None, "X2 (lost wake-up)", work)


def _check_keys(state: MemoryState) -> None:
    named = {
        work.new.idempotency_key: (work.new.digest, work_id)
        for work_id, work in state.works.items()
        if work.new.idempotency_key is not None
    }
    _require(named == state.keys, "Q6 (keys)", state.keys)


def _check_versions(state: MemoryState) -> None:
    """C1, C6, D1 and E1, by the events: versions in turn, and only what may follow the end."""
    last: dict[str, tuple[int, State]] = {}
    for event in state.events:
        if event.is_of_engine:
            continue
        version, before = last.get(event.work_id, (0, None))
        if event.kind == "enqueued":
            _require(event.work_id not in last, "E1 (enqueued once)", event)
            version, before = 0, None
            if "forked_from" in event.data:
                version = event.data["from_version"] + 1
        if event.kind in ("committed", "rewound"):
            version += 1
        _require(event.version == version, "C1", event)
        if before is not None and before.is_terminal:
            _require(event.kind in _AFTER_THE_END, "C6", event)
        if event.kind in ("purged", "dropped"):
            del last[event.work_id]
        else:
            last[event.work_id] = (version, event.state)
    for work_id, work in state.works.items():
        _require(last[work_id][0] == work.version, "C1 (stored version)", work)
        is_failed = last[work_id][1] is State.FAILED
        _require(is_failed == (work.state is State.FAILED), "D1", work)
