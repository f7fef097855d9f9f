"""The page itself."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

import attrs
from flask import Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from roost_core import Roost
from roost_core.client.inspecting import Inspection
from roost_core.errors import WorkNotFound
from roost_core.models import WORK_ID, Event
from roost_core.query import Query
from roost_core.shown.plain import status_json
from roost_plugins.console.drawing.timeline import rows, timeline
from roost_plugins.console.here import here
from roost_plugins.console.histories import gone
from roost_plugins.console.kit.tree import tree
from roost_plugins.console.pages.item.routing import blueprint, snapshots
from roost_plugins.console.pages.item.safely import as_json
from roost_plugins.console.pages.item.snapshots import ReadState
from roost_plugins.console.pages.item.view import Happened, happened, view_of

#: A snapshot up to this size is in the page; a larger one comes after it. Bytes of JSON.
SMALL: Final = 64 << 10
#: This many ids are named of those that a short one may mean.
_NAMED: Final = 8
#: This many forks are named.
_FORKS: Final = 10
#: How far back in the queue's events is looked for what is gone.
_LOOK: Final = 3_000


@attrs.frozen
class Missing:
    """There is no such work item.

    :ivar typed: the id, as it was typed.
    :ivar like: ids that begin so.
    :ivar last: the last that is known of it, the newest first: it may have been dropped.
    """

    typed: str
    like: Sequence[str]
    last: Sequence[Happened]


async def load(roost: Roost, work_id: str) -> Inspection:
    """Read a work item, in a few round trips, however large it and its queue are.

    :raises InvalidInput: that cannot be an id.
    :raises WorkNotFound: there is none with this id.
    """
    return await roost.work(work_id).inspect()


async def load_missing(roost: Roost, typed: str) -> tuple[Sequence[str], Sequence[Event]]:
    """Read what may be meant by an id that no work item has."""
    like, events = await asyncio.gather(
        roost.find(Query.beginning(typed), limit=_NAMED + 1),
        roost.ledger.newest_of(typed, limit=3, look=_LOOK),
    )
    return [row.meta.work_id for row in like], events


@blueprint.get("/<work_id>")
def show(work_id: str) -> AnyResponse:
    """Show it; a short id that is unique leads to the whole one."""
    try:
        one = here().ask(lambda roost: load(roost, work_id))
    except WorkNotFound:
        return _missing(work_id)
    view = view_of(one)
    payload = None if one.item is None else tree(one.item.payload)
    state = state_of(one)
    return make_response(
        render_template(
            "item/show.html",
            page="work",
            view=view,
            payload=payload,
            state=state,
            gone=_gone(one),
            most_forks=_FORKS,
            mood=view.mood,
            version_url=lambda version: _url_of(one.meta.work_id, version),
        )
    )


def _gone(one: Inspection) -> Collection[str]:
    """Return the ids of its origin and of the forks that are named, if they are gone."""
    origin = None if one.item is None else one.item.forked_from
    return gone(here(), origin, *one.forks[:_FORKS])


def _url_of(work_id: str, version: int) -> str:
    """Return where the mark of a version leads to: to what it changed, or to what it began with."""
    if version == 1:
        return url_for("item.version", work_id=work_id, version=1)
    return url_for("item.diff", work_id=work_id, to=version)


def state_of(one: Inspection) -> ReadState | None:
    """Return the snapshot, unless it is so large that the page is to be there before it."""
    life = int(one.meta.created_at.timestamp() * 1000)
    known = snapshots().get(one.meta.work_id, life, one.meta.version)
    if known is not None or one.is_newer:
        return known
    # What htmx asks for again is already there, and is not to go away meanwhile.
    if one.snapshot_bytes > SMALL and "HX-Request" not in request.headers:
        return None
    return snapshots().read(here(), one.meta.work_id)


def _missing(typed: str) -> AnyResponse:
    like, events = here().ask(lambda roost: load_missing(roost, typed))
    # What is gone is not taken for another whose id is longer.
    if len(like) == 1 and not events and WORK_ID.fullmatch(typed):
        return redirect(url_for("item.show", work_id=like[0]), 302)
    last = [happened(event) for event in reversed(events)]
    view = Missing(typed, like[:_NAMED], last)
    answer: Response = make_response(
        render_template("item/missing.html", page="work", view=view, more=len(like) > _NAMED)
    )
    answer.status_code = 404
    return answer


@blueprint.get("/<work_id>/json")
def raw(work_id: str) -> Response:
    """Show all that is known of it as ``roost status --json`` does."""
    found = here().ask(lambda roost: roost.work(work_id).status())
    return as_json(status_json(found))


@blueprint.get("/<work_id>/life")
def life(work_id: str) -> str:
    """Show what the picture of its life shows as a table, as a part of the page or by itself."""
    one = here().ask(lambda roost: load(roost, work_id))
    found = rows(timeline(one.story, one.now))
    name = "item/life_part.html" if "HX-Request" in request.headers else "item/life_page.html"
    return render_template(name, page="work", work_id=work_id, rows=found)
