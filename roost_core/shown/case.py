"""The facts about one work item, in the words that explain it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

import attrs

from roost_core.backend.facts import Facts
from roost_core.backend.reports import SUSPECTED_AFTER
from roost_core.codec.times import from_milliseconds
from roost_core.errors import CorruptRecord
from roost_core.models.events import Event
from roost_core.models.standing import WorkMeta
from roost_core.models.worker import WorkerInfo
from roost_core.shown import views
from roost_core.shown.mending import brief
from roost_core.shown.spans import past, span


@attrs.frozen(eq=False)
class Case:
    """One work item, and what is known about it.

    :ivar known: as for :func:`~roost_core.shown.mending.worker_command`.
    """

    facts: Facts
    trail: Sequence[Event]
    now: datetime
    known: Sequence[str] | None = None

    @cached_property
    def meta(self) -> WorkMeta:
        """How the work item stands."""
        return views.meta(self.facts.work)

    @property
    def id(self) -> str:
        """Its id."""
        return self.facts.work.work_id

    @property
    def engine(self) -> str:
        """Its engine."""
        return self.facts.work.engine

    @cached_property
    def live(self) -> Sequence[WorkerInfo]:
        """Live workers that offer its engine: those whose records decode."""
        found = []
        for raw, seen_ms in self.facts.workers:
            try:
                found.append(views.worker(raw, seen_ms))
            except CorruptRecord:
                continue
        return found

    @cached_property
    def hung(self) -> Sequence[WorkerInfo]:
        """Those of them that hang."""
        return [one for one in self.live if one.stuck is not None]

    @cached_property
    def holder(self) -> WorkerInfo | None:
        """The worker that holds its lease, if it is in the register."""
        if self.facts.holder is None or not self.facts.holder[0]:
            return None
        try:
            return views.worker(*self.facts.holder)
        except CorruptRecord:
            return None

    @property
    def is_suspected(self) -> bool:
        """Whether it only runs where nothing else runs."""
        return self.meta.suspicions + self.meta.recoveries >= SUSPECTED_AFTER

    @property
    def is_due(self) -> bool:
        """Whether it waits for no time, or that has come."""
        return self.meta.due_at is None or self.meta.due_at <= self.now

    @property
    def is_late(self) -> bool:
        """Whether its deadline has passed."""
        return self.meta.deadline_at is not None and self.meta.deadline_at <= self.now

    @property
    def error(self) -> str | None:
        """Its newest error: type and message."""
        error = self.meta.error
        if error is None:
            return None
        return brief(
            f"{error.error_type or error.kind}{': ' if error.message else ''}{error.message}"
        )

    def ago(self, at: datetime) -> str:
        """Return how long ago that was."""
        return past(at, self.now)

    def until(self, at: datetime) -> str:
        """Return when that will be: ``in 3 s``; or how long ago it was."""
        seconds = (at - self.now).total_seconds()
        return f"in {span(seconds)}" if seconds > 0 else self.ago(at)

    def at_ms(self, value: int) -> datetime:
        """Return a time of the facts."""
        return from_milliseconds(value)

    def running_for(self) -> float | None:
        """Return for how many seconds the running step runs, if that is known."""
        known = [one for one in (self.facts.work.leased_ms, self.facts.work.committed_ms) if one]
        if not known:
            return None
        return max(0.0, (self.now - from_milliseconds(max(known))).total_seconds())
