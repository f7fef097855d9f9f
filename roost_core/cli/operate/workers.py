"""``roost workers``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import click

from roost_core.cli import output
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.server_clock import server_now
from roost_core.client.roost import Roost
from roost_core.errors import NoWorkHere
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.shown.plain import to_plain
from roost_core.values import Json

#: Of at most this many running work items it is looked up who runs them.
_MOST_RUNNING: Final = 10_000

Register = tuple[Sequence[WorkerInfo], Mapping[str, int]]


@click.command(
    "workers",
    cls=RoostCommand,
    example=("roost workers", "roost workers --json | jq -r '.[] | select(.stuck) | .worker_id'"),
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@roost_options()
@click.pass_obj
def command(session: Session, as_json: bool) -> None:
    """List the live workers of this queue.

    Columns: worker, host, pid, queues that it serves, engines, how many work items it runs at a
    time, how many of this queue it runs now, since when it works, where it hangs if it does, and
    how many steps it has lost: they were ended and still run. A worker is live until three lease
    TTLs after it was last heard of.
    """

    async def look(roost: Roost) -> tuple[Register, datetime | None]:
        running = await roost.list(State.RUNNING, limit=_MOST_RUNNING)
        leases = [row.meta.lease for row in running if row.meta.lease is not None]
        register = await roost.workers(), Counter(lease.worker_id for lease in leases)
        return register, await server_now(roost)

    workers: Sequence[WorkerInfo] = ()
    counts: Mapping[str, int] = {}
    now: datetime | None = None
    try:
        (workers, counts), now = session.read(look)
    except NoWorkHere as nothing:
        output.note(nothing)
    workers = sorted(workers, key=lambda one: (one.host, one.started_at))
    if as_json:
        output.json_line(
            [worker_json(one, counts.get(one.worker_id, 0)) for one in workers], indent=2
        )
        return
    if output.on_terminal():
        from roost_core.cli.look.register import show

        show(output.console(), workers, counts, now)
        return
    for one in workers:
        output.data_row(_cells(one, counts))


def worker_json(worker: WorkerInfo, running: int | None) -> dict[str, Json]:
    """Return a worker as plain JSON, with how many work items of the queue it runs."""
    return {**to_plain(worker), "running": running}


def _cells(worker: WorkerInfo, counts: Mapping[str, int]) -> list[object]:
    return [
        worker.worker_id,
        worker.host,
        worker.pid,
        ",".join(worker.queues),
        ",".join(worker.engines),
        worker.concurrency,
        counts.get(worker.worker_id, 0),
        worker.started_at,
        None if worker.stuck is None else worker.stuck.where,
        worker.lost,
    ]
