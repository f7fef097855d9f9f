"""The versions of a work item: the list, which its page fetches when it is opened, and each one."""

from __future__ import annotations

from typing import Final

from flask import Response, make_response, render_template, request

from roost_core.errors import CorruptRecord, VersionGone
from roost_plugins.console.here import here
from roost_plugins.console.histories import gone, history_of, texts_of
from roost_plugins.console.pages.item.routing import blueprint, snapshots
from roost_plugins.console.pages.item.versions import ROWS, history_view, origin_of, readable

#: No more of its forks than these are looked for.
_LOOKED: Final = 20


@blueprint.get("/<work_id>/history")
def versions(work_id: str) -> str:
    """List its versions, as a part of the page or by themselves."""
    history = history_of(here(), work_id)
    view = history_view(
        history,
        _rows(),
        gone(here(), origin_of(history), *history.work.forks[:_LOOKED]),
        is_off=not here().settings.history_versions,
        missing=texts_of(here()).missing,
    )
    is_part = "HX-Request" in request.headers
    name = "item/history_part.html" if is_part else "item/history_page.html"
    return render_template(name, page="work", work_id=history.work.work_id, view=view)


@blueprint.get("/<work_id>/version/<int:version>")
def version(work_id: str, version: int) -> Response:
    """Show its snapshot as it was then."""
    history = history_of(here(), work_id)
    problem, state, status = "", None, 200
    kept = history.versions
    try:
        state = snapshots().of_version(here(), history, version)
    except (VersionGone, CorruptRecord) as error:
        problem, status = str(error), 404 if isinstance(error, VersionGone) else 409
    text = render_template(
        "item/version.html",
        page="work",
        work_id=work_id,
        version=version,
        state=state,
        problem=problem,
        has_before=version - 1 in kept,
        earlier=max((one for one in kept if one < version), default=None),
        later=min((one for one in kept if one > version), default=None),
        hint=readable(history),
    )
    return make_response(text, status)


def _rows() -> int:
    """Return how many versions are asked for."""
    text = request.args.get("rows", "")
    asked = int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else ROWS[0]
    return next((size for size in ROWS if size >= asked), ROWS[-1])
