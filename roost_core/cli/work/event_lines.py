"""Events as they are printed: for programs a row of cells or JSON, for people a sentence."""

from __future__ import annotations

from typing import Any, Protocol

from roost_core.cli import output
from roost_core.models.events import Event
from roost_core.shown.plain import to_plain
from roost_core.shown.redaction import redacted
from roost_core.shown.sentences import pairs
from roost_core.values import Json


class Printer(Protocol):
    """Prints an event."""

    def __call__(self, event: Event, /) -> None:
        """Print it."""


def event_json(event: Event) -> Json:
    """Return an event as plain JSON, secrets hidden."""
    return redacted(to_plain(event))


def event_cells(event: Event) -> list[Any]:
    """Return an event as the cells of a line."""
    return [
        event.at,
        event.kind,
        event.work_id,
        event.engine,
        event.version,
        event.state,
        event_text(event),
    ]


def event_text(event: Event) -> str:
    """Return an event's data for people, secrets hidden: ``key=value`` in order.

    An error is shown as type and message; JSON has the traceback.
    """
    return pairs(redacted(to_plain(event.data)))


def print_json(event: Event) -> None:
    """Print an event as a line of JSON."""
    output.json_line(event_json(event))


def print_cells(event: Event) -> None:
    """Print an event as cells separated by tabs."""
    output.data_row(event_cells(event))


def printer(*, as_json: bool, of_one: bool) -> Printer:
    """Return what prints events here.

    :param of_one: all of them are of the same work item.
    """
    if as_json:
        return print_json
    if not output.on_terminal():
        return print_cells
    from roost_core.cli.look.happening import Happening

    return Happening(output.console(), of_one=of_one)
