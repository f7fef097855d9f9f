"""What the overview says of a queue, from what was found of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import attrs
from markupsafe import Markup

from roost_core.models import HeldEngine, State
from roost_core.models.overview import FailureGroup, Minute, OddThing, Overview, WaitingGroup
from roost_core.shown.counts import counted, in_order
from roost_core.shown.spans import ago
from roost_plugins.console.drawing.bars import Bar, bars

#: Of each part this many are shown.
MOST: Final = 10


@attrs.frozen
class Verdict:
    """Whether all is well, in words.

    :ivar words: the answer.
    :ivar more: what stands behind it.
    :ivar needs: how many things need a person.
    :ivar mood: the icon of the tab.
    """

    words: str
    more: str
    needs: int
    tone: str
    icon: str
    mood: str


@attrs.frozen
class Line:
    """One kind of thing that is counted along the hour.

    :ivar said: how many there were.
    """

    name: str
    said: str
    picture: Markup


@attrs.frozen
class Glance:
    """What the page shows.

    :ivar found: all that is known.
    :ivar failures: the dead letters that are shown; ``more_failures`` more groups.
    :ivar by_hand: why work waits that will not move by itself.
    :ivar by_itself: why the rest waits; ``waits`` is how much that is.
    :ivar idle_holds: engines that are held although none of their work waits.
    """

    found: Overview
    verdict: Verdict
    failures: Sequence[FailureGroup]
    more_failures: int
    by_hand: Sequence[WaitingGroup]
    by_itself: Sequence[WaitingGroup]
    odd: Sequence[OddThing]
    states: Sequence[tuple[State, int]]
    hour: Sequence[Line]
    idle_holds: Sequence[HeldEngine]

    @property
    def under_way(self) -> list[tuple[State, int]]:
        """The states of work that has not ended."""
        return [(state, count) for state, count in self.states if not state.is_terminal]

    @property
    def shares(self) -> str:
        """How the work that has not ended is shared out, in words."""
        found = [f"{count:,} {state.replace('_', ' ')}" for state, count in self.under_way]
        return f"Work that has not ended: {', '.join(found)}"

    @property
    def waits(self) -> int:
        """How much work waits for what ends by itself."""
        return sum(one.count for one in self.by_itself)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing at all yet: how to begin is all that there is to say."""
        return not self.states and not self.found.workers


def glance(found: Overview) -> Glance:
    """Return what there is to show of a queue."""
    by_hand = found.needs_hand
    waiting_held = {one.engine for one in found.waiting if one.cause == "held"}
    return Glance(
        found=found,
        verdict=verdict(found),
        failures=found.failures[:MOST],
        more_failures=found.more_failures + max(0, len(found.failures) - MOST),
        by_hand=by_hand,
        by_itself=[one for one in found.waiting if one not in by_hand],
        odd=found.odd,
        states=[(state, count) for state, count in in_order(found.counts) if count],
        hour=_hour(found.hour, found.now),
        idle_holds=[one for one in found.held_engines if one.engine not in waiting_held],
    )


# -- the verdict -------------------------------------------------------------------------------


def verdict(found: Overview) -> Verdict:
    """Say whether all is well."""
    needs = len(found.failures) + found.more_failures + len(found.needs_hand)
    dead, odd = found.counts.get(State.FAILED, 0), len(found.odd)
    if found.is_well:
        more = ", ".join(_under_way(found))
        is_busy = bool(found.counts.get(State.RUNNING))
        return Verdict(
            "All is well", more, 0, "good", "circle-check", "busy" if is_busy else "calm"
        )
    parts = []
    if found.failures:
        parts.append(counted(dead, "dead letter"))
    if found.needs_hand:
        stuck = sum(one.count for one in found.needs_hand)
        parts.append(f"{stuck:,} cannot run")
    if odd:
        parts.append(f"{counted(odd, 'thing')} {'looks' if odd == 1 else 'look'} odd")
    if not needs:
        words = f"{counted(odd, 'thing')} {'looks' if odd == 1 else 'look'} odd"
        return Verdict(words, ", ".join(_under_way(found)), odd, "warn", "triangle-alert", "alert")
    words = f"{counted(needs, 'thing')} {'needs' if needs == 1 else 'need'} you"
    return Verdict(words, ", ".join(parts + _under_way(found)), needs, "bad", "hand", "alert")


def _under_way(found: Overview) -> list[str]:
    running, queued = found.counts.get(State.RUNNING, 0), found.counts.get(State.QUEUED, 0)
    workers = len(found.workers) + found.more_workers
    parts = [f"{running:,} running" if running else "nothing running"]
    if queued:
        parts.append(f"{queued:,} in line")
    return [*parts, counted(workers, "worker") if workers else "no worker"]


# -- the hour ----------------------------------------------------------------------------------


def _hour(minutes: Sequence[Minute], now: datetime) -> list[Line]:
    if not minutes:
        return []
    failed = sum(one.failed_attempts for one in minutes)
    dead = sum(one.dead_letters for one in minutes)
    said = counted(failed, "failed attempt") if failed else "no failures"
    if dead:
        said += f", {counted(dead, 'dead letter')}"
    steps = sum(one.steps for one in minutes)
    return [
        _line("Steps", counted(steps, "step"), minutes, now, _steps, "busy"),
        _line("Failures", said, minutes, now, _failures, "warn"),
    ]


def _steps(one: Minute) -> tuple[int, int, str]:
    return one.steps, 0, counted(one.steps, "step")


def _failures(one: Minute) -> tuple[int, int, str]:
    # Work can be given up without an attempt of its own: its deadline has passed.
    count = max(one.failed_attempts, one.dead_letters)
    said = counted(one.failed_attempts, "failed attempt")
    return count, one.dead_letters, f"{said}, {counted(one.dead_letters, 'dead letter')}"


def _line(
    name: str,
    said: str,
    minutes: Sequence[Minute],
    now: datetime,
    what: Callable[[Minute], tuple[int, int, str]],
    tone: str,
) -> Line:
    those = []
    for one in minutes:
        count, part, text = what(one)
        those.append(Bar(count, f"{ago(one.at, now)}: {text}", part))
    label = f"{said} in the last hour"
    highest = max(those, key=lambda one: one.count)
    if highest.count:
        label += f"; the most in a minute: {highest.title}"
    return Line(name, said, bars(those, label, tone=tone))
