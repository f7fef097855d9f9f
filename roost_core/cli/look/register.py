"""``roost workers`` on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from roost_core.cli import colours
from roost_core.cli.look.columns import Column, draw
from roost_core.cli.look.styles import plain
from roost_core.models.worker import WorkerInfo
from roost_core.shown.spans import ago, span

_COLUMNS: Final = (
    Column("worker"),
    Column("running"),
    Column("since", rank=3),
    Column("trouble", rank=1),
    Column("engines", least=12, rank=2),
    Column("queues", least=8, rank=4),
    Column("pid", rank=6, is_right=True),
    Column("host", least=8, rank=7),
)


def show(
    console: Console,
    workers: Sequence[WorkerInfo],
    counts: Mapping[str, int],
    now: datetime | None = None,
) -> None:
    """Print the register, or that nobody works here.

    :param counts: how many work items each runs.
    :param now: by this machine's clock, if not given.
    """
    now = datetime.now(UTC) if now is None else now
    if not workers:
        console.print(Text("no live worker: start one with `roost worker`", colours.ALERT))
        return
    draw(console, _COLUMNS, [_cells(one, counts, now) for one in workers])
    for one in workers:
        for line in _troubles(one, now):
            console.print(plain(f"{one.worker_id} {line}", colours.VERY_BAD), soft_wrap=True)


def _cells(worker: WorkerInfo, counts: Mapping[str, int], now: datetime) -> list[Text | None]:
    running = counts.get(worker.worker_id, 0)
    is_hung = worker.stuck is not None
    trouble = "hangs" if is_hung else f"{worker.lost} lost" if worker.lost else None
    return [
        plain(worker.worker_id, "bold"),
        plain(f"{running} of {worker.concurrency}", colours.BUSY if running else ""),
        plain(ago(worker.started_at, now)),
        None if trouble is None else plain(trouble, colours.VERY_BAD),
        plain(", ".join(worker.engines)),
        plain(", ".join(worker.queues)),
        plain(worker.pid),
        plain(worker.host),
    ]


def _troubles(worker: WorkerInfo, now: datetime) -> Iterator[str]:
    if worker.stuck is not None:
        lasts = span((now - worker.stuck.since).total_seconds())
        yield f"hangs at {worker.stuck.where}, for {lasts}: roost doctor"
    if worker.lost:
        yield f"has lost {worker.lost} steps: they were ended and still run"
