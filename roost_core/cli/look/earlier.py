"""``roost status --version`` on a terminal: an earlier snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from roost_core.cli import colours
from roost_core.cli.look.screen import snapshot_facts
from roost_core.cli.look.standing import Fact, grid, heading
from roost_core.cli.look.styles import plain
from roost_core.models.snapshot import Snapshot
from roost_core.models.standing import WorkStatus
from roost_core.shown.spans import ago, span

_NAME_WIDTH: Final = 11


def show(
    console: Console,
    status: WorkStatus,
    *,
    now: datetime | None = None,
    is_revealed: bool = False,
) -> None:
    """Print a version of the snapshot, and that it is not how the work stands.

    :param status: its snapshot is the one to show.
    :param now: by this machine's clock, if not given.
    :param is_revealed: whether fields named like secrets are shown.
    """
    now = datetime.now(UTC) if now is None else now
    snapshot, meta = status.snapshot, status.meta
    assert snapshot is not None
    console.print(heading(meta, status.item.title))
    if snapshot.version == meta.version:
        console.print(plain(f"version {snapshot.version}, the newest"))
    else:
        said = f"version {snapshot.version}, as it was: the newest is {meta.version}"
        console.print(plain(said, colours.ALERT))
    console.print(grid([*_facts(snapshot, now, console.width, is_revealed=is_revealed)]))
    console.print()
    for hint in _hints(meta.work_id, snapshot.version, meta.version):
        console.print(Text(hint, "dim"), soft_wrap=True)


def _facts(snapshot: Snapshot, now: datetime, width: int, *, is_revealed: bool) -> Iterator[Fact]:
    yield "step", plain(f'"{snapshot.step}"' + (", finished" if snapshot.is_finished else ""))
    if snapshot.updated_at is not None:
        yield "accepted", plain(ago(snapshot.updated_at, now))
    if snapshot.next_step_delay_seconds is not None:
        yield "next step", plain(f"after {span(snapshot.next_step_delay_seconds)}")
    yield from snapshot_facts(snapshot, width - _NAME_WIDTH, is_revealed=is_revealed)


def _hints(work_id: str, version: int, newest: int) -> Iterator[str]:
    if version < newest:
        yield f"what has changed since: roost diff {work_id} {version}"
    yield f"all of it: roost status {work_id} --version {version} --json"
    yield f"all versions: roost history {work_id}"
