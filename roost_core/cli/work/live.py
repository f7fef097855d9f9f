"""The live view of ``roost watch`` on a terminal. Only here are rich's modules imported at once."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from roost_core.cli import output
from roost_core.cli.work.event_lines import event_text
from roost_core.models.events import Event
from roost_core.models.standing import WorkMeta, WorkRow
from roost_core.models.work import State
from roost_core.shown.redaction import clean
from roost_core.shown.verbs import standing, told

#: The newest events stay in sight; older ones make room.
SHOWN_EVENTS: Final = 12

_STYLES: Final = {
    State.DONE: "bold green",
    State.FAILED: "bold red",
    State.CANCELLED: "bold yellow",
    State.RUNNING: "bold cyan",
    State.RETRY_WAIT: "bold yellow",
    State.BLOCKED: "bold yellow",
}


class LiveView:
    """A display of one work item that is updated in place."""

    is_live = True

    def __init__(self, console: Console) -> None:
        self._row: WorkRow | None = None
        self._events: deque[Event] = deque(maxlen=SHOWN_EVENTS)
        self._live = Live(console=console, get_renderable=self.picture, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def event(self, event: Event) -> None:
        """Add an event below the others."""
        self._events.append(event)

    def standing(self, row: WorkRow) -> None:
        """Show the work item's current standing."""
        self._row = row
        # At once, so that the last state before the end is seen as well.
        self._live.refresh()

    def picture(self) -> RenderableType:
        """Draw what is known."""
        parts: list[RenderableType] = []
        if self._row is not None:
            parts += _standing(self._row)
        if self._events:
            parts += [Text(), _event_table(list(self._events))]
        return Group(*parts)


def _standing(row: WorkRow) -> list[RenderableType]:
    meta = row.meta
    state = standing(meta.state, meta.wish)
    head = Text.assemble((meta.work_id, "bold"), "  ", (state, _STYLES.get(meta.state, "bold")))
    if row.title:
        head.append(f"  {clean(row.title)}")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, value in _facts(meta):
        grid.add_row(name, Text(clean(value)))
    parts: list[RenderableType] = [head, grid]
    if meta.heartbeat is not None and meta.heartbeat.progress is not None:
        parts.append(ProgressBar(total=1.0, completed=meta.heartbeat.progress, width=40))
    return parts


def _facts(meta: WorkMeta) -> list[tuple[str, str]]:
    facts = [("engine", meta.engine), ("version", f"{meta.version}, step {meta.step or '-'}")]
    trouble = []
    if meta.attempts:
        trouble.append(f"{meta.attempts} of {meta.max_attempts} attempts failed")
    if meta.recoveries:
        trouble.append(f"{meta.recoveries} of {meta.max_recoveries} workers that ran only it died")
    if meta.suspicions:
        trouble.append(f"suspected: {meta.suspicions} workers that ran it died or are silent")
    if trouble:
        facts.append(("trouble", "; ".join(trouble)))
    if meta.lease is not None:
        facts.append(
            ("worker", f"{meta.lease.worker_id}, lease until {_clock(meta.lease.expires_at)}")
        )
    if meta.due_at is not None:
        facts.append(("due", output.when(meta.due_at)))
    if meta.blocked_on is not None:
        facts.append(("blocked on", meta.blocked_on))
    if meta.heartbeat is not None and meta.heartbeat.message:
        at = meta.heartbeat.at
        facts.append(("says", meta.heartbeat.message + (f" (at {_clock(at)})" if at else "")))
    if meta.act is not None:
        facts.append(("by hand", told(meta.act)))
    if meta.error is not None:
        facts.append(("error", f"{meta.error.error_type or meta.error.kind}: {meta.error.message}"))
    return facts


def _event_table(events: list[Event]) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column()
    table.add_column(overflow="fold")
    for event in events:
        cells = (_clock(event.at), event.kind, f"v{event.version}", event.state)
        table.add_row(*(Text(clean(one)) for one in (*cells, event_text(event))))
    return table


def _clock(time: datetime) -> str:
    return f"{time:%H:%M:%SZ}"
