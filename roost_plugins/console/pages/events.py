"""What happens, as it happens: the newest events, by kind, engine and work item."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs
from flask import Blueprint, Response, make_response, render_template, request

from roost_core import Roost
from roost_core.errors import InvalidInput, WorkNotFound
from roost_core.models import Event
from roost_core.shown.sentences import sentence
from roost_plugins.console.here import here
from roost_plugins.console.pages.kinds import KINDS, look_of

blueprint: Final = Blueprint("events", __name__)

#: This many rows are shown, and this many events are looked at for them if only some are wanted.
ROWS: Final = 200
LOOK: Final = 2_000
MOST_LOOK: Final = 20_000


@attrs.frozen
class Wanted:
    """Which events, as the URL says it; empty: all."""

    kind: str = ""
    engine: str = ""
    work: str = ""
    look: int = LOOK

    @property
    def is_all(self) -> bool:
        """Whether there is no filter."""
        return not (self.kind or self.engine or self.work)

    def fits(self, event: Event) -> bool:
        """Return whether it is one of them."""
        return self.kind in ("", event.kind) and self.engine in ("", event.engine)

    def url(self, **other: object) -> dict[str, object]:
        """Return the words of the URL with some changed."""
        words = {"kind": self.kind, "engine": self.engine, "work": self.work, **other}
        return {name: value for name, value in words.items() if value}

    @property
    def command(self) -> str:
        """What to type for the same, as far as there is such a thing."""
        return f"roost events --work {shlex.quote(self.work)}" if self.work else "roost events"


@attrs.frozen
class Happening:
    """One event as it is shown."""

    event: Event
    text: str
    tone: str
    icon: str


@attrs.frozen
class Happenings:
    """What the page shows.

    :ivar rows: the newest first.
    :ivar looked: how many of the newest events were looked at.
    :ivar is_all: whether these were all that the server still has.
    :ivar since: when the oldest of them was; None if there is none.
    :ivar engines: those that the events are about.
    """

    rows: Sequence[Happening]
    looked: int
    is_all: bool
    since: datetime | None
    engines: Sequence[str]


async def load(roost: Roost, wanted: Wanted) -> Happenings:
    """Read what the page shows: a bounded number of the newest events.

    :raises InvalidInput: there can be no such work item.
    """
    limit = ROWS if wanted.is_all else wanted.look
    if wanted.work:
        try:
            found = await roost.work(wanted.work).events(limit=ROWS)
        except WorkNotFound:
            found = ()
        limit = ROWS
    else:
        found = await roost.events(limit=limit)
    fitting = [event for event in reversed(found) if wanted.fits(event)]
    return Happenings(
        rows=[_shown(event) for event in fitting[:ROWS]],
        looked=len(found),
        is_all=len(found) < limit,
        since=found[0].at if found else None,
        engines=sorted({event.engine for event in found if event.kind != "unreadable"}),
    )


def _shown(event: Event) -> Happening:
    tone, icon = look_of(event)
    return Happening(event, sentence(event), tone, icon)


@blueprint.get("/events")
def show() -> Response:
    """Show it."""
    args = request.args
    look = args.get("look", "")
    wanted = Wanted(
        args.get("kind", "").strip(),
        args.get("engine", "").strip(),
        args.get("work", "").strip(),
        min(MOST_LOOK, max(LOOK, int(look))) if look.isdecimal() and len(look) < 9 else LOOK,
    )
    problem, status, view = "", 200, None
    try:
        view = here().ask(lambda roost: load(roost, wanted))
    except InvalidInput as error:
        problem, status = str(error), 400
    text = render_template(
        "events.html",
        page="events",
        view=view,
        wanted=wanted,
        kinds=KINDS,
        problem=problem,
        most_look=MOST_LOOK,
    )
    return make_response(text, status)
