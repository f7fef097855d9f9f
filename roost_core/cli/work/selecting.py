"""What a verb is used on: ids, or the work items that a query is true of, after a look at them."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import attrs
import click

from roost_core.backend.orders import Order, OrderOutcome
from roost_core.cli import output
from roost_core.cli.arguments import WORK_ID_TYPE
from roost_core.cli.session import Session
from roost_core.cli.work.carrying_out import Report, Typed, carry_out, confirmed
from roost_core.cli.work.querying import query_from, with_full_id
from roost_core.client.control import VerbResult
from roost_core.client.roost import Roost
from roost_core.client.select import as_seen
from roost_core.errors import RoostError
from roost_core.models.checks import milliseconds
from roost_core.models.control import Verb
from roost_core.models.standing import WorkMeta, WorkRow
from roost_core.models.work import State
from roost_core.query.terms import Query
from roost_core.shown.verbs import PAST

#: Progress is shown on a terminal for more than this many.
_MANY: Final = 100
#: How often it is shown, in seconds.
_EVERY: Final = 0.2


def _is_open(meta: WorkMeta) -> bool:
    return not meta.state.is_terminal


#: What of a query a verb is used on; the rest it does not fit, or is so already.
_FITS: Final[Mapping[Verb, Callable[[WorkMeta], bool]]] = {
    Verb.CANCEL: _is_open,
    Verb.PAUSE: lambda meta: _is_open(meta) and meta.state is not State.PAUSED,
    Verb.RESUME: lambda meta: meta.state is State.PAUSED or meta.wish is Verb.PAUSE,
    Verb.RETRY: lambda meta: meta.state in (State.FAILED, State.CANCELLED),
    Verb.BURY: _is_open,
    Verb.DROP: lambda meta: not _is_open(meta),
}


@attrs.frozen
class Target:
    """Ids, each once; or a query."""

    ids: tuple[str, ...]
    query: Query | None = None

    def __bool__(self) -> bool:
        return bool(self.ids) or self.query is not None


def target_of(words: Sequence[str], ctx: click.Context) -> Target:
    """Return what was typed: it is a query if one of its words has a key.

    :raises click.UsageError: a word can be neither.
    :raises InvalidInput: it is a query that cannot be read.
    """
    if any(":" in word or word.startswith(("-", '"')) for word in words):
        return Target((), query_from(words))
    return Target(tuple(dict.fromkeys(WORK_ID_TYPE.convert(one, None, ctx) for one in words)))


async def use_on_ids(
    roost: Roost, ids: Sequence[str], order: Order, over: float, report: Report
) -> bool:
    """Use a verb on work items; a single one may be typed in part. Return whether none failed."""
    if len(ids) > 1:
        return await carry_out(roost, _spread(ids, order, over), report=report)
    result: VerbResult | RoostError
    try:
        result = await with_full_id(
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


def previewed(
    ctx: click.Context, verb: Verb, query: Query, typed: Typed, after: str = ""
) -> list[WorkRow]:
    """Return what a verb is to be used on, once somebody has agreed.

    :param after: what the question says behind the number.
    :raises click.exceptions.Exit: nothing is to be done.
    :raises click.UsageError: nobody can be asked.
    """
    session: Session = ctx.obj

    async def read(roost: Roost) -> list[WorkRow]:
        return [row async for row in roost.select(query).rows()]

    found = session.read(read)
    rows = [row for row in found if _FITS[verb](row.meta)]
    others = Counter(row.meta.state.value for row in found if not _FITS[verb](row.meta))
    left = ", ".join(f"{count} {state}" for state, count in others.most_common())
    if left:
        output.note(f"left alone, because {verb.value} does not fit: {left}")
    many = "1 work item" if len(rows) == 1 else f"{len(rows)} work items"
    if typed.dry_run:
        for row in rows:
            output.data(f"{row.meta.work_id}: {row.meta.state}")
        output.note(f"{many} would be {PAST[verb]}")
        ctx.exit(0)
    if not rows:
        output.note(f"nothing to {verb.value}")
        ctx.exit(0)
    if not confirmed(f"{verb.value.capitalize()} {many}{after}?", yes=typed.yes):
        output.note(f"nothing was {PAST[verb]}")
        ctx.exit(1)
    return rows


async def use_on_rows(
    roost: Roost, rows: Sequence[WorkRow], order: Order, over: float, report: Report
) -> bool:
    """Use a verb on work items if they are still as they were seen; say how many were what."""
    progress = _Progress(len(rows))
    tally: Counter[str] = Counter()

    def tell(work_id: str, result: VerbResult | RoostError) -> None:
        tally[_name(result)] += 1
        report(work_id, result)
        progress.show(tally.total())

    is_fine = await carry_out(roost, as_seen(rows, order, over), report=tell)
    output.note(", ".join(f"{count} {name}" for name, count in tally.most_common()))
    return is_fine


def _name(result: VerbResult | RoostError) -> str:
    if isinstance(result, RoostError):
        return "failed"
    if result.outcome is OrderOutcome.CHANGED:
        return "left alone: changed meanwhile"
    return result.outcome.value


class _Progress:
    """How far it is, how fast, and how long it takes still: in one line on standard error."""

    def __init__(self, total: int) -> None:
        self._total = total
        # Lines on the same terminal are progress enough.
        self._is_shown = total > _MANY and sys.stderr.isatty() and not output.on_terminal()
        self._began = self._shown = time.monotonic()

    def show(self, done: int) -> None:
        now = time.monotonic()
        is_last = done == self._total
        if not self._is_shown or (now - self._shown < _EVERY and not is_last):
            return
        self._shown = now
        rate = done / max(now - self._began, 0.001)
        left = f", {(self._total - done) / rate:.0f} s left" if not is_last else ""
        click.echo(f"\r{done}/{self._total}, {rate:.0f} a second{left}   ", nl=is_last, err=True)
