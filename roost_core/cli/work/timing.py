"""Options that say when: how they are typed, and how calls take them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

import click

from roost_core.cli.arguments import DEADLINE_TYPE, SECONDS_TYPE


class Deadline(TypedDict):
    """The arguments of a call that takes a deadline."""

    deadline_at: datetime | None
    deadline_seconds: float | None


def span_option(names: Sequence[str], what: str, default: str = "") -> click.Option:
    """Make an option whose value is a number of seconds.

    :param what: what that time is for.
    :param default: what help says of it.
    """
    shown = f" [default: {default}]" if default else ""
    return click.Option(
        names,
        type=SECONDS_TYPE,
        metavar="S",
        help=f"{what}: in seconds, or 90s, 10m, 2h, 3d.{shown}",
    )


def delay_option() -> click.Option:
    """Make ``--delay-seconds``; the parameter is called ``delay``."""
    return span_option(["--delay-seconds", "delay"], "Start after this delay")


def deadline_option(what: str) -> click.Option:
    """Make ``--deadline``; :func:`deadline_from` takes its value.

    :param what: what it is for.
    """
    return click.Option(
        ["--deadline"],
        type=DEADLINE_TYPE,
        metavar="TIME",
        help=f"{what}: 2030-01-31T12:00:00Z, or 90s, 10m, 2h, 3d from now.",
    )


def deadline_from(value: datetime | float | None) -> Deadline:
    """Return the arguments that a deadline becomes: a time, or seconds from now on."""
    if isinstance(value, datetime):
        return Deadline(deadline_at=value, deadline_seconds=None)
    return Deadline(deadline_at=None, deadline_seconds=value)
