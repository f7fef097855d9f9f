"""What keeps work from running, in the words that tell of one work item and of many. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from roost_core.backend.facts import Obstacle
from roost_core.backend.rates import Pace
from roost_core.codec.times import from_milliseconds
from roost_core.shown.counts import counted
from roost_core.shown.mending import brief
from roost_core.shown.spans import span

#: What waits for a worker that runs nothing else.
ALONE: Final = "waits for a worker that runs nothing else"


def all_hang(engine: str) -> str:
    """Say that whoever offers an engine hangs."""
    return f"Every live worker that offers engine {engine} hangs."


def kill(pid: int, host: str) -> str:
    """Return the command that ends a worker that hangs."""
    return f"kill {pid}    # on {brief(host)}"


def newer(layout: int, subject: str) -> str:
    """Say that work waits for workers of a newer Roost.

    :param subject: ``It waits``, ``They wait``.
    """
    what = "it" if subject.startswith("It") else "them"
    waits = f"{subject[0].lower()}{subject[1:]} for a worker that knows it"
    return f"A newer Roost wrote {what} (layout {layout}): {waits}; upgrade the workers."


def at_present_rate(pace: Pace | None, places: int, what: str) -> str:
    """Say when a line has moved by this many places, by the rate of the last minutes.

    :param what: what has happened then: ``its turn comes``.
    """
    wait_ms = None if pace is None else pace.wait_ms(places)
    if wait_ms is None:
        return "how fast the line moves is not known yet"
    return f"at the present rate {what} in about {span(wait_ms / 1000)}"


def behind(obstacle: Obstacle, now: datetime, subject: str) -> str:
    """Say which resource is in the way, who has it, and when that ends at the latest.

    :param subject: ``It waits``, ``They wait``.
    """
    its = "its line" if subject.startswith("It") else "their line"
    first = f"{subject} for the resource {brief(obstacle.resource)}"
    if not obstacle.is_held:
        return f"{first}, which is reserved for {obstacle.work_id}, earlier in {its}."
    ends = ""
    if obstacle.expires_ms is not None:
        seconds = (from_milliseconds(obstacle.expires_ms) - now).total_seconds()
        when = f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"
        ends = f", whose lease {'ends' if seconds > 0 else 'ended'} {when} unless it is renewed"
    others = f"; {counted(obstacle.ahead, 'other')} before it" if obstacle.ahead else ""
    return f"{first}, held by {obstacle.work_id}{ends}{others}."
