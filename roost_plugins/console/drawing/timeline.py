"""One picture of a work item's life: who held it, its steps and waits, and what people did. Pure.

Everything stands in percent of the width, so that the picture fits any page; however long the life
is, there are some 300 marks at most: what would stand closer than a mark is wide becomes one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

import attrs

from roost_core.models import Event, State
from roost_core.shown.redaction import clean
from roost_core.shown.sentences import sentence
from roost_core.shown.spans import span
from roost_plugins.console.drawing.scale import Scale
from roost_plugins.console.drawing.spans import Lease, Life, Step, Wait, life_of

#: Marks whose beginnings are closer than this become one. Percent of the width.
_CLOSE: Final = {"lease": 1.4, "wait": 1.4, "step": 1.0, "act": 2.2, "said": 3.0}
#: The narrowest mark.
_THIN: Final = 0.35
#: A mark this wide has room for a few words.
_WORDY: Final = 6.0
#: How far apart the times at the top are at least.
_TICKS: Final = 12.0
#: What stands at the end has room there.
_ROOM: Final = (0.5, 97.0)

#: Tones of states in which it waits.
_WAITS: Final = {
    State.QUEUED: "calm",
    State.SLEEPING: "calm",
    State.RETRY_WAIT: "warn",
    State.BLOCKED: "warn",
    State.WAITING: "person",
    State.PAUSED: "person",
}
_ENDS: Final = {State.DONE: "good", State.FAILED: "bad", State.CANCELLED: "calm"}


@attrs.frozen
class Mark:
    """One mark.

    :ivar kind: ``lease``, ``wait``, ``step``, ``act``, ``said``, ``death`` or ``end``.
    :ivar x: where it begins, in percent of the width; ``width`` likewise, 0 for what is a point.
    :ivar title: what it says, in full.
    :ivar label: what fits into it.
    :ivar is_open: it goes on.
    :ivar event_id: the event that it stands for, if it is one.
    :ivar at: when it begins, and ``until`` when it ends.
    """

    kind: str
    tone: str
    x: float
    width: float
    title: str
    label: str = ""
    is_open: bool = False
    event_id: str | None = None
    at: datetime | None = None
    until: datetime | None = None
    count: int = 1


@attrs.frozen
class Lane:
    """Marks in a row, with its name."""

    name: str
    marks: Sequence[Mark]


@attrs.frozen
class Timeline:
    """The picture.

    :ivar ticks: where times stand at the top, and what they say: time since the beginning.
    :ivar missing: what cannot be shown any more; empty if all is.
    :ivar is_merged: whether some marks stand for several things.
    :ivar summary: the whole in a sentence.
    """

    lanes: Sequence[Lane]
    ticks: Sequence[tuple[float, str]]
    missing: str
    is_merged: bool
    summary: str

    @property
    def marks(self) -> Iterator[Mark]:
        """All marks, lane by lane."""
        return itertools.chain.from_iterable(lane.marks for lane in self.lanes)


def timeline(story: Sequence[Event], now: datetime) -> Timeline:
    """Draw a work item's life.

    :param story: its events, oldest first, as a client's ``inspect`` returns them.
    :param now: the server's clock.
    """
    life = life_of(story, now)
    waits = [(one.start, one.end or life.end) for one in life.waits]
    scale = Scale.over(life.begin, life.end, waits, _ROOM)
    pen = _Pen(life, scale)
    held = [*map(pen.lease, life.leases), *map(pen.wait, life.waits)]
    lanes = [
        Lane("Leases", [*_apart(held), *pen.deaths(), *pen.ending()]),
        Lane("Steps", _apart([pen.step(one) for one in life.steps])),
        Lane("People", _apart([pen.happened(one, "act") for one in life.acts])),
        Lane("Events", _apart([pen.happened(one, "said") for one in life.said])),
    ]
    lanes = [lane for lane in lanes if lane.marks or lane.name == "Leases"]
    missing = ""
    if life.missing:
        missing = f"Versions 1 to {life.missing:,} came before what is still kept of its history."
    return Timeline(
        lanes=lanes,
        ticks=_ticks(scale, life),
        missing=missing,
        is_merged=any(mark.count > 1 for lane in lanes for mark in lane.marks),
        summary=_summary(life),
    )


class _Pen:
    """Draws single marks."""

    def __init__(self, life: Life, scale: Scale) -> None:
        self._life = life
        self._scale = scale

    def _mark(
        self, kind: str, tone: str, start: datetime, end: datetime | None, title: str, label: str
    ) -> Mark:
        x = self._scale.place(start)
        until = end or self._life.end
        width = max(_THIN, self._scale.place(until) - x)
        fits = label if width >= _WORDY else ""
        return Mark(kind, tone, x, width, title, fits, end is None, None, start, end)

    def lease(self, one: Lease) -> Mark:
        ended = "now" if one.ended is None else one.ended.replace("_", " ")
        versions = f"v{one.first} to v{one.last}" if one.last > one.first else f"v{one.first}"
        worker = clean(one.worker)
        title = f"leased to {worker}, {versions}, {self._when(one.start, one.end)}, until {ended}"
        tone = "bad" if one.is_death else "busy" if one.end is None else "accent"
        return self._mark("lease", tone, one.start, one.end, title, worker)

    def wait(self, one: Wait) -> Mark:
        name = one.state.value.replace("_", " ")
        title = f"{name}, {self._when(one.start, one.end)}"
        until = one.end or self._life.end
        label = f"{name} {span((until - one.start).total_seconds())}"
        return self._mark("wait", _WAITS.get(one.state, "calm"), one.start, until, title, label)

    def step(self, one: Step) -> Mark:
        label = clean(one.label)
        when = self._when(one.start, one.end)
        if one.count > 1:
            first = one.version - one.count + 1
            name = f"v{first}–v{one.version}"
            title = f"{one.count:,} steps, {name}, {when}; their times are not kept any more"
            mark = self._mark("steps", "accent", one.start, one.end, title, name)
            return attrs.evolve(mark, count=one.count)
        if one.is_failure:
            title = f"a try of v{one.version} failed, {when}: {label}"
            return self._mark("step", "bad", one.start, one.end, title, "failed")
        if one.end is None:
            return self._mark("step", "busy", one.start, None, f"the running step, {when}", "…")
        title = f"v{one.version} “{label}” accepted, {when}"
        return self._mark("step", "accent", one.start, one.end, title, f"v{one.version}")

    def happened(self, event: Event, kind: str) -> Mark:
        tone = "person" if kind == "act" else "calm"
        if "warning" in event.data:
            tone = "warn"
        text = clean(sentence(event))
        title = f"{text[:400]}, {self._elapsed(event.at)}"
        x = self._scale.place(event.at)
        label = event.kind.replace("_", " ")
        return Mark(kind, tone, x, 0, title, label, event_id=event.event_id, at=event.at)

    def deaths(self) -> Iterator[Mark]:
        """Draw where workers died; those that are close to each other as one."""
        died = [
            self._point("death", "bad", one.end, f"{clean(one.worker)} fell silent")
            for one in self._life.leases
            if one.is_death and one.end is not None
        ]
        return iter(_apart(died))

    def ending(self) -> Iterator[Mark]:
        """Draw how it ended."""
        last = self._life.last
        if last is not None:
            said = clean(sentence(last))[:400]
            mark = self._point("end", _ENDS.get(last.state, "calm"), last.at, said)
            yield attrs.evolve(mark, label=last.state.value)

    def _point(self, kind: str, tone: str, at: datetime, text: str) -> Mark:
        title = f"{text}, {self._elapsed(at)}"
        return Mark(kind, tone, self._scale.place(at), 0, title, at=at)

    def _elapsed(self, at: datetime) -> str:
        return f"{span((at - self._life.begin).total_seconds())} after it began"

    def _when(self, start: datetime, end: datetime | None) -> str:
        lasted = span(((end or self._life.end) - start).total_seconds())
        since = span((start - self._life.begin).total_seconds())
        return f"{'for' if end is None else 'took'} {lasted}, {since} after it began"


def _apart(marks: Sequence[Mark]) -> list[Mark]:
    """Merge marks of one kind that would stand closer than they are wide."""
    found: list[Mark] = []
    for _, kind in itertools.groupby(sorted(marks, key=lambda one: one.kind), _kind_of):
        near: list[Mark] = []
        for mark in sorted(kind, key=lambda one: one.x):
            close = _CLOSE.get(mark.kind, 1.0)
            if near and (mark.x - near[0].x >= close or max(mark.width, near[0].width) >= close):
                found.append(_merged(near))
                near = []
            near.append(mark)
        found.append(_merged(near))
    return sorted(found, key=lambda one: one.x)


_kind_of: Final[Callable[[Mark], str]] = lambda one: one.kind  # noqa: E731 - one line, used as a key


#: What several of a kind are called.
_NAMES: Final = {
    "lease": "leases",
    "wait": "waits",
    "step": "steps",
    "steps": "steps",
    "act": "acts",
    "said": "events",
    "death": "workers that fell silent",
}
#: The tone that tells most, first.
_LOUD: Final = ("bad", "warn", "busy", "person", "accent", "calm", "good")


def _merged(marks: Sequence[Mark]) -> Mark:
    first, last = marks[0], marks[-1]
    if len(marks) == 1:
        return first
    tone = min((one.tone for one in marks), key=_LOUD.index)
    bad = sum(one.tone == "bad" for one in marks)
    count = sum(one.count for one in marks)
    failed = f", {bad} of them failed" if bad and first.kind == "step" else ""
    title = f"{count:,} {_NAMES[first.kind]}{failed}: {first.title} … {last.title}"
    width = 0.0 if first.width == 0 else max(_THIN, last.x + last.width - first.x)
    return attrs.evolve(
        first,
        tone=tone,
        width=width,
        title=title,
        label="",
        is_open=last.is_open,
        until=last.until or last.at,
        count=count,
    )


def _ticks(scale: Scale, life: Life) -> list[tuple[float, str]]:
    """Return times at the top, where something begins if that is near."""
    begins = sorted({scale.place(one.start) for one in life.leases})
    found = [(_ROOM[0], "0")]
    for place in begins:
        if place - found[-1][0] >= _TICKS and _ROOM[1] - place >= _TICKS:
            since = (scale.moment(place) - life.begin).total_seconds()
            found.append((place, f"+{span(since)}"))
    lasted = span((life.end - life.begin).total_seconds())
    return [*found, (_ROOM[1], f"+{lasted}")]


def _summary(life: Life) -> str:
    lasted = span((life.end - life.begin).total_seconds())
    workers = len({one.worker for one in life.leases})
    deaths = sum(one.is_death for one in life.leases)
    steps = sum(one.count for one in life.steps if not one.is_failure and one.end is not None)
    failures = sum(one.is_failure for one in life.steps)
    parts = [
        f"{lasted} in all",
        _counted(len(life.leases), "lease")
        + (f" by {_counted(workers, 'worker')}" if workers else ""),
        *([_counted(deaths, "death") + " of workers"] if deaths else []),
        _counted(steps, "accepted step"),
        *([_counted(failures, "failed try", "failed tries")] if failures else []),
        *([_counted(len(life.acts), "act") + " by people"] if life.acts else []),
    ]
    return ", ".join(parts)


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
