"""Routes that show work: the list, and one work item."""

from __future__ import annotations

import functools
from base64 import b64decode, urlsafe_b64encode
from typing import Final

import attrs
from flask import Response, request

from roost_core import Roost
from roost_core.backend.finding import NO_CURSOR
from roost_core.errors import CorruptRecord, InvalidInput
from roost_core.models import MAX_COUNT, WORK_ID, Json, WorkStatus
from roost_core.shown.why import Why
from roost_plugins.console.api import shapes
from roost_plugins.console.api.answering import answer
from roost_plugins.console.api.errors import NoPart
from roost_plugins.console.api.kinds import FLAG, QUERY, given, text, whole
from roost_plugins.console.api.looking import EventsAsked
from roost_plugins.console.api.routing import route
from roost_plugins.console.here import here
from roost_plugins.console.kit.pointers import child, steps
from roost_plugins.console.pages.item import artifacts as item_artifacts
from roost_plugins.console.pages.item.routing import snapshots
from roost_plugins.console.pages.item.safely import as_file

#: Most work items of an answer, and most that are looked at for it.
_MOST: Final = 500
_LOOK: Final = 5_000
_MOST_LOOK: Final = 100_000


@attrs.frozen
class Listing:
    """Which work items."""

    q: str = given(QUERY, "A query; all work if there is none.", default="", example="state:failed")
    limit: int = given(whole(0, _MOST), "At most this many; 0 only counts.", default=50)
    cursor: str | None = given(text(500), "Of the page before.", default=None)
    by: str | None = given(
        text(80),
        "Count what the query finds, too: by state, engine, error or label:KEY.",
        default=None,
        example="state",
    )
    reverse: bool = given(FLAG, "The other way round.", default=False)
    look: int = given(
        whole(1, _MOST_LOOK), "Look at this many where the index does not tell.", default=_LOOK
    )


@attrs.frozen
class HistoryAsked:
    """Which versions."""

    limit: int = given(whole(1, _MOST), "At most this many, the newest.", default=50)


@attrs.frozen
class DiffAsked:
    """Which two versions."""

    old: int | None = given(
        whole(1, MAX_COUNT), "One; by default the version before the other.", default=None
    )
    new: int | None = given(whole(1, MAX_COUNT), "The other; by default the newest.", default=None)


@attrs.frozen
class PartAsked:
    """Which part of a snapshot."""

    at: str = given(
        attrs.evolve(QUERY, schema={"type": "string", "maxLength": 4000, "format": "json-pointer"}),
        "A JSON pointer into its data.",
        default="",
        example="/pages/0",
    )


@route("GET", "/work", "Work items that a query finds", shapes.WorkPage, query=Listing)
def work_list(asked: Listing) -> shapes.WorkPage:
    """Answer a page; each item as in ``roost list --json``."""

    async def load(roost: Roost) -> shapes.WorkPage:
        found = await roost.find(
            asked.q,
            limit=max(1, asked.limit),
            look=asked.look,
            cursor=cursor_of(asked.cursor),
            reverse=asked.reverse,
        )
        count = None
        if asked.by is not None:
            count = await roost.count(asked.q, by=asked.by, look=asked.look)
        rows = found.rows[: asked.limit]
        cursor = _shown(found.cursor) if asked.limit else asked.cursor
        return shapes.WorkPage(
            rows, cursor, found.is_all and len(rows) == len(found.rows), found.looked,
            found.is_indexed, count,
        )  # fmt: skip

    return here().ask(load, timeout=30)


def _shown(cursor: str | None) -> str | None:
    """Return a cursor as one word, which needs no quoting in a URL."""
    return None if cursor is None else urlsafe_b64encode(cursor.encode()).decode().rstrip("=")


def cursor_of(word: str | None) -> str | None:
    """Return what was shown as a word.

    :raises InvalidInput: it was not.
    """
    if word is None:
        return None
    try:
        found = b64decode(word.encode() + b"=" * (-len(word) % 4), b"-_", validate=True).decode()
    except ValueError:
        found = ""
    if _shown(found) != word:
        raise InvalidInput(NO_CURSOR)
    return found


@route("GET", "/work/{work_id}", "One work item", WorkStatus)
def work_status(work_id: str) -> WorkStatus:
    """Answer as ``roost status --json``."""
    return here().ask(lambda roost: roost.work(work_id).status())


