"""The route that runs work again from an earlier version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from flask import Response, url_for

from roost_core import Roost
from roost_core.differences import parse_patch, patched
from roost_core.models import MAX_COUNT, WORK_ID, Json
from roost_plugins.console.api import shapes
from roost_plugins.console.api.acting import ToHold, actor_of
from roost_plugins.console.api.answering import answer
from roost_plugins.console.api.idempotency import Ticket
from roost_plugins.console.api.kinds import ANYTHING, FLAG, given, name, whole
from roost_plugins.console.api.routing import route
from roost_plugins.console.here import here


@attrs.frozen(kw_only=True)
class ToReplay(ToHold):
    """From which version, and how: as the options of ``roost replay``."""

    version: int = given(whole(1, MAX_COUNT), "The version to begin with.", example=31)
    patch: Json = given(
        ANYTHING,
        "Operations (RFC 6902) that change its data first.",
        default=None,
        example=[{"op": "replace", "path": "/plan", "value": None}],
    )
    in_place: bool = given(FLAG, "Put the work itself back; it must not run.", default=False)
    work_id: str | None = given(
        name(WORK_ID, 128), "The id of the new work; else a random one.", default=None
    )


@route(
    "POST",
    "/work/{work_id}/replay",
    "Run it again from a version",
    shapes.Replayed,
    body=ToReplay,
    status=201,
    needs_body=True,
)
def work_replay(work_id: str, said: ToReplay, ticket: Ticket) -> Response:  # noqa: ARG001 - each route that changes something has one
    """Answer as ``roost replay --json``; a repeat with the same key begins nothing more."""
    edit: Callable[[Json], Json] | None = None
    if said.patch is not None:
        operations = parse_patch(said.patch)

        def edit(data: Json) -> Json:
            return patched(data, operations)

    async def begin(roost: Roost) -> Any:
        return await roost.work(work_id).replay(
            said.version,
            edit=edit,
            in_place=said.in_place,
            work_id=said.work_id,
            actor=actor_of(roost, said),
        )

    done = here().ask(begin, timeout=30)
    found = shapes.Replayed(done.work_id, done.version, done.state)
    return answer(found, 201, Location=url_for("api.work_status", work_id=done.work_id))
