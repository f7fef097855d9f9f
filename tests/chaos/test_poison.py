"""Poison of every kind among healthy work: only the poison is in the dead letters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from roost_core import Settings
from roost_core.models import RetryPolicy, State
from tests.chaos.crew import (
    Crew,
    accepted_versions,
    ask,
    counts,
    enqueue,
    events,
    eventually,
)
from tests.servers import Server

#: What each kind of poison is buried for.
KINDS = {
    "raise": "exception",
    "system_exit": "exception",
    "exit": "recoveries",
    "kill": "recoveries",
    "hang": "hung",
}


def test_every_kind_of_poison(
    redis_server: Server, tmp_path: Path, tally: Callable[[int, str, int], None]
) -> None:
    """Fault 9: raised, exited, killed or hung, each is buried for what it did, and alone."""
    settings = Settings(
        home=tmp_path,
        extra={"redis_url": redis_server.url},
        namespace="poison-kinds",
        lease_ttl=1.0,
        stuck_after=2.0,
    )
    limits = {"max_recoveries": 2, "retry": RetryPolicy(max_attempts=2, base_seconds=0.1)}
    bad = {
        enqueue(settings, 1, payload={"poison": poison, "after": 0.2}, **limits)[0]: kind
        for poison, kind in KINDS.items()
    }
    good = enqueue(settings, 20, **limits)
    with Crew(tmp_path, settings, steps=4, pause=0.3) as crew:
        for _ in range(2):
            crew.start()

        def is_over() -> bool:
            for index, worker in enumerate(crew.workers):
                if worker.poll() is not None:
                    crew.replace(index)
            standing = counts(settings)
            return standing[State.FAILED] + standing[State.DONE] == len(bad) + len(good)

        eventually(is_over, "all have come to an end")
    letters = ask(settings, lambda roost: roost.dead_letters(1000))
    assert bad == {one.item.work_id: one.error.kind for one in letters}  # type: ignore[attr-defined]
    found = events(settings)
    assert {one: [1, 2, 3, 4, 5] for one in good} == accepted_versions(
        [one for one in found if one.work_id in good]
    )
    failed = {one.work_id for one in found if one.kind == "attempt_failed"}
    assert set() == failed & set(good)
    tally(9, "poison items of five kinds", len(bad))
