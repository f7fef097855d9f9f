"""One picture of a work item's life: who held it, its steps and waits, and what people did. Pure.

Everything stands in percent of the width, so that the picture fits any page; however long the life
is, there are some 300 marks at most: what would stand closer than a mark is wide becomes one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Final

import attrs

from roost_core.models import Event, State
from roost_core.shown.counts import counted
from roost_core.shown.redaction import clean
from roost_core.shown.sentences import sentence
from roost_core.shown.spans import took
from roost_plugins.console.drawing.scale import Scale
from roost_plugins.console.drawing.spans import Lease, Life, Step, Wait, life_of

#: Marks of a kind whose beginnings are closer than this become one. Percent of the width.
_CLOSE: Final = {
    "lease": 1.6,
    "wait": 1.6,
    "gap": 0,
    "death": 2.0,
    "step": 1.2,
    "act": 2.4,
    "said": 3.0,
}
#: The narrowest mark.
_THIN: Final = 0.35
#: A mark this wide has room for a few words.
_WORDY: Final = 6.0
#: How far apart the times at the top are at least.
_TICKS: Final = 12.0
#: What stands at the end has room there.
_ROOM: Final = (0.5, 97.0)
#: The longest text of an event.
_TEXT: Final = 300

#: Tones of states in which it waits.
_WAITS: Final = {
    State.QUEUED: "calm",
    State.SLEEPING: "calm",
    State.RETRY_WAIT: "warn",
    State.BLOCKED: "warn",
    State.WAITING: "person",
    State.PAUSED: "person",
    State.FAILED: "bad",
}
_ENDS: Final = {State.DONE: "good", State.FAILED: "bad", State.CANCELLED: "calm"}
#: The tone that tells most, first.
_LOUD: Final = ("bad", "warn", "busy", "person", "accent", "calm", "good")
#: What is said of a try.
_TRIES: Final = {"failed": "failed", "given back": "was given back"}
#: What several of a kind are called.
_NAMES: Final = {
    "lease": "leases",
    "wait": "waits",
    "step": "steps",
    "act": "acts",
    "said": "events",
    "death": "workers that fell silent",
}


@attrs.frozen
class Mark:
    """One mark.

    :ivar kind: ``lease``, ``wait``, ``gap``, ``step``, ``act``, ``said``, ``death`` or ``end``.
    :ivar x: where it begins, in percent of the width; ``width`` likewise, 0 for what is a point.
    :ivar say: returns what it says, in full.
    :ivar label: what fits into it.
    :ivar is_open: it has not ended.
    :ivar is_rough: it stands for steps whose times are not known.
    :ivar event_id: the event that it stands for, if it is one.
    :ivar version: the version that it stands for, if it is one.
    :ivar at: when it begins, and ``until`` when it ends.
    :ivar merged: how many marks it was made of.
    """

    kind: str
    tone: str
    x: float
    width: float
    say: Callable[[], str] = attrs.field(repr=False)
    label: str = ""
    is_open: bool = False
    is_rough: bool = False
    event_id: str | None = None
    version: int | None = None
    at: datetime | None = None
    until: datetime | None = None
    count: int = 1
    merged: int = 1

    @property
    def title(self) -> str:
        """What it says, in full."""
        return self.say()


@attrs.frozen
class Lane:
    """Marks in a row, with its name."""

    name: str
    marks: Sequence[Mark]


@attrs.frozen(slots=False)
class Timeline:
    """The picture, and the facts that it is drawn from.

    :ivar ticks: where times stand at the top, and what they say: time since the beginning.
    :ivar is_squeezed: whether some waits are drawn shorter than they were.
    """

    lanes: Sequence[Lane]
    ticks: Sequence[tuple[float, str]]
    life: Life
    is_squeezed: bool

    @property
    def marks(self) -> Iterator[Mark]:
        """All marks, lane by lane."""
        return itertools.chain.from_iterable(lane.marks for lane in self.lanes)

    @property
    def is_merged(self) -> bool:
        """Whether some marks stand for several things."""
        return any(mark.merged > 1 for mark in self.marks)

    @property
    def missing(self) -> str:
        """What cannot be shown any more; empty if all is."""
        if not self.life.missing:
            return ""
        return f"Versions 1 to {self.life.missing:,} came before what is still kept."

    @cached_property
    def summary(self) -> str:
        """All of it in a few words."""
        return _summary(self.life)


def timeline(story: Sequence[Event], now: datetime) -> Timeline:
    """Draw a work item's life.

    :param story: its events, oldest first, as a client's ``inspect`` returns them.
    :param now: the server's clock.
    """
    life = life_of(story, now)
    waits = [(one.start, one.end or life.end) for one in life.waits]
    scale = Scale.over(life.begin, life.end, waits, _ROOM)
    pen = Pen(life, scale)
    held = [*map(pen.lease, life.leases), *map(pen.wait, life.waits)]
    lanes = [
        Lane("Leases", [*_apart(held), *_apart(pen.deaths()), *pen.ending()]),
        Lane("Steps", _apart([pen.step(one) for one in life.steps])),
        Lane("People", _apart([pen.happened(one, "act") for one in life.acts])),
        Lane("Events", _apart([pen.happened(one, "said") for one in life.said])),
    ]
    lanes = [lane for lane in lanes if lane.marks or lane.name == "Leases"]
    return Timeline(lanes, _ticks(scale, life), life, scale.is_squeezed)


def rows(picture: Timeline) -> Sequence[Mark]:
    """Return what the picture shows, each thing by itself, in the order in which it began."""
    life = picture.life
    pen = Pen(life, Scale.over(life.begin, life.end, ()))
    found = [
        *map(pen.lease, life.leases),
        *map(pen.wait, life.waits),
        *map(pen.step, life.steps),
        *(pen.happened(one, "act") for one in life.acts),
        *(pen.happened(one, "said") for one in life.said),
        *pen.deaths(),
        *pen.ending(),
    ]
    return sorted(found, key=lambda mark: mark.x)


@attrs.frozen
class Pen:
    """Draws single marks."""

    life: Life
    scale: Scale

    def lease(self, one: Lease) -> Mark:
        """Draw a lease."""
        worker = clean(one.worker)

        def say() -> str:
            ended = "now" if one.ended is None else one.ended.replace("_", " ")
            versions = f"v{one.first} to v{one.last}" if one.last > one.first else f"v{one.first}"
            when = self._when(one.start, one.end)
            return f"leased to {worker}, {versions}, {when}, until {ended}"

        tone = "bad" if one.is_death else "busy" if one.end is None else "accent"
        return self._bar("lease", tone, one, say, worker)

    def wait(self, one: Wait) -> Mark:
        """Draw a time in which it did not run."""
        if one.state is None:
            text = "what happened here is not kept any more"
            return self._bar("gap", "calm", one, text.__str__, "")
        name = one.state.value.replace("_", " ")
        tone = _WAITS.get(one.state, "calm")
        return self._bar("wait", tone, one, lambda: f"{name}, {self._when(one.start, one.end)}", "")

    def step(self, one: Step) -> Mark:
        """Draw a step, or several."""
        if one.is_rough:
            return self._rough(one)

        def say() -> str:
            when, label = self._when(one.start, one.end), clean(one.label)
            if one.fate == "lost":
                return f"a try of v{one.version} was lost with its worker, {when}"
            if one.fate:
                why = f": {label}" if label else ""
                return f"a try of v{one.version} {_TRIES[one.fate]}, {when}{why}"
            if one.end is None:
                return f"the running step, {when}"
            return f"v{one.version} “{label}” accepted, {when}"

        if one.fate:
            tone = "calm" if one.fate == "given back" else "bad"
            return self._bar("step", tone, one, say, one.fate)
        if one.end is None:
            return self._bar("step", "busy", one, say, "running")
        mark = self._bar("step", "accent", one, say, f"v{one.version}")
        return attrs.evolve(mark, version=one.version)

    def _rough(self, one: Step) -> Mark:
        name = many = f"v{one.version}"
        if one.count > 1:
            name = f"v{one.version - one.count + 1} to v{one.version}"
            many = f"{one.count:,} steps, {name},"

        def say() -> str:
            within = lasted(one.start, one.end or self.life.end)
            return f"{many} accepted within {within}, {self._since(one.start)}"

        return self._bar("step", "accent", one, say, name)

    def happened(self, event: Event, kind: str) -> Mark:
        """Draw what a person did, or what the engine has emitted."""
        tone = "person" if kind == "act" else "warn" if "warning" in event.data else "calm"
        mark = self._point(kind, tone, event.at, lambda: clean(sentence(event))[:_TEXT])
        return attrs.evolve(mark, event_id=event.event_id)

    def deaths(self) -> Sequence[Mark]:
        """Draw where workers died."""
        return [
            self._point("death", "bad", one.end, f"{clean(one.worker)} fell silent".__str__)
            for one in self.life.leases
            if one.is_death and one.end is not None
        ]

    def ending(self) -> Sequence[Mark]:
        """Draw how it ended."""
        last = self.life.last
        if last is None:
            return ()
        tone = _ENDS.get(last.state, "calm")
        mark = self._point("end", tone, last.at, lambda: clean(sentence(last))[:_TEXT])
        return [attrs.evolve(mark, label=last.state.value)]

    def _bar(
        self,
        kind: str,
        tone: str,
        one: Lease | Step | Wait,
        say: Callable[[], str],
        label: str,
    ) -> Mark:
        x = self.scale.place(one.start)
        width = max(_THIN, self.scale.place(one.end or self.life.end) - x)
        rough = one if isinstance(one, Step) and one.is_rough else None
        return Mark(
            kind,
            tone,
            x,
            width,
            say,
            label if width >= _WORDY else "",
            one.end is None,
            at=one.start,
            until=one.end,
            count=1 if rough is None else rough.count,
            is_rough=rough is not None,
        )

    def _point(self, kind: str, tone: str, at: datetime, say: Callable[[], str]) -> Mark:
        def with_time() -> str:
            return f"{say()}, {self._since(at)}"

        return Mark(kind, tone, self.scale.place(at), 0, with_time, at=at)

    def _since(self, at: datetime) -> str:
        return f"{lasted(self.life.begin, at)} after it began"

    def _when(self, start: datetime, end: datetime | None) -> str:
        how = "for" if end is None else "took"
        return f"{how} {lasted(start, end or self.life.end)}, {self._since(start)}"


def lasted(start: datetime, end: datetime) -> str:
    """Return how long something took, for people."""
    return took(max(0.0, (end - start).total_seconds() * 1000))


def _apart(marks: Sequence[Mark]) -> list[Mark]:
    """Merge marks of one kind that would stand closer than they are wide."""
    found: list[Mark] = []
    for kind in dict.fromkeys(mark.kind for mark in marks):
        near: list[Mark] = []
        for mark in sorted((one for one in marks if one.kind == kind), key=lambda one: one.x):
            close = _CLOSE[kind]
            is_far = near and (
                mark.x - near[0].x >= close or max(mark.width, near[0].width) >= close
            )
            if is_far:
                found.append(_merged(near))
                near = []
            near.append(mark)
        found.append(_merged(near))
    return sorted(found, key=lambda one: one.x)


def _merged(marks: Sequence[Mark]) -> Mark:
    first, last = marks[0], marks[-1]
    if len(marks) == 1:
        return first
    count = sum(one.count for one in marks)
    bad = sum(one.tone == "bad" for one in marks)

    def say() -> str:
        failed = f", {bad:,} of them failed or lost" if bad and first.kind == "step" else ""
        return f"{count:,} {_NAMES[first.kind]}{failed}: {first.say()} … {last.say()}"

    return attrs.evolve(
        first,
        tone=min((one.tone for one in marks), key=_LOUD.index),
        width=0.0 if first.width == 0 else max(_THIN, last.x + last.width - first.x),
        say=say,
        label="",
        version=None,
        is_open=last.is_open,
        until=last.until or last.at,
        count=count,
        merged=len(marks),
    )


def _ticks(scale: Scale, life: Life) -> Sequence[tuple[float, str]]:
    """Return times at the top, where leases begin."""
    found = [(_ROOM[0], "0")]
    for lease in life.leases:
        place = scale.place(lease.start)
        if place - found[-1][0] >= _TICKS and _ROOM[1] - place >= _TICKS:
            found.append((place, f"+{lasted(life.begin, lease.start)}"))
    return [*found, (_ROOM[1], f"+{lasted(life.begin, life.end)}")]


def _summary(life: Life) -> str:
    workers = len({one.worker for one in life.leases})
    deaths = sum(one.is_death for one in life.leases)
    steps = sum(one.count for one in life.steps if not one.fate and one.end is not None)
    failures = sum(one.fate == "failed" for one in life.steps)
    parts = [
        f"{lasted(life.begin, life.end)} in all",
        counted(len(life.leases), "lease"),
        f"by {counted(workers, 'worker')}" if workers else "",
        f"{counted(deaths, 'of them has', 'of them have')} died" if deaths else "",
        counted(steps, "accepted step"),
        counted(failures, "failed try", "failed tries") if failures else "",
        f"{counted(len(life.acts), 'act')} of people" if life.acts else "",
    ]
    return ", ".join(part for part in parts if part).replace(", by ", " by ")
