"""Routes that show the queue: overview, events, workers, resources, engines, plugins, doctor."""

from __future__ import annotations

import asyncio
from typing import Final

import attrs
from flask import Response

from roost_core import Roost
from roost_core.cli.operate.engines import engines_json
from roost_core.cli.operate.plugins import plugin_json
from roost_core.cli.operate.workers import worker_json
from roost_core.client.finding import Count
from roost_core.models import Json
from roost_core.models.overview import Overview
from roost_core.query import Op, Query, Term, Test, parse
from roost_core.shown.redaction import redacted
from roost_plugins.console.api import shapes
from roost_plugins.console.api.kinds import QUERY, given, text, whole
from roost_plugins.console.api.routing import route
from roost_plugins.console.here import here
from roost_plugins.console.live import stream
from roost_plugins.console.pages.doctor import findings

#: Most events of an answer.
_MOST: Final = 1_000
AFTER: Final = text(40, "[0-9]{1,19}-[0-9]{1,19}")


@attrs.frozen
class EventsAsked:
    """Which events."""

    after: str | None = given(AFTER, "Those after this event; else the newest.", default=None)
    limit: int = given(whole(1, _MOST), "At most this many.", default=100)


@attrs.frozen
class LiveAsked:
    """Where to begin."""

    after: str | None = given(AFTER, "First what happened after this event.", default=None)


@attrs.frozen
class FailedAsked:
    """Which dead letters."""

    q: str = given(QUERY, "Only those that this query is true of, too.", default="")


@route("GET", "/overview", "The queue at one glance", Overview)
def overview() -> Overview:
    """Answer as ``roost overview --json``."""
    return here().overview()


@route("GET", "/events", "Events of the queue, in order", shapes.Events, query=EventsAsked)
def events(asked: EventsAsked) -> shapes.Events:
    """Answer the newest, or those after an event."""
    found = here().ask(lambda roost: roost.events(after=asked.after, limit=asked.limit))
    return shapes.Events(tuple(found), found[-1].event_id if found else asked.after)


@route(
    "GET",
    "/events/live",
    "What happens, as server-sent events",
    query=LiveAsked,
    media="text/event-stream",
)
def events_live(asked: LiveAsked) -> Response:
    """Stream what pages are told."""
    return stream.opened(asked.after)


@route("GET", "/dead-letters", "Dead letters, counted by error", Count, query=FailedAsked)
def dead_letters(asked: FailedAsked) -> Count:
    """Answer as ``roost count state:failed --by error --json``."""
    term = Term("state", (Test(Op.IS, "failed"),))
    query = Query((term, *parse(asked.q).terms))
    return here().ask(lambda roost: roost.count(query, by="error"))


@route("GET", "/workers", "The live workers", shapes.Workers)
def workers() -> Json:
    """Answer as ``roost workers --json``."""
    overviews = here().overviews.get

    async def load(roost: Roost) -> Json:
        found, seen = await asyncio.gather(roost.workers(), overviews(roost))
        running = {one.info.worker_id: one.lanes_used for one in seen.workers}
        rows = sorted(found, key=lambda one: (one.host, one.started_at))
        return {"workers": [worker_json(one, running.get(one.worker_id)) for one in rows]}

    return redacted(here().ask(load))


@route("GET", "/resources", "Resources that are held or waited for", shapes.Resources)
def resources() -> shapes.Resources:
    """Answer the longest lines first."""
    found = here().overview()
    return shapes.Resources(found.resources, found.more_resources)


@route("GET", "/engines", "Engines that are offered here, and those that are held", shapes.Engines)
def engines() -> Json:
    """Answer as ``roost engines --json``, with who holds which."""
    held = here().ask(lambda roost: roost.held_engines())
    return {"engines": engines_json(here().roost.plugins), "held": held}


@route("GET", "/plugins", "Plugins: loaded, blocked or broken", shapes.Plugins)
def plugins() -> Json:
    """Answer as ``roost plugins --json``."""
    return {"plugins": [plugin_json(one) for one in here().roost.plugins.reports()]}


@route("GET", "/doctor", "What would lose data or stop work", shapes.Doctor)
def doctor() -> Json:
    """Answer as ``roost doctor --json``; a server that is away is a finding."""
    return {"findings": findings(here())}
