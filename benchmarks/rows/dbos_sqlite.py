"""DBOS on SQLite: a workflow of small steps, each step's result recorded."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.row import Row


def _run(job: Job, clock: Clock) -> None:
    from dbos import DBOS, DBOSConfig

    logging.disable(logging.WARNING)
    database = Path(job.folder) / "dbos.sqlite"
    database.unlink(missing_ok=True)
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": f"sqlite:///{database}",
        "log_level": "ERROR",
    }
    DBOS(config=config)

    @DBOS.step()
    def small_step(_n: int) -> str:
        return job.text

    @DBOS.workflow()
    def workflow(_number: int) -> None:
        for n in range(job.steps):
            small_step(n)

    DBOS.launch()
    with ThreadPoolExecutor(job.lanes) as pool:
        list(pool.map(workflow, range(min(5, job.warm_items))))
        clock.start()
        list(pool.map(workflow, range(job.items)))
        clock.stop(job.items * job.steps)
    DBOS.destroy()


ROW = Row(
    key="dbos",
    title="DBOS, a workflow on SQLite",
    run=_run,
    durability="the step's result; SQLite as DBOS sets it",
    rate=250,
    needs="dbos",
)
