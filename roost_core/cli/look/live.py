"""The live views of ``roost watch`` on a terminal: of one work item, and of a queue."""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Self

import attrs
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from roost_core.backend.reports import StoredWork
from roost_core.cli import colours
from roost_core.cli.look.happening import day, line
from roost_core.cli.look.screen import hints, reasons
from roost_core.cli.look.standing import grid, heading, standing_facts
from roost_core.cli.look.styles import plain
from roost_core.cli.work.watching import Reason
from roost_core.models.events import Event
from roost_core.models.standing import WorkRow
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.shown.counts import told_counts
from roost_core.shown.why import Why, explain

#: At most this many of the newest events are shown, and fewer if the terminal is low.
SHOWN_EVENTS: Final = 12
#: However low it is, this many.
_LEAST_EVENTS: Final = 3
#: A long queue's events go by faster than anybody reads: as many as fit are shown.
_MOST_EVENTS: Final = 200


class _Picture(abc.ABC):
    """A display that is drawn anew a few times a second: its header stays, events move up."""

    is_live = True
    _of_one = True

    def __init__(self, console: Console, most: int) -> None:
        self._console = console
        self._events: deque[Event] = deque(maxlen=most)
        # It draws at once, so that all else must be there.
        self._live = Live(console=console, get_renderable=self.picture, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def event(self, event: Event) -> None:
        """Add an event below the others."""
        self._events.append(event)

    def picture(self) -> RenderableType:
        """Draw what is known."""
        header = Group(*self._header())
        footer = list(self._footer())
        taken = len(self._console.render_lines(header)) + len(footer) + 3
        parts: list[RenderableType] = [header]
        if shown := self._newest(max(_LEAST_EVENTS, self._console.height - taken)):
            parts += [Text(), *shown]
        return Group(*parts, *footer)

    @abc.abstractmethod
    def _header(self) -> Iterator[RenderableType]:
        """Yield what stays at the top."""

    def _footer(self) -> Iterator[RenderableType]:
        """Yield what comes last."""
        yield from ()

    def _newest(self, room: int) -> list[RenderableType]:
        """Return as many of the newest events as there are lines for, oldest first, under dates."""
        found: list[RenderableType] = []
        later: Event | None = None
        # A copy: rich draws in a thread of its own, while events come.
        for event in reversed(list(self._events)):
            drawn = line(event, self._console.width, of_one=self._of_one)
            is_other_day = later is not None and event.at.date() != later.at.date()
            room -= len(self._console.render_lines(drawn)) + is_other_day
            if room < 0 and found:
                break
            if later is not None and is_other_day:
                found.append(day(later))
            found.append(drawn)
            later = event
        return [] if later is None else [day(later), *found[::-1]]


def _told(reason: Reason, stored: StoredWork, now: datetime) -> Why:
    """Return why work runs or does not, as it stands now."""
    facts = attrs.evolve(reason.facts, work=attrs.evolve(stored, snapshot=None))
    return explain(facts, now, reason.trail, known=reason.known)


class LiveView(_Picture):
    """A display of one work item."""

    def __init__(
        self, console: Console, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Begin.

        :param clock: tells the server's time; this machine's, if not given.
        """
        self._clock = clock
        # Drawn in another thread than the one that is told: what belongs together is set at once.
        self._shown: tuple[WorkRow, StoredWork, bool] | None = None
        self._reason: Reason | None = None
        super().__init__(console, SHOWN_EVENTS)

    def standing(self, row: WorkRow, stored: StoredWork) -> None:
        """Show the work item's current standing.

        What a step said stays until the next says something, so that the lines do not jump.
        """
        meta, is_earlier = row.meta, False
        if self._shown is not None and meta.heartbeat is None and meta.state is State.RUNNING:
            before = self._shown[0].meta.heartbeat
            row = attrs.evolve(row, meta=attrs.evolve(meta, heartbeat=before))
            is_earlier = before is not None
        self._shown = row, stored, is_earlier
        # At once, so that the last state before the end is seen as well.
        self._live.refresh()

    def why(self, reason: Reason) -> None:
        """Show why it does not run, and what would change that."""
        self._reason = reason

    def _header(self) -> Iterator[RenderableType]:
        # As `roost status` shows it.
        shown, reason, now = self._shown, self._reason, self._clock()
        if shown is None:
            return
        row, stored, is_earlier = shown
        yield heading(row.meta, row.title)
        is_told = reason is not None and not row.meta.state.is_terminal and reason.fits(stored)
        # Of the same reading and the same moment as the lines below.
        why = _told(reason, stored, now) if reason is not None and is_told else None
        if why is not None:
            yield from reasons(why)
        yield grid(list(standing_facts(row.meta, now, is_earlier_beat=is_earlier)))
        if why is not None:
            for one in why.commands:
                yield plain(f"try: {one}", "dim")

    def _footer(self) -> Iterator[RenderableType]:
        meta = None if self._shown is None else self._shown[0].meta
        if meta is not None and meta.state.is_terminal:
            yield Text()
            for hint in hints(meta):
                yield Text(hint, "dim")


class QueueView(_Picture):
    """A display of a whole queue."""

    _of_one = False

    def __init__(self, console: Console, queue: str) -> None:
        self._queue = queue
        self._counts: Mapping[State, int] | None = None
        self._workers: Sequence[WorkerInfo] | None = None
        super().__init__(console, _MOST_EVENTS)

    def workers(self, workers: Sequence[WorkerInfo]) -> None:
        """Take who works here."""
        self._workers = workers

    def counts(self, counts: Mapping[State, int]) -> None:
        """Take how much work is in which state."""
        self._counts = counts

    def _header(self) -> Iterator[RenderableType]:
        head = plain(f"queue {self._queue}", "bold")
        if self._workers is not None:
            live = len(self._workers)
            who = f"{live} live worker{'' if live == 1 else 's'}" if live else "no live worker"
            head.append(f"  {who}", "" if live else colours.ALERT)
        yield head
        if self._counts is not None:
            yield Text(told_counts(self._counts))
