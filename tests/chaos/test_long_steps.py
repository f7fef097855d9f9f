"""Steps that take longer than a lease, by waiting or by blocking their worker, are run once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from roost_core import Settings
from roost_core.models import State
from tests.chaos.crew import Crew, accepted_versions, counts, enqueue, events, eventually
from tests.servers import Server


def test_steps_that_outlast_a_lease(
    redis_server: Server, tmp_path: Path, tally: Callable[[int, str, int], None]
) -> None:
    """Fault 8: leases are renewed meanwhile, alongside the event loop that may stand still."""
    settings = Settings(
        home=tmp_path, extra={"redis_url": redis_server.url}, namespace="long-steps", lease_ttl=1.0
    )
    waiting = enqueue(settings, 5)
    blocking = enqueue(settings, 2, payload={"once": {"2": "block"}})
    work_ids = waiting + blocking
    with Crew(tmp_path, settings, steps=2, pause=2.5) as crew:
        crew.start()
        # It has free lanes all the while, and looks for leases that have expired.
        crew.start(ROOST_CONCURRENCY="20")
        eventually(lambda: counts(settings)[State.DONE] == len(work_ids), "all done")
        assert [None, None] == [worker.poll() for worker in crew.workers]
        runs = crew.runs()
    assert {(one, version): 1 for one in work_ids for version in (1, 2)} == runs
    found = events(settings)
    assert {one: [1, 2, 3] for one in work_ids} == accepted_versions(found)
    assert set() == {one.kind for one in found} & {"recovered", "attempt_failed", "dead_lettered"}
    tally(8, "a step that waits for longer than its lease", runs.total())
    tally(8, "a step that blocks the event loop for longer than its lease", len(blocking))
