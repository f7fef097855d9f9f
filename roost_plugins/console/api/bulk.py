"""A verb over a query: what it would be used on, and using it."""

from __future__ import annotations

import contextlib
from typing import Final

import attrs

from roost_core import Roost
from roost_core.cli.work import previews
from roost_core.cli.work.carrying_out import FINAL
from roost_core.cli.work.totals import Totals
from roost_core.client.control import each
from roost_core.client.select import previewed
from roost_core.errors import InvalidInput
from roost_core.models import Json, Verb
from roost_core.query import parse
from roost_plugins.console.api import shapes
from roost_plugins.console.api.acting import ToDo, order_of
from roost_plugins.console.api.idempotency import Ticket
from roost_plugins.console.api.kinds import QUERY, SECONDS, given, whole
from roost_plugins.console.api.routing import route
from roost_plugins.console.here import here

#: The most work items that one request acts on.
MOST: Final = 10_000
#: How long it may take. Seconds.
_PATIENCE: Final = 120.0
_LIMIT: Final = "Use it on no more than this many."


@attrs.frozen(kw_only=True)
class Those:
    """Which work items, and how many at most."""

    q: str = given(QUERY, "A query; empty for all work.", example="state:failed")
    limit: int = given(whole(1, MOST), _LIMIT, example=100)


@attrs.frozen(kw_only=True)
class ToDoToThose(ToDo):
    """How to use a verb on many work items."""

    over_seconds: float = given(SECONDS, "Spread a retry evenly over this long.", default=0.0)


@route("GET", "/work/{verb}/preview", "What a verb would be used on", shapes.Previewed, query=Those)
def bulk_preview(verb: str, asked: Those) -> Json:
    """Answer as ``roost retry QUERY --dry-run --json``."""
    query, known = parse(asked.q), Verb(verb)

    async def look(roost: Roost) -> Json:
        found = await previewed(roost, query, known, asked.limit)
        return previews.plain(known, query, found.done())

    return here().ask(look, timeout=60)


@route(
    "POST",
    "/work/{verb}",
    "Use a verb on all that a query finds, up to a limit",
    shapes.Bulk,
    query=Those,
    body=ToDoToThose,
)
def bulk_act(verb: str, asked: Those, said: ToDoToThose, ticket: Ticket) -> Json:
    """Answer as ``roost retry QUERY --json``.

    What changes between its look and its turn is left alone, and counted as ``changed``.
    """
    query, known = parse(asked.q), Verb(verb)
    if said.over_seconds and known is not Verb.RETRY:
        raise InvalidInput("over_seconds is for retry only")

    async def act(roost: Roost) -> Json:
        order = await order_of(roost, known, said, ticket)
        found = await previewed(roost, query, known, asked.limit)
        totals = Totals(known, query, found.done(), as_json=True)
        orders = found.chosen.orders(order, said.over_seconds)
        results = each(orders, lambda one: roost.controlling.carry_out(*one))
        async with contextlib.aclosing(results):
            async for (work_id, _), result in results:
                if isinstance(result, FINAL):
                    raise type(result)(f"{result}; stopped: {totals.so_far(len(found.chosen))}")
                totals.add(work_id, result)
        return totals.plain()

    return here().ask(act, timeout=_PATIENCE)
