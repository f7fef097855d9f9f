"""How two versions of a work item differ."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import attrs
from flask import Response, make_response, render_template, request

from roost_core.backend import StoredHistory
from roost_core.cli.work.diff import others
from roost_core.client.comparing import Comparison, compared
from roost_core.errors import CorruptRecord, InvalidInput, VersionGone
from roost_core.models import MAX_COUNT
from roost_core.shown.differences import Line
from roost_plugins.console.here import here
from roost_plugins.console.histories import history_of, texts_of
from roost_plugins.console.pages.item.compared import MOST, MOST_ASKED, Differences
from roost_plugins.console.pages.item.compared import compared as shown_of
from roost_plugins.console.pages.item.routing import blueprint
from roost_plugins.console.pages.item.versions import label_of, readable

#: Of more versions than this, a number is typed instead of chosen.
_CHOICES = 300


@attrs.frozen
class Chosen:
    """Which two versions, and where one goes from there.

    :ivar choices: those that can be read, newest first, with their labels; none if they are many.
    :ivar earlier: the two versions one step before; ``later`` likewise.
    """

    work_id: str
    old: int
    new: int
    newest: int
    choices: Sequence[tuple[int, str]]
    earlier: tuple[int, int] | None
    later: tuple[int, int] | None

    @property
    def command(self) -> str:
        """What does the same."""
        return f"roost diff {shlex.quote(self.work_id)} {self.old} {self.new}"


@attrs.frozen
class Shown:
    """What is shown of two versions: how their data differs, and what else does."""

    found: Comparison
    differences: Differences
    others: Sequence[Line]


@blueprint.get("/<work_id>/diff")
def diff(work_id: str) -> Response:
    """Show it; without versions, what the newest has changed."""
    history = history_of(here(), work_id)
    shown, problem, status = None, "", 200
    newest = history.work.version
    old, new = newest - 1, newest
    try:
        new = _number("to", newest)
        old = _number("from", new - 1)
        found = compared(history, old or None, new, texts_of(here()).whole)
        most = MOST_ASKED if request.args.get("all") else MOST
        shown = Shown(found, shown_of(found, most), list(others(found)))
    except (InvalidInput, VersionGone, CorruptRecord) as error:
        problem = str(error)
        status = {InvalidInput: 400, VersionGone: 404}.get(type(error), 409)
    text = render_template(
        "item/diff.html",
        page="work",
        work_id=history.work.work_id,
        chosen=_chosen(history, old, new),
        shown=shown,
        problem=problem,
        hint=readable(history) if problem else "",
    )
    return make_response(text, status)


def _chosen(history: StoredHistory, old: int, new: int) -> Chosen:
    numbers = history.versions
    known = set(numbers)
    are_few = len(numbers) <= _CHOICES
    step = abs(new - old) or 1
    return Chosen(
        work_id=history.work.work_id,
        old=old,
        new=new,
        newest=history.work.version,
        choices=[(one, label_of(history, one)) for one in numbers] if are_few else (),
        earlier=_if_known(known, old - step, new - step),
        later=_if_known(known, old + step, new + step),
    )


def _if_known(known: set[int], old: int, new: int) -> tuple[int, int] | None:
    return (old, new) if old in known and new in known else None


def _number(name: str, default: int) -> int:
    """Return a version that the URL names.

    :raises InvalidInput: it is no number.
    """
    text = request.args.get(name, "").strip().removeprefix("v")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text[:19]) <= MAX_COUNT:
        raise InvalidInput(f"{text!r:.40} is no version: give its number")
    return int(text)
