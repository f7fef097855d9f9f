"""What a verb is used on: ids, or a query; and how ids are used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import click

from roost_core.backend.orders import Order
from roost_core.cli.arguments import WORK_ID_TYPE, WholeType
from roost_core.cli.work.carrying_out import Report, carry_out
from roost_core.cli.work.naming import with_whole_id
from roost_core.cli.work.querying import query_from
from roost_core.client.control import VerbResult
from roost_core.client.roost import Roost
from roost_core.errors import RoostError
from roost_core.models.checks import milliseconds
from roost_core.query.terms import Query


@attrs.frozen
class Target:
    """Ids, each once; or a query.

    :ivar limit: of a query, on no more than this many.
    """

    ids: tuple[str, ...]
    query: Query | None = None
    limit: int | None = None

    def __bool__(self) -> bool:
        return bool(self.ids) or self.query is not None


def target_options() -> list[click.Option]:
    """Make the options that say what a verb is used on."""
    return [
        click.Option(
            ["--query"], metavar="Q", help="Use it on all work that this query is true of."
        ),
        click.Option(
            ["--limit"],
            type=WholeType(1, 100_000_000),
            metavar="N",
            help="With a query: on no more than this many.",
        ),
    ]


def target_of(
    words: Sequence[str], query: str | None, limit: int | None, ctx: click.Context
) -> Target:
    """Return what was typed: a word with a colon, which no id has, makes a query of all of them.

    :param query: a query by itself.
    :raises click.UsageError: a word can be neither, or it does not go together.
    :raises InvalidInput: it is a query that cannot be read.
    """
    if query is not None and words:
        raise click.UsageError("--query is the whole query: no arguments go with it.", ctx)
    if query is not None or any(":" in word for word in words):
        asked = query_from(words if query is None else [query])
        if not asked.terms:
            # Most likely a variable of a script is not set.
            raise click.UsageError("The query is empty. To mean all work, say so: older:0s.", ctx)
        return Target((), asked, limit)
    if limit is not None:
        raise click.UsageError("--limit goes with a query, such as state:failed.", ctx)
    return Target(tuple(dict.fromkeys(_id(word, ctx) for word in words)))


def _id(word: str, ctx: click.Context) -> str:
    try:
        return str(WORK_ID_TYPE.convert(word, None, ctx))
    except click.UsageError as error:
        hint = "a query has a colon, as in state:failed, or is given with --query"
        raise click.UsageError(f"{error.message}; {hint}", ctx) from error


async def use_on_ids(
    roost: Roost, ids: Sequence[str], order: Order, over: float, report: Report
) -> bool:
    """Use a verb on work items, each by its whole id. Return whether none failed."""
    if len(ids) > 1:
        return await carry_out(roost, [*_spread(ids, order, over)], report=report)
    result: VerbResult | RoostError
    try:
        result = await with_whole_id(
            roost, ids[0], lambda full: roost.controlling.carry_out(full, order)
        )
    except RoostError as error:
        result = error
    is_fine = isinstance(result, VerbResult)
    report(result.work_id if isinstance(result, VerbResult) else ids[0], result)
    return is_fine


def _spread(ids: Sequence[str], order: Order, over: float) -> Iterator[tuple[str, Order]]:
    """Yield an order for each, their delays spread evenly over this many seconds."""
    for place, work_id in enumerate(ids):
        delay_ms = order.delay_ms + milliseconds(over * place / len(ids))
        yield work_id, attrs.evolve(order, delay_ms=delay_ms)
