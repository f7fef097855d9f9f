"""``roost cancel``, ``pause``, ``resume``, ``retry``, ``bury`` and ``drop``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import click

from roost_core.backend.fitting import expected
from roost_core.backend.orders import Order, OrderOutcome
from roost_core.cli import output
from roost_core.cli.arguments import ENGINE_TYPE, TARGET_TYPE, WholeType
from roost_core.cli.options import roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.bulk import Bulk, MakeOrder
from roost_core.cli.work.carrying_out import (
    Report,
    Typed,
    can_be_asked,
    confirmed,
    verb_options,
)
from roost_core.cli.work.naming import missing
from roost_core.cli.work.querying import QueryCommand
from roost_core.cli.work.selecting import Target, target_of, target_options, use_on_ids
from roost_core.cli.work.timing import deadline_from, deadline_option, delay_option, span_option
from roost_core.client.control import new_order
from roost_core.client.roost import Roost
from roost_core.errors import RoostError, VerbUnfit
from roost_core.models.checks import MAX_COUNT
from roost_core.models.control import Verb
from roost_core.shown.verbs import unfit

#: What the help of every verb ends with.
_ON_MANY: Final = """\
Several ids, each in full, are done at once, and so is all work of a query, as for `roost list`: an
argument with a colon makes one. What it is used on is shown first, and what changes after that is
left alone. The exit code is 1 if any of them failed."""


def _verb(
    verb: Verb, *example: str, options: Sequence[click.Option] = ()
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command of a function that takes the context, the target and what every verb takes."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @click.pass_context
        def run(
            ctx: click.Context,
            /,
            *,
            targets: Sequence[str],
            query: str | None,
            limit: int | None,
            reason: str | None,
            who: str | None,
            as_json: bool,
            dry_run: bool,
            yes: bool,
            **own: Any,
        ) -> None:
            target = target_of(targets, query, limit, ctx)
            if dry_run and target.query is None:
                raise click.UsageError("--dry-run goes with a query, such as state:failed.", ctx)
            function(ctx, target, Typed(reason, who, as_json, dry_run, yes), **own)

        words = click.Argument(["targets"], nargs=-1, type=TARGET_TYPE, metavar="WORK_ID...|QUERY")
        command = QueryCommand(
            verb.value,
            params=[words, *options, *target_options(), *verb_options()],
            callback=run,
            help=f"{inspect.getdoc(function)}\n\n{_ON_MANY}",
            example=example,
        )
        return roost_options()(command)

    return decorate


def _engine(text: str) -> click.Option:
    return click.Option(["--engine"], type=ENGINE_TYPE, metavar="E", help=text)


def _use(
    ctx: click.Context,
    verb: Verb,
    target: Target,
    typed: Typed,
    make_order: MakeOrder | None = None,
    over: float = 0,
) -> None:
    """Use a verb on work items, and exit with 1 if it failed on any."""
    session: Session = ctx.obj
    if not target:
        raise click.UsageError("Missing argument 'WORK_ID...|QUERY': see `roost list`.", ctx)

    async def simple(roost: Roost) -> Order:
        return new_order(verb, typed.actor(roost, verb))

    make = make_order or simple
    if target.query is not None:
        if not Bulk(verb, target.query, target.limit, typed, make, over).run(session):
            ctx.exit(1)
        return
    report = Report(verb, as_json=typed.as_json)

    async def run(roost: Roost) -> bool:
        return await use_on_ids(roost, target.ids, await make(roost), over, report)

    try:
        is_fine = session.read(run)
    except RoostError:
        report.close(is_stopped=True)
        raise
    report.close()
    if not (is_fine and report.is_told):
        ctx.exit(1)


def _use_or_hold(
    ctx: click.Context, verb: Verb, target: Target, engine: str | None, typed: Typed
) -> None:
    """Use a verb on work items, or on an engine if one is named."""
    if engine is None:
        _use(ctx, verb, target, typed)
    else:
        _of_engine(ctx, verb, target, engine, typed)


def _of_engine(ctx: click.Context, verb: Verb, target: Target, engine: str, typed: Typed) -> None:
    """Hold an engine, or release it."""
    session: Session = ctx.obj
    if target:
        raise click.UsageError(
            "--engine is for all work of an engine: no ids go with it, and no query.", ctx
        )

    async def run(roost: Roost) -> tuple[bool, bool]:
        handle, actor = roost.engine(engine), typed.actor(roost, verb)
        if verb is Verb.RESUME:
            return await handle.release(actor=actor), True
        is_new = await handle.hold(actor=actor)
        return is_new, any(engine in one.engines for one in await roost.workers())

    is_new, is_offered = session.run(run)
    if typed.as_json:
        outcome = "done" if is_new else "already"
        output.json_line([{"engine": engine, "verb": verb.value, "outcome": outcome}], indent=2)
    else:
        output.data(f"{engine}: {_said(verb, engine, is_new)}")
    if not is_offered:
        output.note(f"no live worker offers the engine {engine!r}; it is held anyway")


def _said(verb: Verb, engine: str, is_new: bool) -> str:
    if verb is Verb.RESUME:
        return "released: workers take its work again" if is_new else "nothing to resume: not held"
    until = f"no worker takes its work until `roost resume --engine {engine}`"
    return f"held: {until}" if is_new else f"already held: {until}"


@_verb(
    Verb.CANCEL,
    "roost cancel w-0123456789abcdef --reason 'the customer has left'",
    "roost cancel engine:crawl label:team=search --dry-run",
)
def cancel(ctx: click.Context, target: Target, typed: Typed) -> None:
    """Cancel work that has not ended.

    A running step is told at once and cancelled, and what it brings is dropped: until it has let
    go, the work is "cancelling". No attempt is counted. `roost retry` puts cancelled work back.
    """
    _use(ctx, Verb.CANCEL, target, typed)


@_verb(
    Verb.PAUSE,
    "roost pause w-0123456789abcdef",
    "roost pause --engine crawl --reason 'the site is down'",
    options=[_engine("Hold all work of this engine.")],
)
def pause(ctx: click.Context, target: Target, typed: Typed, engine: str | None) -> None:
    """Let work rest until `roost resume`.

    Work that runs pauses after its step, which is accepted. A due time is kept, and a deadline is
    not put off. With --engine, no worker takes work of that engine, present or future; the work
    stays in the state that it is in.
    """
    _use_or_hold(ctx, Verb.PAUSE, target, engine, typed)


@_verb(
    Verb.RESUME,
    "roost resume w-0123456789abcdef",
    "roost resume --engine crawl",
    options=[_engine("Release this engine.")],
)
def resume(ctx: click.Context, target: Target, typed: Typed, engine: str | None) -> None:
    """Let paused work continue from where it was.

    It gets its old place in the line, or its old due time. For work that is only to pause after
    its step, that is taken back. With --engine, workers take the work of that engine again.
    """
    _use_or_hold(ctx, Verb.RESUME, target, engine, typed)


_LIMITS: Final = (
    click.Option(
        ["--attempts"], type=WholeType(1, MAX_COUNT), metavar="N", help="Tries of one step."
    ),
    deadline_option("A new deadline"),
    click.Option(
        ["--max-steps"],
        type=WholeType(0, MAX_COUNT),
        metavar="N",
        help="Steps in a row without a delay; 0: no limit.",
    ),
    delay_option(),
    span_option(["--over"], "Spread several evenly over this time"),
)


@_verb(
    Verb.RETRY,
    "roost retry w-0123456789abcdef --attempts 10",
    "roost retry state:failed error:429 --over 10m",
    options=_LIMITS,
)
def retry(
    ctx: click.Context,
    target: Target,
    typed: Typed,
    over: float | None,
    **limits: Any,
) -> None:
    """Put dead letters and cancelled work back.

    Each continues from its last snapshot, with fresh counters, at the end of the line. Limits that
    are not given stay as they were; a deadline that has passed needs a new one.
    """

    async def make(roost: Roost) -> Order:
        return await _retrying(roost, typed, **limits)

    _use(ctx, Verb.RETRY, target, typed, make, over or 0)


async def _retrying(
    roost: Roost,
    typed: Typed,
    *,
    attempts: int | None,
    deadline: datetime | float | None,
    max_steps: int | None,
    delay: float | None,
) -> Order:
    return await roost.controlling.retrying(
        typed.actor(roost, Verb.RETRY),
        delay_seconds=delay or 0,
        max_attempts=attempts,
        max_steps=max_steps,
        **deadline_from(deadline),
    )


@_verb(Verb.BURY, "roost bury w-0123456789abcdef --reason 'it would never end'")
def bury(ctx: click.Context, target: Target, typed: Typed) -> None:
    """Make dead letters of work that has not ended.

    As `roost cancel`, but the work is "failed" then, with an error that says who has buried it,
    and is kept until somebody drops it. If a step runs, its worker's observers hear of it.
    """
    _use(ctx, Verb.BURY, target, typed)


@_verb(
    Verb.DROP,
    "roost drop w-0123456789abcdef",
    "roost drop state:cancelled older:7d --yes",
)
def drop(ctx: click.Context, target: Target, typed: Typed) -> None:
    """Remove work that has ended for good, with its artifacts and its workspace.

    Only its events stay, as long as the queue keeps them. On a terminal it asks first; without
    one it needs --yes.
    """
    if target.ids:
        if not typed.yes and can_be_asked():
            _refuse_to_ask(ctx, target.ids, typed)
        what = target.ids[0] if len(target.ids) == 1 else f"{len(target.ids)} work items"
        if not confirmed(f"Remove {what} for good, with all artifacts?", yes=typed.yes):
            output.note("nothing was dropped")
            ctx.exit(1)
    _use(ctx, Verb.DROP, target, typed)


def _refuse_to_ask(ctx: click.Context, ids: Sequence[str], typed: Typed) -> None:
    """Say why none of them can be dropped, and exit with 1, if that is known before a question."""
    session: Session = ctx.obj

    async def look(roost: Roost) -> list[RoostError | None]:
        return [await _why_not_dropped(roost, work_id) for work_id in ids]

    errors = [one for one in session.read(look) if one is not None]
    if len(errors) < len(ids):
        return
    report = Report(Verb.DROP, as_json=typed.as_json)
    for work_id, error in zip(ids, errors, strict=True):
        report(work_id, error)
    report.close()
    ctx.exit(1)


async def _why_not_dropped(roost: Roost, work_id: str) -> RoostError | None:
    stored = await roost.ledger.read(work_id)
    if stored is None:
        return await missing(roost, work_id)
    # Of records that do not decode, or that are a newer Roost's, the server decides.
    is_known = stored.newer_layout is None and stored.item is not None
    if is_known and expected(Verb.DROP, stored.state, stored.wish) is OrderOutcome.UNFIT:
        return VerbUnfit(unfit(work_id, Verb.DROP, stored.state, stored.wish))
    return None
