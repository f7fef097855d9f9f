"""Follow one work item to its end, by its events, in a view."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, Protocol, Self

from roost_core.backend.trail import go_on_from
from roost_core.cli.work.event_lines import print_cells
from roost_core.client.roost import Roost
from roost_core.client.work import Work
from roost_core.errors import BackendUnavailable
from roost_core.models.events import Event
from roost_core.models.standing import WorkRow
from roost_core.models.work import State

#: How often a live view checks for a new heartbeat while a step runs, in seconds.
HEARTBEAT_SECONDS: Final = 1.0


class View(Protocol):
    """Shows a work item; a context around the whole display."""

    #: Whether the view shows more than events, and so wants to see heartbeats.
    is_live: bool

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def event(self, event: Event) -> None:
        """Show an event."""

    def standing(self, row: WorkRow) -> None:
        """Show the work item's current standing."""


class LinesView:
    """Prints each event as a line."""

    is_live = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def event(self, event: Event) -> None:
        """Print the event."""
        print_cells(event)

    def standing(self, row: WorkRow) -> None:
        """Print nothing: the events show it."""


async def watch(roost: Roost, work_id: str, view: View, history: int) -> WorkRow:
    """Show a work item until it is terminal; return its standing then.

    :param history: begin with this many of its newest events.
    :raises WorkNotFound: no work item has this id.
    """
    work = roost.work(work_id)
    row = await work.row()
    with view:
        view.standing(row)
        # The place to continue from is taken before anything is shown, so nothing falls in between.
        newest = await roost.events(limit=1)
        shown = await work.events(limit=history) if history else ()
        for event in shown:
            view.event(event)
        last = go_on_from(*shown, *newest)
        row = await work.row()
        view.standing(row)
        if not row.meta.state.is_terminal:
            async with _heartbeats(work, view):
                return await _follow(work, view, last)
        for event in await work.events(after=last) if last else ():
            view.event(event)
    return row


async def _follow(work: Work, view: View, last: str | None) -> WorkRow:
    async with contextlib.aclosing(work.follow(after=last)) as events:
        async for event in events:
            view.event(event)
            if view.is_live or event.state.is_terminal:
                row = await work.row()
                view.standing(row)
                if row.meta.state.is_terminal:
                    return row
    raise AssertionError("the events of a queue have no end")


@contextlib.asynccontextmanager
async def _heartbeats(work: Work, view: View) -> AsyncIterator[None]:
    """Check for heartbeats while a step runs: they make no events."""
    if not view.is_live:
        yield
        return
    task = asyncio.create_task(_look(work, view))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _look(work: Work, view: View) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        try:
            row = await work.row()
        except BackendUnavailable:
            continue  # Following retries for a while; when it gives up, the view ends.
        if row.meta.state is State.RUNNING:
            view.standing(row)
