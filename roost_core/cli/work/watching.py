"""Follow one work item to its end, or a queue for ever, by their events, in a view."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol, Self

import attrs

from roost_core.backend.trail import go_on_from
from roost_core.cli.work.event_lines import print_cells
from roost_core.client.roost import Roost
from roost_core.client.work import Work
from roost_core.errors import BackendUnavailable
from roost_core.models.events import Event
from roost_core.models.standing import WorkRow
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.shown import views

if TYPE_CHECKING:
    # In a pipe it does without.
    from roost_core.backend.facts import Facts
    from roost_core.backend.reports import StoredWork

#: How often a live view checks for a new heartbeat while a step runs, in seconds.
HEARTBEAT_SECONDS: Final = 1.0
#: How often it looks who works here, in seconds.
WORKERS_SECONDS: Final = 5.0
#: How often it asks why the work does not run, in seconds.
WHY_SECONDS: Final = 2.0


@attrs.frozen
class Reason:
    """What tells why work runs or does not, also when it has moved on."""

    facts: Facts
    trail: Sequence[Event]
    known: Sequence[str] | None

    def fits(self, stored: StoredWork) -> bool:
        """Whether it is about the work as it stands now, but for the steps of the same lease."""
        before = self.facts.work
        return (before.state, before.worker_id, before.fence) == (
            stored.state,
            stored.worker_id,
            stored.fence,
        )


class EventView(Protocol):
    """Shows events; a context around the whole display."""

    @property
    def is_live(self) -> bool:
        """Whether it shows more than events, and so wants to see heartbeats and workers."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def event(self, event: Event) -> None:
        """Show an event."""


class View(EventView, Protocol):
    """Shows a work item."""

    def standing(self, row: WorkRow, stored: StoredWork) -> None:
        """Show the work item's current standing."""

    def why(self, reason: Reason) -> None:
        """Show why it does not run, and what would change that."""


class OfQueue(EventView, Protocol):
    """Shows a queue."""

    def workers(self, workers: Sequence[WorkerInfo]) -> None:
        """Show who works here."""

    def counts(self, counts: Mapping[State, int]) -> None:
        """Show how much work is in which state."""


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

    def workers(self, workers: Sequence[WorkerInfo]) -> None:
        """Print nothing: they are no events."""

    def counts(self, counts: Mapping[State, int]) -> None:
        """Print nothing: the events show it."""

    def standing(self, row: WorkRow, stored: StoredWork) -> None:
        """Print nothing: the events show it."""

    def why(self, reason: Reason) -> None:
        """Print nothing: it is no event."""


async def watch(roost: Roost, work_id: str, view: View, history: int) -> WorkRow:
    """Show a work item until it is terminal; return its standing then.

    :param history: begin with this many of its newest events.
    :raises WorkNotFound: no work item has this id.
    """
    work = roost.work(work_id)
    row, stored = await _standing(work)
    with view:
        view.standing(row, stored)
        # The place to continue from is taken before anything is shown, so nothing falls in between.
        newest = await roost.events(limit=1)
        shown = await work.events(limit=history) if history else ()
        for event in shown:
            view.event(event)
        last = go_on_from(*shown, *newest)
        row, stored = await _standing(work)
        view.standing(row, stored)
        if not row.meta.state.is_terminal:
            async with _heartbeats(work, view), _reasons(roost, work, view):
                return await _follow(work, view, last)
        for event in await work.events(after=last) if last else ():
            view.event(event)
    return row


async def watch_queue(roost: Roost, view: OfQueue, history: int) -> None:
    """Show what happens in a queue, for ever.

    :param history: begin with this many of its newest events.
    """

    async def count() -> None:
        view.counts(await roost.counts())

    with view:
        newest = await roost.events(limit=max(1, history))
        for event in newest if history else ():
            view.event(event)
        looking = _repeatedly(count, HEARTBEAT_SECONDS, is_wanted=view.is_live)
        async with looking, _who_works(roost, view):
            events = roost.follow(after=go_on_from(*newest))
            async with contextlib.aclosing(events):
                async for event in events:
                    view.event(event)


async def _standing(work: Work) -> tuple[WorkRow, StoredWork]:
    """Return how it stands, as people see it and as it is stored."""
    stored = await work._stored()
    return views.row(stored), stored


async def _follow(work: Work, view: View, last: str | None) -> WorkRow:
    async with contextlib.aclosing(work.follow(after=last)) as events:
        async for event in events:
            view.event(event)
            if view.is_live or event.state.is_terminal:
                row, stored = await _standing(work)
                view.standing(row, stored)
                if row.meta.state.is_terminal:
                    return row
    raise AssertionError("the events of a queue have no end")


@contextlib.asynccontextmanager
async def _heartbeats(work: Work, view: View) -> AsyncIterator[None]:
    """Check for heartbeats while a step runs: they make no events."""

    async def look() -> None:
        row, stored = await _standing(work)
        if row.meta.state is State.RUNNING:
            view.standing(row, stored)

    async with _repeatedly(look, HEARTBEAT_SECONDS, is_wanted=view.is_live, is_late=True):
        yield


@contextlib.asynccontextmanager
async def _reasons(roost: Roost, work: Work, view: View) -> AsyncIterator[None]:
    """Ask now and then why it does not run."""

    async def look() -> None:
        facts = await roost.ledger.facts(work.id)
        # The one who follows its events hears that it is gone.
        if facts is not None and not facts.work.state.is_terminal:
            trail = await roost.ledger.trail(work.id)
            view.why(Reason(facts, trail or (), roost.plugins.options_for(facts.work.engine)))

    async with _repeatedly(look, WHY_SECONDS, is_wanted=view.is_live):
        yield


@contextlib.asynccontextmanager
async def _who_works(roost: Roost, view: OfQueue) -> AsyncIterator[None]:
    """Look now and then who works here."""

    async def look() -> None:
        view.workers(await roost.workers())

    async with _repeatedly(look, WORKERS_SECONDS, is_wanted=view.is_live):
        yield


@contextlib.asynccontextmanager
async def _repeatedly(
    look: Callable[[], Awaitable[None]], seconds: float, *, is_wanted: bool, is_late: bool = False
) -> AsyncIterator[None]:
    """Look again and again meanwhile.

    :param is_late: the first time only after a pause.
    """
    if not is_wanted:
        yield
        return

    async def repeat() -> None:
        if is_late:
            await asyncio.sleep(seconds)
        while True:
            # Following repeats for a while; when it gives up, the view ends.
            with contextlib.suppress(BackendUnavailable):
                await look()
            await asyncio.sleep(seconds)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
