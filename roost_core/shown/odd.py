"""What is odd about a work item: signs that something is wrong which no state tells. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from roost_core.models.events import Event
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.shown.case import Case
from roost_core.shown.spans import span, took

#: A step is beyond its usual time if it takes this many times as long as the longest of the last
#: hour, and this many seconds.
_TIMES: Final = 3
_LEAST_SECONDS: Final = 10.0
#: A heartbeat of a step that still runs is old after this many seconds, unless steps usually take
#: longer.
_BEAT_SECONDS: Final = 60.0
#: Work that is next in line is usually taken sooner, if workers offer its engine. Seconds.
_NEXT_SECONDS: Final = 60.0


def odd(case: Case) -> Iterator[str]:
    """Say what is odd, a short line for each thing."""
    yield from _standstill(case)
    if case.meta.state is State.RUNNING:
        yield from _worker(case)
        yield from _step(case)
        yield from _heartbeat(case)
    elif case.meta.state is State.QUEUED:
        yield from _kept_waiting(case)


def _standstill(case: Case) -> Iterator[str]:
    event = _warning(case)
    if event is None:
        return
    done = "changed no data"
    if "back and forth" in str(event.data["warning"]):
        done = "gone back and forth between two states"
    yield (
        f"{event.data['steps']} steps in a row had {done} at version {event.version}"
        f"{_since(case, event)}, and there was no delay since; "
        f"{case.meta.steps_in_row} steps in a row by now"
    )


def _warning(case: Case) -> Event | None:
    """Return the warning about steps without a delay since then: a poller that waits is fine."""
    if case.meta.state.is_terminal:
        return None
    for event in reversed(case.trail):
        is_number = isinstance(event.data.get("steps"), int)
        if event.kind == "emitted" and "warning" in event.data and is_number:
            is_so = case.meta.version - event.version < case.meta.steps_in_row
            return event if is_so else None
    return None


def nothing_new_since(case: Case) -> int | None:
    """Return since which version the steps of work have changed nothing, if they have not."""
    event = _warning(case)
    version = None if event is None else event.data.get("since_version")
    return version if isinstance(version, int) and 0 < version <= case.meta.version else None


def _since(case: Case, event: Event) -> str:
    """Return since when a standstill lasts, as far as its event says it."""
    version, at = event.data.get("since_version"), event.data.get("since")
    if not isinstance(version, int):
        return ""
    try:
        ago = f", {case.ago(datetime.fromisoformat(at))}" if isinstance(at, str) else ""
    except (ValueError, TypeError):  # what an engine has emitted may look like a warning
        ago = ""
    return f" (nothing new since version {version}{ago})"


def _worker(case: Case) -> Iterator[str]:
    holder = case.holder
    if case.facts.holder is None:
        return
    if holder is None:
        yield f"its worker {case.facts.work.worker_id} is not in the register"
        return
    for trouble in troubles(holder, case.now):
        yield f"its worker {trouble}"


def troubles(worker: WorkerInfo, now: datetime) -> Iterator[str]:
    """Say what is odd about a worker: "has hung for 3 m".

    :param worker: with the time when it was last heard of.
    """
    if worker.stuck is not None:
        yield f"has hung for {span((now - worker.stuck.since).total_seconds())}"
    seconds = silence(worker, now)
    if seconds is not None:
        yield f"has not been heard of for {span(seconds)}"


def silence(worker: WorkerInfo, now: datetime) -> float | None:
    """Return for how many seconds nothing was heard of a worker, if its leases have run out."""
    assert worker.seen_at is not None
    seconds = (now - worker.seen_at).total_seconds()
    return seconds if seconds > worker.lease_ttl_seconds else None


def _step(case: Case) -> Iterator[str]:
    usual, seconds = case.facts.usual, case.running_for()
    if usual is None or seconds is None:
        return
    longest = usual.longest_ms / 1000
    if seconds > max(_LEAST_SECONDS, _TIMES * longest):
        mean_ms = usual.total_ms / max(1, usual.count)
        yield (
            f"its step has run for {span(seconds)}; within the last hour the longest of "
            f"{usual.count} like it took {took(usual.longest_ms)}, and one {took(mean_ms)} on "
            "average"
        )


def _heartbeat(case: Case) -> Iterator[str]:
    beat = case.meta.heartbeat
    if beat is None or beat.at is None:
        return
    usual = case.facts.usual
    silence = (case.now - beat.at).total_seconds()
    if silence > max(_BEAT_SECONDS, 0.0 if usual is None else usual.longest_ms / 1000):
        yield f"its last heartbeat was {span(silence)} ago, by its worker's clock"


def _kept_waiting(case: Case) -> Iterator[str]:
    facts = case.facts
    is_next = facts.ahead == 0 and facts.obstacle is None and facts.halt is None
    seconds = (case.now - case.meta.updated_at).total_seconds()
    if is_next and facts.offering and not case.is_suspected and seconds > _NEXT_SECONDS:
        yield (
            f"it is next in line and has been ready for {span(seconds)}, though there are workers "
            "for its engine: their lanes are all taken, or they hang"
        )
