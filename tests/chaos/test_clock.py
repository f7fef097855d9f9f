"""Workers whose wall clock is wrong: only the server's clock decides anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from roost_core import Settings
from roost_core.models import State
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

SHIFTED = Path(__file__).with_name("shifted")


@pytest.mark.parametrize("hours", [-5, 5])
def test_wall_clock_shifted(
    redis_server: Server, tmp_path: Path, tally: Callable[[int, str, int], None], hours: int
) -> None:
    """Fault 7: leases, delays and the order of the line are as usual."""
    settings = Settings(
        home=tmp_path,
        extra={"redis_url": redis_server.url},
        namespace=f"clock{hours}",
        lease_ttl=1.0,
    )
    [late] = enqueue(settings, 1, delay_seconds=4.0)
    in_line = enqueue(settings, 4)
    with Crew(tmp_path, settings, steps=2, pause=1.2) as crew:
        worker = crew.start(
            PYTHONPATH=str(SHIFTED), ROOST_X_SHIFT=str(hours * 3600), ROOST_CONCURRENCY="1"
        )
        eventually(lambda: counts(settings)[State.DONE] == 5, "all done")
        assert worker.poll() is None
        [about] = ask(settings, lambda roost: roost.workers())  # type: ignore[misc]
        runs = crew.runs()
    # Each step takes longer than a lease, which was renewed all the while.
    assert {(one, version): 1 for one in [late, *in_line] for version in (1, 2)} == runs
    found = events(settings)
    assert {late, *in_line} == set(accepted_versions(found))
    assert set() == {one.kind for one in found} & {"recovered", "attempt_failed", "dead_lettered"}
    started = [one.work_id for one in found if one.kind == "committed" and one.version == 1]
    assert in_line == [one for one in started if one != late]
    meta = ask(settings, lambda roost: roost.work(late).status()).meta  # type: ignore[attr-defined]
    # The one local time that it reports shows that its clock was wrong.
    assert abs(meta.created_at - about.started_at) > timedelta(hours=4)
    assert meta.leased_at - meta.created_at >= timedelta(seconds=4.0)
    tally(7, "wall clock shifted by hours", 1)