@route("GET", "/work/{work_id}/why", "Why it does or does not run", Why)
def work_why(work_id: str) -> Why:
    """Answer as ``roost why --json``."""
    return here().ask(lambda roost: roost.work(work_id).why())


@route("GET", "/work/{work_id}/events", "Its events", shapes.Events, query=EventsAsked)
def work_events(work_id: str, asked: EventsAsked) -> shapes.Events:
    """Answer the newest, or those after an event."""
    found = here().ask(
        lambda roost: roost.work(work_id).events(after=asked.after, limit=asked.limit)
    )
    return shapes.Events(tuple(found), found[-1].event_id if found else asked.after)


@route(
    "GET",
    "/work/{work_id}/snapshot",
    "Its newest snapshot, or a part of that",
    shapes.SnapshotPart,
    query=PartAsked,
    may_be_fresh=True,
)
def work_snapshot(work_id: str, asked: PartAsked) -> Response:
    """Answer the data, or what a JSON pointer leads to."""
    life, version, snapshot = _snapshot(work_id)
    value = pointed(snapshot.value, asked.at)
    found = answer(attrs.evolve(snapshot, at=asked.at, value=value))
    return _tagged(found, f"{life}-{version}")


def _snapshot(work_id: str) -> tuple[int, int, shapes.SnapshotPart]:
    if WORK_ID.fullmatch(work_id) is None:
        here().roost.work(work_id)  # it says why
    state = snapshots().read(here(), work_id)
    if state.problem is not None:
        raise CorruptRecord(state.problem)
    found = state.snapshot
    if found is None:
        raise NoPart(f"{work_id} has no snapshot yet: no step was accepted")
    part = shapes.SnapshotPart(
        work_id, found.version, found.step, found.is_finished, "", found.data
    )
    return state.life, found.version, part


def pointed(value: Json, pointer: str) -> Json:
    """Return what a JSON pointer leads to (RFC 6901).

    :raises InvalidInput: it is none.
    :raises NoPart: it leads nowhere.
    """
    if pointer and not pointer.startswith("/"):
        raise InvalidInput(f"at: expected a JSON pointer such as /pages/0, found {pointer!r:.80}")
    try:
        return functools.reduce(child, steps(pointer), value)
    except LookupError:
        raise NoPart(f"at: there is nothing at {pointer!r:.80}") from None


@route(
    "GET",
    "/work/{work_id}/history",
    "The versions of its snapshot",
    shapes.History,
    query=HistoryAsked,
)
def work_history(work_id: str, asked: HistoryAsked) -> shapes.History:
    """Answer as ``roost history --json``."""
    found = here().ask(lambda roost: roost.work(work_id).history(asked.limit))
    return shapes.History(tuple(found))


@route(
    "GET", "/work/{work_id}/diff", "How two versions of it differ", shapes.Changed, query=DiffAsked
)
def work_diff(work_id: str, asked: DiffAsked) -> shapes.Changed:
    """Answer the patch of ``roost diff --json --reveal``."""
    found = here().ask(lambda roost: roost.work(work_id).diff(asked.old, asked.new))
    return shapes.Changed(found.work_id, found.old.version, found.new.version, found.patch())


@route(
    "GET", "/work/{work_id}/artifacts", "The artifacts that its snapshot names", shapes.Artifacts
)
def work_artifacts(work_id: str) -> shapes.Artifacts:
    """Answer as ``roost artifacts --json``."""
    found = here().ask(lambda roost: roost.work(work_id).artifacts())
    return shapes.Artifacts(tuple(found))


@route(
    "GET",
    "/work/{work_id}/artifacts/{artifact_id}",
    "The bytes of an artifact",
    media="application/octet-stream",
    may_be_fresh=True,
)
def work_artifact(work_id: str, artifact_id: str) -> Response:
    """Send it as a file."""
    here().roost.work(work_id)  # says why if that is no id
    artifact = item_artifacts.named(work_id, artifact_id)
    data = item_artifacts.bytes_of(artifact, item_artifacts.MOST_SENT)
    name = artifact.name or f"{artifact_id[:12]}.{artifact.ext}"
    return _tagged(as_file(data, name), artifact_id)


def _tagged(found: Response, tag: str) -> Response:
    found.set_etag(tag)
    # Kept, but never shown without asking.
    found.headers["Cache-Control"] = "private, no-cache"
    found.make_conditional(request)
    return found
