"""What work has produced lately: the artifacts that its snapshots name.

There is no list of all artifacts: a bounded number of work items is asked for theirs, those that
have changed last or those of a query.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import attrs
from flask import Blueprint, Response, make_response, render_template, request, url_for

from roost_core import Roost
from roost_core.errors import CorruptRecord, InvalidInput, WorkNotFound
from roost_core.models import Artifact, WorkRow
from roost_plugins.console.here import here

blueprint: Final = Blueprint("artifacts", __name__)

#: This many work items are asked, and of one this many artifacts are shown.
MOST_WORK: Final = 30
MOST_OF_WORK: Final = 20
#: A larger snapshot is not read for this page. Bytes.
MOST_BYTES: Final = 256 << 10
#: How many work items are looked at for a query that the index does not tell.
_LOOK: Final = 5_000
_USUAL: Final = ("state:done", "state:running", "state:failed")


@attrs.frozen
class Produced:
    """A work item and what it has produced.

    :ivar large: the bytes of its snapshot, if that was too large to be read.
    """

    row: WorkRow
    artifacts: Sequence[Artifact] = ()
    more: int = 0
    large: int = 0


@attrs.frozen
class Artifacts:
    """What the page shows.

    :ivar works: those that have produced something, or whose snapshots are too large to tell.
    :ivar asked: how many work items were asked.
    :ivar cursor: where a query continues.
    """

    works: Sequence[Produced]
    asked: int
    cursor: str | None = None


async def load(roost: Roost, query: str, cursor: str | None = None) -> Artifacts:
    """Read what the page shows, in a bounded number of requests.

    :raises InvalidInput: the query cannot be read, or no page has this cursor.
    """
    if query:
        found = await roost.find(query, limit=MOST_WORK, look=_LOOK, cursor=cursor)
        rows, cursor = list(found.rows), found.cursor
    else:
        pages = await asyncio.gather(*(roost.find(one, limit=MOST_WORK) for one in _USUAL))
        rows = sorted(
            (row for page in pages for row in page),
            key=lambda row: row.meta.updated_at,
            reverse=True,
        )[:MOST_WORK]
        cursor = None
    some = await asyncio.gather(*(_produced(roost, row) for row in rows))
    works = [one for one in some if one.artifacts or one.large]
    return Artifacts(works, len(rows), cursor)


async def _produced(roost: Roost, row: WorkRow) -> Produced:
    work_id = row.meta.work_id
    facts = await roost.ledger.facts(work_id)
    size = 0 if facts is None else facts.snapshot_bytes or 0
    if size > MOST_BYTES:
        return Produced(row, large=size)
    artifacts: Sequence[Artifact] = ()
    if size:
        with contextlib.suppress(WorkNotFound, CorruptRecord):
            artifacts = await roost.work(work_id).artifacts()
    return Produced(row, artifacts[:MOST_OF_WORK], max(0, len(artifacts) - MOST_OF_WORK))


@blueprint.get("/artifacts")
def show() -> Response:
    """Show it."""
    query = request.args.get("q", "").strip()
    cursor = request.args.get("after") or None
    view, problem = None, ""
    try:
        view = here().ask(lambda roost: load(roost, query, cursor), timeout=20)
    except InvalidInput as error:
        problem = str(error)
    older = ""
    if view is not None and view.cursor is not None:
        older = url_for("artifacts.show", q=query, after=view.cursor)
    text = render_template(
        "artifacts.html", page="artifacts", view=view, query=query, older=older, problem=problem
    )
    return make_response(text, 400 if problem else 200)
