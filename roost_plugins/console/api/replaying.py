"""The routes that run work again from an earlier version, or say what that would come to."""

from __future__ import annotations

from datetime import datetime

import attrs
from flask import Response, url_for

from roost_core import Roost
from roost_core.client.replaying import Edit, Replay, Replayed, Seen, planned
from roost_core.differences import parse_patch, patched
from roost_core.errors import InvalidInput
from roost_core.models import MAX_COUNT, WORK_ID, Json
from roost_plugins.console.api import shapes
from roost_plugins.console.api.acting import ToHold, actor_of
from roost_plugins.console.api.answering import answer
from roost_plugins.console.api.idempotency import Ticket
from roost_plugins.console.api.kinds import ANYTHING, FLAG, SECONDS, TIME, given, name, whole
from roost_plugins.console.api.routing import route
from roost_plugins.console.here import here
from roost_plugins.console.histories import history_of, texts_of


@attrs.frozen(kw_only=True)
class ToPlan:
    """From which version, and what is to be changed first."""

    version: int = given(whole(1, MAX_COUNT), "The version to begin with.", example=31)
    patch: Json = given(
        ANYTHING,
        "Operations (RFC 6902) that change its data first.",
        default=None,
        example=[{"op": "replace", "path": "/plan", "value": None}],
    )


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
    deadline_at: datetime | None = given(TIME, "In place, a new deadline.", default=None)
    deadline_seconds: float | None = given(SECONDS, "The same from now on.", default=None)
    if_version: int | None = given(
        whole(1, MAX_COUNT), "In place, only if this is its newest version.", default=None
    )
    if_fence: int | None = given(
        whole(0, 2**53), "In place, only if its fence is this.", default=None
    )


@route(
    "POST",
    "/work/{work_id}/replay/plan",
    "What running it again would come to",
    shapes.ReplayPlan,
    body=ToPlan,
    needs_body=True,
)
def work_replay_plan(work_id: str, said: ToPlan, ticket: Ticket) -> shapes.ReplayPlan:  # noqa: ARG001 - each route with a body has one
    """Answer what ``roost replay --dry-run --json --reveal`` tells; nothing is changed."""
    found = _planned(work_id, said)
    return shapes.ReplayPlan(
        found.work_id,
        found.version,
        found.newest,
        found.seen.fence,
        found.state,
        found.differences,
        found.ran_before,
        found.not_remembered,
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
def work_replay(work_id: str, said: ToReplay, ticket: Ticket) -> Response:
    """Answer as ``roost replay --json``; a repeat with the same key begins nothing more."""
    if not said.in_place and (said.deadline_at or said.deadline_seconds) is not None:
        raise InvalidInput("a deadline goes with in_place: new work inherits one that is to come")
    plan = _planned(work_id, said)
    known = plan.seen
    seen = Seen(
        known.version if said.if_version is None else said.if_version,
        known.fence if said.if_fence is None else said.if_fence,
        known.life,
        known.state,
    )

    async def begin(roost: Roost) -> Replayed:
        return await roost.work(work_id).replay(
            plan,
            in_place=said.in_place,
            work_id=said.work_id,
            deadline_at=said.deadline_at,
            deadline_seconds=said.deadline_seconds,
            actor=actor_of(roost, said),
            request_id=ticket.request_id,
            seen=seen,
        )

    done = here().ask(begin, timeout=30)
    found = shapes.Replayed(done.work_id, done.version, done.state)
    return answer(found, 201, Location=url_for("api.work_status", work_id=done.work_id))


def _planned(work_id: str, said: ToPlan | ToReplay) -> Replay:
    edit: Edit | None = None
    if said.patch is not None:
        operations = parse_patch(said.patch)

        def edit(data: Json) -> Json:
            return patched(data, operations)

    # An edit of much data takes a while, and is not to stop the connection's loop.
    history = history_of(here(), work_id)
    return planned(history, said.version, edit, texts_of(here()))
