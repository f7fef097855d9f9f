"""Routes that change something: enqueue, verbs on one work item, engines held and released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs
from flask import Response, url_for

from roost_core import Roost
from roost_core.backend import Order
from roost_core.cli.work.carrying_out import result_json
from roost_core.client.control import new_order
from roost_core.codec.times import to_milliseconds
from roost_core.errors import InvalidInput
from roost_core.models import ENGINE_ID, WORK_ID, Actor, Json, RetryPolicy, State, Verb
from roost_plugins.console.api import shapes
from roost_plugins.console.api.answering import answer
from roost_plugins.console.api.idempotency import Ticket
from roost_plugins.console.api.kinds import (
    ANYTHING,
    FLAG,
    LABELS,
    SECONDS,
    TIME,
    WORDS,
    given,
    name,
    one_of,
    text,
    whole,
)
from roost_plugins.console.api.routing import route
from roost_plugins.console.here import here

#: What is said to be used: it is kept with the work.
TOOL: Final = "api"
_COUNT: Final = 1_000_000_000


@attrs.frozen(kw_only=True)
class ToEnqueue:
    """A work item to enqueue, with the fields of a line of ``roost enqueue --batch``."""

    engine: str = given(name(ENGINE_ID, 64), "Which engine.", example="watchlist")
    payload: Json = given(ANYTHING, "What it is to do: any JSON, 1 MiB at most.", default=None)
    work_id: str | None = given(name(WORK_ID, 128), "Its id; else a random one.", default=None)
    idempotency_key: str | None = given(
        text(200), "As the header Idempotency-Key, which gives it if this does not.", default=None
    )
    priority: int = given(whole(-1000, 1000), "Higher runs first.", default=0)
    resources: Sequence[str] = given(WORDS, "What it needs for itself.", default=())
    labels: Mapping[str, str] = given(LABELS, "To find and group by.", default={})
    delay_seconds: float = given(SECONDS, "Begin after this long.", default=0.0)
    deadline_at: datetime | None = given(TIME, "No step begins later.", default=None)
    deadline_seconds: float | None = given(SECONDS, "The same from now on.", default=None)
    title: str | None = given(text(200), "For people.", default=None, example="Front page")
    max_attempts: int | None = given(whole(1, _COUNT), "How often a step is tried.", default=None)
    max_recoveries: int | None = given(
        whole(1, _COUNT), "How many workers may die over it.", default=None
    )
    max_steps: int | None = given(
        whole(0, _COUNT), "Steps in a row without a delay; 0 for any number.", default=None
    )
    step_timeout_seconds: float | None = given(SECONDS, "A step's longest time.", default=None)
    any_engine: bool = given(FLAG, "Also for an engine that nobody offers yet.", default=False)


@attrs.frozen(kw_only=True)
class ToDo:
    """How to use a verb; all but the first two are for a retry."""

    reason: str | None = given(text(200), "Why, for people.", default=None, example="site is back")
    actor: str | None = given(text(100), "Who, if not as is set.", default=None)
    delay_seconds: float = given(SECONDS, "Retry after this long.", default=0.0)
    max_attempts: int | None = given(whole(1, _COUNT), "A new limit of attempts.", default=None)
    max_steps: int | None = given(whole(0, _COUNT), "A new limit of steps.", default=None)
    deadline_at: datetime | None = given(TIME, "A new deadline.", default=None)
    deadline_seconds: float | None = given(SECONDS, "The same from now on.", default=None)


@attrs.frozen(kw_only=True)
class ToDoToOne(ToDo):
    """How to use a verb on one work item, and what has to be true of it."""

    if_state: State | None = given(one_of(State), "Only if it is in this state.", default=None)
    if_fence: int | None = given(
        whole(0, 2**53), "Only if its fence is this: nobody has run it since.", default=None
    )
    created_at: datetime | None = given(
        TIME,
        "Only if it was created then: not another one with the same id. With it, a drop that is "
        "repeated after it is gone answers ``already``.",
        default=None,
    )


@attrs.frozen(kw_only=True)
class ToHold:
    """Who holds or releases an engine, and why."""

    reason: str | None = given(text(200), "Why, for people.", default=None)
    actor: str | None = given(text(100), "Who, if not as is set.", default=None)


async def order_of(roost: Roost, verb: Verb, said: ToDo, ticket: Ticket) -> Order:
    """Return the order that a request means.

    :raises InvalidInput: a value cannot be accepted, or is for another verb.
    """
    actor = actor_of(roost, said)
    limits = {
        one: getattr(said, one)
        for one in ("max_attempts", "max_steps", "deadline_at", "deadline_seconds")
        if getattr(said, one) is not None
    }
    if verb is Verb.RETRY:
        order = await roost.controlling.retrying(actor, delay_seconds=said.delay_seconds, **limits)
    elif limits or said.delay_seconds:
        raise InvalidInput(f"{next(iter(limits), 'delay_seconds')} is for retry only")
    else:
        order = new_order(verb, actor)
    return attrs.evolve(order, request_id=ticket.request_id)


def actor_of(roost: Roost, said: ToDo | ToHold) -> Actor:
    """Return who acts."""
    return roost.controlling.actor(
        None if said.actor is None else Actor(said.actor, TOOL), said.reason, TOOL
    )


@route("POST", "/work", "Enqueue", shapes.Enqueued, body=ToEnqueue, status=201, needs_body=True)
def enqueue(said: ToEnqueue, ticket: Ticket) -> Response:
    """Store a work item; the same key with the same engine and payload stores none twice."""
    if ticket.key is not None and said.idempotency_key not in (None, ticket.key):
        raise InvalidInput("idempotency_key is not the one of the header Idempotency-Key")
    fields: dict[str, Any] = attrs.asdict(said, recurse=False)
    attempts = fields.pop("max_attempts")
    fields["idempotency_key"] = said.idempotency_key or ticket.key
    fields["retry"] = None if attempts is None else RetryPolicy(max_attempts=attempts)
    item = here().ask(lambda roost: roost.enqueue(**fields), timeout=30)
    where = url_for("api.work_status", work_id=item.work_id)
    return answer(shapes.Enqueued(item.work_id), 201, Location=where)


@route("POST", "/work/{work_id}/{verb}", "Use a verb on it", shapes.Acted, body=ToDoToOne)
def work_act(work_id: str, verb: str, said: ToDoToOne, ticket: Ticket) -> Json:
    """Answer as a line of ``roost retry --json``."""

    async def act(roost: Roost) -> Json:
        handle = roost.work(work_id)
        order = attrs.evolve(
            await order_of(roost, Verb(verb), said, ticket),
            if_state=said.if_state,
            if_fence=said.if_fence,
            life=None if said.created_at is None else to_milliseconds(said.created_at),
        )
        result = await roost.controlling.carry_out(handle.id, order)
        return result_json(handle.id, Verb(verb), result)

    return here().ask(act, timeout=30)


@route("POST", "/engines/{engine}/hold", "Hold an engine", shapes.HeldOrReleased, body=ToHold)
def engine_hold(engine: str, said: ToHold, ticket: Ticket) -> Json:
    """Let no worker take its work."""
    return _changed(engine, "hold", said, ticket)


@route("POST", "/engines/{engine}/release", "Release an engine", shapes.HeldOrReleased, body=ToHold)
def engine_release(engine: str, said: ToHold, ticket: Ticket) -> Json:
    """Let workers take its work again."""
    return _changed(engine, "release", said, ticket)


def _changed(engine: str, verb: str, said: ToHold, ticket: Ticket) -> Json:
    async def change(roost: Roost) -> bool:
        control = roost.controlling
        use = control.hold if verb == "hold" else control.release
        return await use(roost.engine(engine).id, actor_of(roost, said), ticket.request_id)

    is_new = here().ask(change, timeout=30)
    return {"engine": engine, "verb": verb, "outcome": "done" if is_new else "already"}
